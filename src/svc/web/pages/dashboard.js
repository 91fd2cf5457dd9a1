/* How the service does: regions, ages, stages, latencies, scores. */
'use strict';
(() => {
  const { find, make, word } = page;
  const REFRESH_MS = 5000, KEPT = 240;
  const history = new Map(); /* region -> [[seconds since the page was opened, latency]] */
  const opened = performance.now();
  let last = null;

  const span = age => { const s = Math.max(0, age); return  s >= 3600 ? `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min` : s >= 60 ? `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s` : `${Math.round(s)} s`; };
  const ms = s => s >= 1 ? `${s.toPrecision(3)} s` : `${(s * 1000).toPrecision(3)} ms`;

  /* Lines of Prometheus' text format: [{name, labels, value}]. */
  function readMetrics(text) {
    const rows = [];
    for (const line of text.split('\n')) {
      const found = /^([a-z0-9_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
      if (!found) continue;
      const labels = {};
      for (const [, key, value] of (found[2] || '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[key] = value;
      rows.push({ name: found[1], labels, value: Number(found[3]) });
    }
    return rows;
  }

  function drawRegions(status) {
    const heads = ['region', 'state', 'frame_age', 'forecast_age', 'made_by', 'quality_short', 'latency', 'cycles'];
    const table = make('table', {}, make('thead', {}, make('tr', {}, ...heads.map(h => make('th', { scope: 'col' }, word(h))))));
    const body = make('tbody');
    for (const r of status.regions) {
      const f = r.forecast;
      const state = make('td', { class: 'state-' + (r.state === 'no forecast' ? 'none' : r.state) }, word(r.state));
      if (r.missing_since) state.append(` (${word('missing')} ${page.clock(r.missing_since)})`);
      body.append(make('tr', {}, make('th', { scope: 'row' }, r.title), state,
        make('td', {}, r.newest_frame ? span(r.frame_age_s) : '–'),
        make('td', {}, f ? span(f.age_s) : '–'),
        make('td', {}, f ? [word(f.method), f.model, f.engine && `${word('engine')} ${f.engine}`].filter(Boolean).join(', ') : '–'),
        make('td', {}, f ? `${Math.round(f.quality_index * 100)} % (${f.quality})` : '–'),
        make('td', {}, r.latency_s === null ? '–' : ms(r.latency_s)),
        make('td', {}, `${r.cycles} (${r.failures} ${word('failures')})`)));
    }
    table.append(body);
    find('regions').replaceChildren(table);
    find('up').textContent = word('up', { time: span(status.uptime_s), now: `${page.day(status.now)} ${page.clock(status.now)} (${page.utc(status.now)})` });
  }

  /* What callers of the inference protocol had run. */
  function drawEngines(models, metrics) {
    const waiting = new Map(metrics.filter(r => r.name === 'squall_infer_queue_requests').map(r => [r.labels.model, r.value]));
    const table = make('table', {}, make('thead', {}, make('tr', {}, ...['engine', 'state', 'inferences', 'failed', 'runs', 'waiting', 'mean_wait', 'mean_ms'].map(h => make('th', { scope: 'col' }, word(h))))));
    const body = make('tbody');
    for (const m of models) {
      const s = m.stats.inference_stats, done = s.success.count;
      body.append(make('tr', {}, make('th', { scope: 'row' }, m.name),
        make('td', { class: m.state === 'READY' ? 'state-current' : 'state-late' }, word(m.state) + (m.reason ? `: ${m.reason}` : '')),
        make('td', {}, done), make('td', {}, s.fail.count), make('td', {}, m.stats.execution_count), make('td', {}, waiting.get(m.name) || 0),
        make('td', {}, done ? ms(s.queue.ns / done / 1e9) : '–'), make('td', {}, done ? ms(s.compute_infer.ns / done / 1e9) : '–')));
    }
    table.append(body);
    find('engines').replaceChildren(models.length ? table : word('none'));
  }

  /* New versions on their way into service. */
  function drawReleases(releases) {
    const table = make('table', {}, make('thead', {}, make('tr', {}, ...['engine', 'phase', 'in_service', 'candidate', 'step', 'analysis'].map(h => make('th', { scope: 'col' }, word(h))))));
    const body = make('tbody');
    const numbers = v => [v.latency_p50_s === null ? '' : `P50 ${ms(v.latency_p50_s)}, P99 ${ms(v.latency_p99_s)}`, v.csi === null ? '' : `CSI ${v.csi.toFixed(3)}`].filter(Boolean).join(', ');
    for (const r of releases) {
      const on = r.candidate !== 0, a = r.analysis;
      body.append(make('tr', {}, make('th', { scope: 'row' }, r.engine),
        make('td', { class: r.phase === 'Degraded' ? 'state-late' : 'state-current' }, r.phase),
        make('td', {}, r.stable ? `${r.model}/${r.stable}` + (on ? `: ${numbers(a.in_service)}` : '') : '–'),
        make('td', {}, on ? `${r.model}/${r.candidate}: ${numbers(a.candidate)}` : '–'),
        make('td', {}, on ? `${r.step + 1}: ${r.steps.split(',')[r.step]}` : '–'),
        make('td', {}, [on ? r.verdict : '', r.message].filter(Boolean).join(': '))));
    }
    table.append(body);
    find('releases').replaceChildren(releases.length ? table : word('none'));
  }

  /* Where the time of requests to infer goes, of all engines together. */
  function drawInference(models) {
    const stages = { queue: 0, compute_input: 0, compute_infer: 0, compute_output: 0 };
    let done = 0;
    for (const m of models) {
      done += m.stats.inference_stats.success.count;
      for (const k of Object.keys(stages)) stages[k] += m.stats.inference_stats[k].ns / 1e9;
    }
    const rows = Object.entries(stages).map(([k, total]) => ({ name: word(k), value: total / Math.max(1, done), text: ms(total / Math.max(1, done)) }));
    find('inference').replaceChildren(done ? graph.bars(rows, word('inference')) : word('none'));
  }

  function drawAges(status) {
    const rows = status.regions.filter(r => r.newest_frame).map(r => ({ name: r.title, value: Math.max(0, r.frame_age_s) / 60, text: (Math.max(0, r.frame_age_s) / 60).toFixed(1) }));
    find('ages').replaceChildren(rows.length ? graph.bars(rows, word('ages')) : word('none'));
  }

  function drawStages(status) {
    const newest = status.regions.filter(r => r.forecast).sort((a, b) => b.forecast.made_time < a.forecast.made_time ? -1 : 1)[0];
    if (!newest) { find('stages').textContent = word('none'); return; }
    const seconds = newest.forecast.seconds;
    const rows = ['wait', 'motion', 'features', 'engine', 'fields', 'total'].map(k => ({ name: word(k), value: seconds[k] || 0, text: ms(seconds[k] || 0) }));
    find('stages').replaceChildren(make('p', {}, newest.title), graph.bars(rows, word('stages')));
  }

  function drawLatencies(status) {
    for (const r of status.regions) {
      if (r.latency_s === null || r.cycles === 0) continue;
      const points = history.get(r.title) || [];
      points.push([Math.round((performance.now() - opened) / 1000), r.latency_s]);
      history.set(r.title, points.slice(-KEPT));
    }
    const series = [...history].map(([name, points]) => ({ name, points })).sort((a, b) => b.points[b.points.length - 1][1] - a.points[a.points.length - 1][1]).slice(0, 4);
    find('latencies').replaceChildren(series.length ? graph.lines(series, word('latencies'), 's') : word('none'));
  }

  /* Requests by the time they took: buckets of all routes together, each without those below it. */
  function drawHttp(rows) {
    const buckets = new Map();
    for (const r of rows) {
      if (r.name === 'squall_http_request_seconds_bucket') buckets.set(r.labels.le, (buckets.get(r.labels.le) || 0) + r.value);
    }
    const bounds = [...buckets.keys()].sort((a, b) => Number(a.replace('+Inf', 'Infinity')) - Number(b.replace('+Inf', 'Infinity')));
    const bars = bounds.map((le, i) => {
      const count = buckets.get(le) - (i ? buckets.get(bounds[i - 1]) : 0);
      return { name: le === '+Inf' ? '> ' + ms(Number(bounds[i - 1])) : '≤ ' + ms(Number(le)), value: count, text: `${count} ${word('requests')}` };
    });
    find('http').replaceChildren(bars.length ? graph.bars(bars, word('http')) : word('none'));
  }

  function drawSkill(scores, what, where) {
    const series = new Map();
    const least = Math.min(...scores.map(s => s.threshold_mm_h));
    for (const s of scores) {
      if (s.threshold_mm_h !== least || s[what] === null) continue;
      const name = [s.region, s.model || word(s.method)].join(' · ');
      series.set(name, [...(series.get(name) || []), [s.lead_s / 60, s[what]]]);
    }
    const rows = [...series].map(([name, points]) => ({ name, points: points.sort((a, b) => a[0] - b[0]) })).slice(0, 4);
    find(where).replaceChildren(rows.length ? graph.lines(rows, word('skill_' + what), word('lead'), 1) : word('no_scores'));
  }

  function draw() {
    if (!last) return;
    drawRegions(last.status);
    drawEngines(last.models, last.metrics);
    drawReleases(last.releases);
    drawInference(last.models);
    drawAges(last.status);
    drawStages(last.status);
    drawLatencies(last.status);
    drawHttp(last.metrics);
    drawSkill(last.scores, 'csi', 'csi');
    drawSkill(last.scores, 'fss', 'fss');
  }

  async function refresh() {
    try {
      const [status, skill, releases, index, stats, metrics] = await Promise.all([page.ask('status'), page.ask('skill'), page.ask('releases'),
        page.ask('v2/repository/index', 'POST'), page.ask('v2/models/stats'), fetch('metrics', { headers: { Accept: 'text/plain' } }).then(r => r.text())]);
      const of = new Map(stats.model_stats.map(m => [m.name, m]));
      const models = index.filter(m => of.has(m.name)).map(m => ({ ...m, stats: of.get(m.name) }));
      last = { status, models, scores: skill.scores, releases: releases.releases, metrics: readMetrics(metrics) };
      find('notice').hidden = true;
      draw();
    } catch (problem) {
      find('notice').hidden = false;
      find('notice').textContent = problem.status ? problem.message : word('offline');
    }
  }

  page.begin(draw);
  refresh();
  setInterval(refresh, REFRESH_MS);
})();
