/* The map: radar of the last hour, the forecast of the next, the rain graph of a place, alarms. */
'use strict';
(() => {
  const { find, make, word } = page;
  const STEP_MS = 600, REST_STEPS = 3, REFRESH_MS = 30000;
  const state = {
    regions: [], region: null, issue: 'latest', layer: 'both', frames: [], at: -1, follow: true,
    place: null, point: null, playing: null, rest: 0, now: 0, asked: 0, speed: 1, base: null, key: ''
  };
  let map, rain = new Map(), coasts, cities, marker, shown;

  /* The service's clock goes on between two answers; in a replay faster than ours. */
  const now = () => state.now + (performance.now() - state.asked) * state.speed;
  const minutes = ms => Math.max(0, Math.round(ms / 60000));

  function tell(text) {
    find('notice').hidden = !text;
    find('notice').textContent = text || '';
  }

  /* ---------------------------------------------------------------- frames */

  function framesOf(newest, chosen) {
    const frames = [], issue = Date.parse(chosen.issue_time);
    const observed = newest.observed.map(f => ({ ...f, kind: 'observed' }));
    const forecast = chosen.forecast.map(f => ({ ...f, kind: 'forecast' }));
    const parts = { both: [...observed.filter(f => Date.parse(f.time) <= issue), ...forecast], observed, forecast };
    for (const frame of parts[state.layer]) {
      const [, instance, time] = /\/tiles\/[^/]+\/([^/]+)\/([^/]+)\//.exec(frame.tiles);
      frames.push({ time: Date.parse(frame.time), kind: frame.kind, lead: Date.parse(frame.time) - issue,
        url: `tiles/${encodeURIComponent(state.region)}/${instance}/${time}/{z}/{x}/{y}{r}.png` });
    }
    return frames;
  }

  function layerOf(frame) {
    if (!rain.has(frame.url)) {
      const layer = L.tileLayer(frame.url, { opacity: 0, className: 'rain', bounds: state.bounds, noWrap: true, maxZoom: 12, zIndex: 5, updateWhenZooming: false });
      rain.set(frame.url, layer.addTo(map));
    }
    return rain.get(frame.url);
  }

  function dropLayers() {
    const wanted = new Set(state.frames.map(f => f.url));
    for (const [url, layer] of rain) {
      if (!wanted.has(url)) { layer.remove(); rain.delete(url); }
    }
  }

  function show(index) {
    const frame = state.frames[index];
    if (!frame) return;
    state.at = index;
    if (map) {
      const layer = layerOf(frame);
      if (shown && shown !== layer) shown.setOpacity(0);
      layer.setOpacity(0.8);
      shown = layer;
      const next = state.frames[(index + 1) % state.frames.length];
      if (next) layerOf(next);
    }
    const lead = Math.round(frame.lead / 60000);
    const kind = word(frame.kind === 'observed' ? 'is_observed' : 'is_forecast');
    const text = `${kind} ${lead > 0 ? '+' : ''}${lead} ${word('min')}`;
    find('time').value = index;
    find('time').setAttribute('aria-valuetext', `${page.clock(frame.time)}, ${text}`);
    find('clock').replaceChildren(make('b', {}, page.clock(frame.time)), ` ${text}`, make('br'), `${page.day(frame.time)} · ${page.utc(frame.time)}`);
    find('clock').dataset.time = new Date(frame.time).toISOString();
    find('clock').dataset.kind = frame.kind;
  }

  function drawTicks() {
    const n = state.frames.length, svg = make('svg', { viewBox: `0 0 ${Math.max(1, n - 1)} 1`, preserveAspectRatio: 'none' });
    const from = state.frames.findIndex(f => f.kind === 'forecast');
    const edge = from < 0 ? n - 1 : Math.max(0, from - 1);
    svg.append(make('rect', { class: 'key-2', x: 0, y: 0, width: edge, height: 1 }), make('rect', { class: 'key-1', x: edge, y: 0, width: Math.max(0, n - 1 - edge), height: 1 }));
    find('ticks').replaceChildren(svg);
  }

  function setFrames(frames) {
    const before = state.frames[state.at];
    state.frames = frames;
    find('time').max = Math.max(0, frames.length - 1);
    drawTicks();
    let at = before && !state.follow ? frames.findIndex(f => f.time >= before.time) : -1;
    if (at < 0) at = frames.reduce((last, f, i) => f.kind === 'observed' ? i : last, 0);
    shown = rain.get(frames[at] && frames[at].url);
    dropLayers();
    for (const layer of rain.values()) layer.setOpacity(0);
    show(at);
  }

  function step(by) {
    const n = state.frames.length;
    if (n === 0) return;
    state.follow = false;
    show((state.at + by + n) % n);
  }

  function play(on) {
    clearInterval(state.playing);
    state.playing = on ? setInterval(() => {
      if (state.at === state.frames.length - 1 && state.rest++ < REST_STEPS) return;
      state.rest = 0;
      step(1);
    }, STEP_MS) : null;
    find('play').setAttribute('aria-pressed', String(on));
    find('play').dataset.label = on ? 'pause' : 'play';
    find('play').textContent = on ? '❚❚' : '▶';
    page.translate();
  }

  /* ---------------------------------------------------------------- a region */

  function showAge() {
    const region = state.regions.find(r => r.region === state.region);
    if (!region || !region.newest_frame) { find('age').textContent = ''; return; }
    const age = now() - Date.parse(region.newest_frame);
    find('age').textContent = word('age', { time: page.clock(region.newest_frame), age: minutes(age) });
    find('age').classList.toggle('stale', region.state !== 'current');
  }

  function showAlarms() {
    const texts = state.regions.filter(r => r.forecast && r.forecast.alarm)
      .map(r => word('alarm', { region: r.title, time: page.clock(r.forecast.alarm_time), rate: r.forecast.max_mm_h.toFixed(0) }));
    const p = state.point;
    if (p && find('watch').checked && p.starts) {
      texts.push(word('rain_here', { place: state.place.name, time: page.clock(p.starts) }));
    }
    const text = texts.join(' ');
    if (find('alarm').textContent !== text) find('alarm').textContent = text;
    find('alarm').hidden = text === '';
    document.title = (text ? '⚠ ' : '') + state.title;
  }

  function fillSelect(select, rows, value) {
    select.replaceChildren(...rows.map(([v, text]) => make('option', { value: v }, text)));
    select.value = rows.some(([v]) => v === value) ? value : rows[0] && rows[0][0];
  }

  const methodOf = f => f.model || (f.method === 'model' && f.engine) || word(f.method);

  async function loadBase() {
    if (!map) return;
    const key = state.region;
    if (state.base === key) return;
    state.base = key;
    const [lines, places] = await Promise.all([page.ask(`regions/${encodeURIComponent(key)}/basemap.json`),
      page.ask(`collections/${encodeURIComponent(key)}/locations`)]);
    if (coasts) { coasts.remove(); cities.remove(); }
    state.lines = lines;
    coasts = L.geoJSON(lines, { interactive: false, renderer: L.canvas({ padding: .5 }), style: lineStyle }).addTo(map);
    cities = L.layerGroup(places.features.map(f => {
      const [lon, lat] = f.geometry.coordinates;
      return L.circleMarker([lat, lon], { radius: 3, weight: 1, interactive: false, ...dotStyle() })
        .bindTooltip(f.properties.name || f.id, { permanent: true, direction: 'right', className: 'city' });
    })).addTo(map);
  }

  const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const lineStyle = f => f.properties.kind === 'coast' ? { color: colour('--coast'), weight: 1.4 } : { color: colour('--border'), weight: 1, dashArray: '4 3' };
  const dotStyle = () => ({ color: colour('--ink'), fillColor: colour('--ink'), fillOpacity: 1 });

  async function loadLegend() {
    const legend = await page.ask(`tiles/${encodeURIComponent(state.region)}/legend.json`);
    find('classes').replaceChildren(...legend.classes.map(c => {
      const box = make('svg', { viewBox: '0 0 10 4', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
      box.append(make('rect', { x: 0, y: 0, width: 10, height: 4, fill: c.colour, 'fill-opacity': c.opacity }));
      return make('li', {}, box, make('span', {}, c.meaning ? word('no_coverage') : String(c.from)));
    }));
  }

  async function loadInstances() {
    const document = await page.ask(`collections/${encodeURIComponent(state.region)}/instances`);
    const ids = document.instances.map(i => i.id).sort().reverse();
    const text = id => page.clock(`${id.slice(0, 4)}-${id.slice(4, 6)}-${id.slice(6, 8)}T${id.slice(9, 11)}:${id.slice(11, 13)}:00Z`);
    const rows = ids.map((id, i) => i === 0 ? ['latest', `${text(id)} (${word('newest')}, ${methodOf(state.newest)})`] : [id, text(id)]);
    fillSelect(find('issue'), rows, state.issue);
    state.issue = find('issue').value;
  }

  async function loadRegion() {
    const root = `regions/${encodeURIComponent(state.region)}`;
    const first = !state.newest || state.newest.region !== state.region;
    state.newest = await page.ask(root);
    state.attribution = state.newest.attribution;
    const [w, s, e, n] = state.newest.bbox;
    if (map) state.bounds = L.latLngBounds([s, w], [n, e]);
    if (map && first) {
      map.attributionControl.setPrefix('<a href="https://leafletjs.com">Leaflet</a>');
      if (state.credit) map.attributionControl.removeAttribution(state.credit);
      state.credit = make('span', {}, `${state.newest.attribution} · ${word('coasts')}`).innerHTML;
      map.attributionControl.addAttribution(state.credit);
      if (!state.placed) map.fitBounds(state.bounds);
    }
    await loadInstances();
    const chosen = state.issue === 'latest' ? state.newest : await page.ask(`${root}/instances/${state.issue}`);
    setFrames(framesOf(state.newest, chosen));
    await Promise.all([loadBase(), loadLegend()]);
  }

  /* Ask again for everything; one at a time. */
  async function refresh() {
    if (state.busy) { state.again = true; return; }
    state.busy = true;
    try {
      const status = await page.ask('status');
      Object.assign(state, { regions: status.regions, now: Date.parse(status.now), asked: performance.now(), speed: status.speed });
      fillSelect(find('region'), status.regions.map(r => [r.region, r.title + (r.forecast ? ` · ${methodOf(r.forecast)}` : '')]), state.region);
      state.region = find('region').value;
      await loadRegion();
      tell('');
      if (state.place) await askPoint();
    } catch (problem) {
      tell(problem.status === 503 ? word('no_forecast', { why: problem.message }) : problem.status ? problem.message : word('offline'));
    }
    showAge();
    showAlarms();
    state.busy = false;
    if (state.again) { state.again = false; refresh(); }
  }

  /* ---------------------------------------------------------------- a place */

  function summaryOf(p) {
    const start = p.starts && page.clock(p.starts), end = p.ends && page.clock(p.ends);
    const values = { start, end, most: p.max_mm_h === null ? '' : p.max_mm_h.toFixed(1), until: p.known_until && page.clock(p.known_until),
      in: p.starts ? minutes(Date.parse(p.starts) - Date.parse(p.now)) : '' };
    if (p.coverage === 'none') return word('sum_none');
    if (p.raining) return word(end ? 'sum_raining_ends' : 'sum_raining', values);
    if (start) return word(end ? 'sum_starts_ends' : 'sum_starts', values);
    if (p.coverage === 'full') return word('sum_dry', values);
    const tail = p.minutes[p.minutes.length - 1].mm_h === null && !p.minutes.slice(0, p.minutes.findIndex(m => m.time === p.known_until)).some(m => m.mm_h === null);
    return word(tail ? 'sum_dry_partial' : 'sum_dry_gaps', values);
  }

  function drawPoint() {
    const p = state.point;
    find('place').textContent = state.place ? state.place.name || word('location', { lat: state.place.lat.toFixed(3), lon: state.place.lon.toFixed(3) }) : word('panel');
    find('minutes').hidden = !p;
    if (!p) {
      find('summary').textContent = state.problem || word('choose');
      find('graph').replaceChildren();
      find('quality').textContent = '';
      return;
    }
    const summary = summaryOf(p);
    if (find('summary').textContent !== summary) find('summary').textContent = summary;
    find('graph').replaceChildren(...(p.minutes.length ? [graph.rain(p, summary)] : []));
    find('table').replaceChildren(graph.table(p));
    find('quality').textContent = word('quality', { issue: page.clock(p.issue_time), age: minutes(p.age_s * 1000), method: word(p.method),
      quality: Math.round(p.quality_index * 100), words: p.quality, chance: p.probability === null ? '–' : Math.round(p.probability * 100) + ' %' });
  }

  async function askPoint() {
    const asked = state.place;
    if (!state.region) return; /* the first refresh asks */
    state.problem = '';
    let point = null;
    try {
      const address = `nowcast/point?lon=${asked.lon}&lat=${asked.lat}`;
      point = await page.ask(`${address}&region=${encodeURIComponent(state.region)}`);
      if (point.coverage === 'none') point = await page.ask(address); /* another region may have it */
    } catch (problem) {
      point = null;
      state.problem = problem.status === 404 ? word('outside') : problem.status ? problem.message : word('offline');
    }
    if (asked !== state.place) return;
    state.point = point;
    drawPoint();
    showAlarms();
  }

  function choose(lat, lon, name) {
    state.place = { lat: +lat.toFixed(5), lon: +(((lon + 540) % 360) - 180).toFixed(5), name: name || '' };
    history.replaceState(null, '', `${location.search}#${state.place.lat},${state.place.lon}${name ? ',' + encodeURIComponent(name) : ''}`);
    if (map) {
      if (marker) marker.remove();
      marker = L.circleMarker([state.place.lat, state.place.lon], { radius: 8, weight: 3, color: colour('--accent'), fill: false, interactive: false }).addTo(map);
    }
    askPoint();
  }

  /* ---------------------------------------------------------------- search */

  function closeFound() {
    find('found').hidden = true;
    find('search').setAttribute('aria-expanded', 'false');
    find('search').removeAttribute('aria-activedescendant');
  }

  function take(place) {
    closeFound();
    find('search').value = place.name;
    if (map) map.setView([place.lat, place.lon], Math.max(map.getZoom(), 9), { animate: false });
    choose(place.lat, place.lon, place.name);
    find('panel').focus({ preventScroll: false });
  }

  async function search() {
    const text = find('search').value.trim();
    if (text === '') { closeFound(); return; }
    const places = (await page.ask(`search?limit=8&q=${encodeURIComponent(text)}`).catch(() => ({ places: [] }))).places;
    if (text !== find('search').value.trim()) return;
    state.places = places;
    const rows = places.map((place, i) => {
      const row = make('li', { role: 'option', id: `found-${i}`, 'aria-selected': String(i === 0) }, place.name);
      row.addEventListener('mousedown', event => { event.preventDefault(); take(place); });
      return row;
    });
    find('found').replaceChildren(...(rows.length ? rows : [make('li', {}, word('none_found'))]));
    find('found').hidden = false;
    find('search').setAttribute('aria-expanded', 'true');
    if (rows.length) find('search').setAttribute('aria-activedescendant', 'found-0');
  }

  function moveFound(by) {
    const rows = [...find('found').querySelectorAll('[role=option]')];
    const at = rows.findIndex(r => r.getAttribute('aria-selected') === 'true');
    if (rows.length === 0) return;
    const to = (at + by + rows.length) % rows.length;
    rows.forEach((r, i) => r.setAttribute('aria-selected', String(i === to)));
    find('search').setAttribute('aria-activedescendant', rows[to].id);
  }

  function wireSearch() {
    let waiting;
    find('search').addEventListener('input', () => { clearTimeout(waiting); waiting = setTimeout(search, 150); });
    find('search').addEventListener('blur', closeFound);
    find('search').addEventListener('keydown', event => {
      if (event.key === 'ArrowDown' || event.key === 'ArrowUp') { event.preventDefault(); moveFound(event.key === 'ArrowDown' ? 1 : -1); }
      if (event.key === 'Escape') closeFound();
    });
    find('search-form').addEventListener('submit', async event => {
      event.preventDefault();
      if (find('found').hidden) await search();
      const at = [...find('found').querySelectorAll('[role=option]')].findIndex(r => r.getAttribute('aria-selected') === 'true');
      if (at >= 0) take(state.places[at]);
    });
  }

  /* ---------------------------------------------------------------- start */

  function openMap() {
    if (!window.L) { tell(word('no_leaflet')); return; }
    map = L.map('map', { zoomControl: true, minZoom: 3, maxZoom: 12, zoomSnap: .5, worldCopyJump: false });
    map.setView([52, 5], 6);
    map.on('click', event => choose(event.latlng.lat, event.latlng.lng));
    find('map').setAttribute('role', 'application');
    find('map').addEventListener('keydown', event => {
      if (event.key === 'Enter' && event.target === find('map')) askCentre();
    });
  }

  function askCentre() {
    if (!map) return;
    const { lat, lng } = map.getCenter();
    choose(lat, lng);
  }

  function recolour() {
    if (coasts) coasts.setStyle(lineStyle);
    if (cities) cities.eachLayer(dot => dot.setStyle(dotStyle()));
    if (marker) marker.setStyle({ color: colour('--accent') });
  }

  function changed() {
    recolour();
    drawPoint();
    show(state.at);
    refresh();
  }

  function wire() {
    find('play').addEventListener('click', () => play(!state.playing));
    find('back').addEventListener('click', () => { play(false); step(-1); });
    find('forth').addEventListener('click', () => { play(false); step(1); });
    find('time').addEventListener('input', event => { state.follow = false; play(false); show(+event.target.value); });
    for (const name of ['region', 'issue', 'layer']) {
      find(name).addEventListener('change', event => {
        state[name] = event.target.value;
        if (name === 'region') { state.issue = 'latest'; state.follow = true; }
        refresh();
      });
    }
    find('centre').addEventListener('click', askCentre);
    find('watch').addEventListener('change', showAlarms);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', recolour);
    wireSearch();
  }

  /* New forecasts are told by the server; where that fails, or nothing comes, we ask. */
  function listen() {
    const events = new EventSource('events');
    events.addEventListener('forecast', refresh);
    events.addEventListener('missing', refresh);
    setInterval(refresh, REFRESH_MS);
    setInterval(showAge, 5000);
  }

  async function start() {
    page.begin(changed);
    wire();
    openMap();
    state.title = (await page.ask('./?f=json').catch(() => ({ title: 'squall' }))).title;
    find('title').textContent = state.title;
    document.title = state.title;
    const [lat, lon, name] = decodeURIComponent(location.hash.slice(1)).split(',');
    if (lon && Math.abs(+lat) <= 90 && Number.isFinite(+lon)) {
      state.placed = true;
      if (map) map.setView([+lat, +lon], 8);
      choose(+lat, +lon, name);
    }
    drawPoint();
    await refresh();
    listen();
  }
  start();
})();
