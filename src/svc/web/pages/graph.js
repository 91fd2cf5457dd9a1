/* Graphs drawn as SVG: the next hour at a place, bars and lines of the dashboard. */
'use strict';
const graph = {
  nice(value) {
    for (const step of [1, 2, 5, 10, 20, 50, 100, 200, 500]) if (value <= step) return step;
    return 1000;
  },

  /* The answer of /nowcast/point as bars by minute, and the chance of rain as a dashed line. */
  rain(point, summary) {
    const w = 340, h = 190, left = 30, right = 34, top = 22, bottom = 24;
    const make = page.make, minutes = point.minutes;
    const first = Date.parse(minutes[0].time), last = Date.parse(minutes[minutes.length - 1].time);
    const most = graph.nice(Math.max(2, ...minutes.map(m => m.mm_h || 0)));
    const x = time => left + (w - left - right) * (time - first) / Math.max(60000, last - first);
    const y = part => top + (h - top - bottom) * (1 - part);
    const wide = (w - left - right) / minutes.length;
    const svg = make('svg', { viewBox: `0 0 ${w} ${h}`, role: 'img', 'aria-label': page.word('graph', { summary }) });
    minutes.forEach((m, i) => {
      const at = left + wide * i;
      if (m.mm_h === null) {
        svg.append(make('rect', { class: 'unknown', x: at, y: top, width: wide + .3, height: h - top - bottom }));
      } else if (m.mm_h > 0) {
        const part = Math.min(1, m.mm_h / most);
        svg.append(make('rect', { class: 'bar', x: at, y: y(part), width: Math.max(.6, wide - .4), height: y(0) - y(part) }));
      }
    });
    svg.append(make('rect', { class: 'frame', x: left, y: top, width: w - left - right, height: h - top - bottom }));
    for (const part of [0, .5, 1]) {
      svg.append(make('text', { x: left - 4, y: y(part) + 4, 'text-anchor': 'end' }, String(most * part)));
      svg.append(make('text', { class: 'chance-text', x: w - right + 4, y: y(part) + 4 }, part * 100 + '%'));
    }
    svg.append(make('text', { x: 2, y: 12 }, page.word('mm_h')));
    svg.append(make('text', { class: 'chance-text', x: w - 2, y: 12, 'text-anchor': 'end' }, '┅ ' + page.word('chance')));
    const line = point.steps.filter(s => s.probability !== null && Date.parse(s.time) >= first)
      .map((s, i) => `${i ? 'L' : 'M'}${x(Date.parse(s.time)).toFixed(1)} ${y(s.probability).toFixed(1)}`).join('');
    if (line) svg.append(make('path', { class: 'chance', d: line }));
    for (let time = Math.ceil(first / 900000) * 900000; time <= last; time += 900000) {
      svg.append(make('text', { x: x(time), y: h - 7, 'text-anchor': 'middle' }, page.clock(time)));
    }
    return svg;
  },

  /* The same as a table, for those who do not see it. */
  table(point) {
    const make = page.make, chances = new Map(point.steps.map(s => [s.time, s.probability]));
    const table = make('table', {}, make('thead', {}, make('tr', {}, ...['at', 'mm_h', 'chance'].map(k => make('th', { scope: 'col' }, page.word(k))))));
    const body = make('tbody');
    for (const m of point.minutes) {
      const chance = chances.get(m.time);
      body.append(make('tr', {}, make('td', {}, page.clock(m.time)), make('td', {}, m.mm_h === null ? page.word('unknown') : m.mm_h.toFixed(1)),
        make('td', {}, chance === undefined || chance === null ? '' : Math.round(chance * 100) + ' %')));
    }
    table.append(body);
    return table;
  },

  /* Horizontal bars: rows of {name, value, text}; `mark` draws a line at a limit. */
  bars(rows, label, mark) {
    const make = page.make, w = 420, step = 24, left = 130;
    const most = Math.max(...rows.map(r => r.value || 0), mark || 0, 1e-9) * 1.05;
    const svg = make('svg', { viewBox: `0 0 ${w} ${rows.length * step + 6}`, role: 'img',
      'aria-label': label + ': ' + rows.map(r => r.name + ' ' + r.text).join(', ') });
    rows.forEach((row, i) => {
      const width = (w - left - 70) * (row.value || 0) / most;
      svg.append(make('text', { x: left - 6, y: i * step + 17, 'text-anchor': 'end' }, row.name),
        make('rect', { class: 'bar', x: left, y: i * step + 5, width: Math.max(1, width), height: step - 9 }),
        make('text', { x: left + width + 6, y: i * step + 17 }, row.text));
    });
    if (mark) {
      const at = left + (w - left - 70) * mark / most;
      svg.append(make('line', { class: 'now', x1: at, x2: at, y1: 0, y2: rows.length * step + 6 }));
    }
    return svg;
  },

  /* Lines: series of {name, points: [[x, y], ...]}; y from 0 to `most` (by default what they need). */
  lines(series, label, xName, most) {
    const make = page.make, w = 420, h = 200, left = 38, right = 10, top = 10 + 15 * Math.ceil(series.length / 2), bottom = 32;
    const all = series.flatMap(s => s.points);
    const x0 = Math.min(...all.map(p => p[0])), x1 = Math.max(...all.map(p => p[0]), x0 + 1e-9);
    const high = most || Math.max(...all.map(p => p[1]), 1e-9) * 1.1;
    const x = v => left + (w - left - right) * (v - x0) / (x1 - x0), y = v => top + (h - top - bottom) * (1 - v / high);
    const last = s => s.points[s.points.length - 1];
    const svg = make('svg', { viewBox: `0 0 ${w} ${h}`, role: 'img', 'aria-label': label + ': ' +
      series.map(s => `${s.name} ${+last(s)[1].toPrecision(3)}`).join(', ') });
    svg.append(make('rect', { class: 'frame', x: left, y: top, width: w - left - right, height: h - top - bottom }));
    for (const part of [0, .5, 1]) svg.append(make('text', { x: left - 4, y: y(high * part) + 4, 'text-anchor': 'end' }, String(+(high * part).toPrecision(2))));
    svg.append(make('text', { x: left, y: h - 16 }, String(+x0.toPrecision(4))), make('text', { x: w - right, y: h - 16, 'text-anchor': 'end' }, String(+x1.toPrecision(4))),
      make('text', { x: (w + left) / 2, y: h - 3, 'text-anchor': 'middle' }, xName));
    series.forEach((s, i) => {
      const d = s.points.map((p, k) => `${k ? 'L' : 'M'}${x(p[0]).toFixed(1)} ${y(Math.min(high, p[1])).toFixed(1)}`).join('');
      svg.append(make('path', { class: 'line-' + i % 4, d: s.points.length > 1 ? d : d + 'h3' }),
        make('rect', { class: 'key-' + i % 4, x: left + (i % 2) * 185, y: 2 + 15 * (i >> 1), width: 10, height: 10 }),
        make('text', { x: left + 14 + (i % 2) * 185, y: 11 + 15 * (i >> 1) }, s.name));
    });
    return svg;
  }
};
