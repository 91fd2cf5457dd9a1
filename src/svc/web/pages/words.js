/* Words of the pages in each language, the theme, and what both pages share. */
'use strict';
const WORDS = {
  en: {
    skip: 'To the forecast of a place', search: 'Find a place', found: 'Places', none_found: 'No place of that name',
    dashboard: 'Status', to_map: 'Map', theme: 'Light / dark', map: 'Map of rain; arrow keys move it, Enter asks for its centre',
    legend: 'Colours of rain rates', rate: 'Rain, mm/h', no_coverage: 'no data', player: 'Time', back: 'One step back', forth: 'One step on',
    play: 'Play', pause: 'Pause', time: 'Time shown', region: 'Region', issue: 'Forecast', layer: 'Show', newest: 'newest',
    both: 'Radar, then forecast', observed: 'Radar alone', forecast: 'Forecast alone', is_observed: 'radar', is_forecast: 'forecast',
    panel: 'The next hour at a place', choose: 'Choose a place on the map, or search for one', watch: 'Alert me when rain is coming here',
    centre: 'Ask for the centre of the map', table: 'Minute by minute', at: 'Time', mm_h: 'mm/h', chance: 'chance of rain',
    min: 'min', unknown: 'no radar coverage',
    outside: 'This place is outside the regions that are forecast.',
    sum_none: 'There is no radar coverage here: nothing is known.',
    sum_raining_ends: 'Raining now, until about {end}; up to {most} mm/h.',
    sum_raining: 'Raining now, and still at {until}; up to {most} mm/h.',
    sum_starts_ends: 'Rain from about {start} (in {in} min) to {end}; up to {most} mm/h.',
    sum_starts: 'Rain from about {start} (in {in} min); up to {most} mm/h.',
    sum_dry: 'No rain expected until {until}.', sum_dry_partial: 'No rain expected until {until}; after that nothing is known.',
    sum_dry_gaps: 'No rain expected where it is known; parts of the hour are not.',
    quality: 'Forecast of {issue}, {age} min old, by {method}; quality {quality} % ({words}). Highest chance of rain {chance}.',
    graph: 'Rain of the next hour, minute by minute. {summary}',
    age: 'Radar of {time}, {age} min old', no_forecast: 'There is no forecast now: {why}', offline: 'The server cannot be reached.',
    alarm: 'Heavy rain in {region} from {time}: up to {rate} mm/h.', rain_here: 'Rain is coming to {place} at {time}.',
    no_leaflet: 'Leaflet is not installed on the server (Debian: libjs-leaflet); the map cannot be drawn.',
    location: 'Place {lat}, {lon}', coasts: 'Coastlines: GSHHG',
    model: 'the model', extrapolation: 'extrapolation', persistence: 'persistence', sprog: 'S-PROG', steps: 'STEPS',
    status: 'Status', regions: 'Regions', state: 'State', frame_age: 'Age of the radar frame', forecast_age: 'Age of the forecast', made_by: 'Made by',
    cycles: 'Cycles', failures: 'failed', latency: 'Latency', quality_short: 'Quality', missing: 'Missing', engine: 'Engine',
    ages: 'Age of the newest frame, minutes', stages: 'Newest cycle by stage, seconds', latencies: 'From the last file to the forecast, seconds',
    http: 'Answers over HTTP by time', skill_csi: 'CSI by lead time (0.1 mm/h and more)', skill_fss: 'FSS by lead time', engines: 'Engines', releases: 'Releases', in_service: 'In service', candidate: 'On trial', step: 'Step', analysis: 'Analysis', phase: 'Phase', no_scores: 'No scores yet: they come with the frames that follow.',
    READY: 'ready', UNAVAILABLE: 'unavailable', current: 'current', late: 'late', 'no forecast': 'no forecast', wait: 'wait', motion: 'motion', features: 'features', fields: 'fields', total: 'total',
    up: 'Running for {time}; the service\'s clock is {now}', requests: 'requests', inferences: 'Inferences', failed: 'Failed', runs: 'Runs', waiting: 'Waiting now', mean_wait: 'Mean wait', mean_ms: 'Mean time',
    inference: 'Requests to infer by stage, mean', queue: 'queue', compute_input: 'input', compute_infer: 'inference', compute_output: 'output', none: 'none',
    lead: 'lead time, min', forecasts: 'forecasts', updated: 'updated {time}'
  },
  zh: {
    skip: '跳到地点预报', search: '查找地点', found: '地点', none_found: '没有这个地点',
    dashboard: '运行状态', to_map: '地图', theme: '浅色 / 深色', map: '降雨地图；方向键移动，回车查询地图中心',
    legend: '降雨强度图例', rate: '降雨强度（毫米/小时）', no_coverage: '无数据', player: '时间', back: '后退一步', forth: '前进一步',
    play: '播放', pause: '暂停', time: '显示的时间', region: '区域', issue: '起报时间', layer: '显示', newest: '最新',
    both: '雷达实况与预报', observed: '仅雷达实况', forecast: '仅预报', is_observed: '实况', is_forecast: '预报',
    panel: '某地未来一小时', choose: '在地图上点选地点，或搜索地点', watch: '此地将要下雨时提醒我',
    centre: '查询地图中心', table: '逐分钟', at: '时间', mm_h: '毫米/小时', chance: '降雨概率',
    min: '分钟', unknown: '无雷达覆盖',
    outside: '此地不在预报区域内。',
    sum_none: '此地没有雷达覆盖，情况未知。',
    sum_raining_ends: '正在下雨，约 {end} 停止；最大 {most} 毫米/小时。',
    sum_raining: '正在下雨，{until} 仍未停；最大 {most} 毫米/小时。',
    sum_starts_ends: '约 {start} 开始下雨（{in} 分钟后），{end} 停止；最大 {most} 毫米/小时。',
    sum_starts: '约 {start} 开始下雨（{in} 分钟后）；最大 {most} 毫米/小时。',
    sum_dry: '{until} 之前预计无雨。', sum_dry_partial: '{until} 之前预计无雨，此后情况未知。',
    sum_dry_gaps: '已知时段预计无雨，部分时段情况未知。',
    quality: '{issue} 起报，{age} 分钟前，方法：{method}；质量 {quality} %（{words}）。最大降雨概率 {chance}。',
    graph: '未来一小时逐分钟降雨。{summary}',
    age: '雷达 {time}，{age} 分钟前', no_forecast: '目前没有预报：{why}', offline: '无法连接服务器。',
    alarm: '{region} 自 {time} 起有强降雨，最大 {rate} 毫米/小时。', rain_here: '{place} 将于 {time} 下雨。',
    no_leaflet: '服务器未安装 Leaflet（Debian 软件包 libjs-leaflet），无法绘制地图。',
    location: '地点 {lat}，{lon}', coasts: '海岸线：GSHHG',
    model: '模型', extrapolation: '外推', persistence: '持续性', sprog: 'S-PROG', steps: 'STEPS',
    status: '运行状态', regions: '区域', state: '状态', frame_age: '雷达资料时效', forecast_age: '预报时效', made_by: '方法',
    cycles: '周期', failures: '失败', latency: '延迟', quality_short: '质量', missing: '缺测', engine: '引擎',
    ages: '最新雷达资料时效（分钟）', stages: '最近周期各阶段（秒）', latencies: '从最后一个文件到预报（秒）',
    http: 'HTTP 应答时间分布', skill_csi: '各时效 CSI（0.1 毫米/小时以上）', skill_fss: '各时效 FSS', engines: '引擎', releases: '发布', in_service: '在用版本', candidate: '试用版本', step: '步骤', analysis: '分析', phase: '阶段', no_scores: '尚无评分：待后续资料到达。',
    READY: '就绪', UNAVAILABLE: '不可用', current: '正常', late: '迟到', 'no forecast': '无预报', wait: '等待', motion: '运动', features: '特征', fields: '场', total: '总计',
    up: '已运行 {time}；服务时钟 {now}', requests: '次请求', inferences: '推理次数', failed: '失败', runs: '运行次数', waiting: '等待中', mean_wait: '平均等待', mean_ms: '平均时间',
    inference: '推理请求各阶段（平均）', queue: '排队', compute_input: '输入', compute_infer: '推理', compute_output: '输出', none: '无',
    lead: '时效（分钟）', forecasts: '次预报', updated: '更新于 {time}'
  }
};

/* What was chosen before; a browser that keeps nothing is no failure. */
const kept = {
  get(name) { try { return localStorage.getItem('squall-' + name); } catch (e) { return null; } },
  set(name, value) { try { localStorage.setItem('squall-' + name, value); } catch (e) { return; } }
};

const page = {
  language: 'en',
  word(name, values) {
    const text = WORDS[page.language][name] || WORDS.en[name] || name;
    return values ? text.replace(/\{(\w+)\}/g, (all, key) => key in values ? values[key] : all) : text;
  },
  clock(time) {
    return new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' }).format(new Date(time));
  },
  utc(time) { return new Date(time).toISOString().slice(11, 16) + ' UTC'; },
  day(time) {
    return new Intl.DateTimeFormat(page.language === 'zh' ? 'zh-CN' : 'en-GB',
      { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' }).format(new Date(time));
  },
  find: id => document.getElementById(id),
  make(name, attributes, ...children) {
    const svg = ['svg', 'rect', 'path', 'line', 'text', 'g', 'title'].includes(name);
    const node = svg ? document.createElementNS('http://www.w3.org/2000/svg', name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
    node.append(...children.map(child => typeof child === 'number' ? String(child) : child));
    return node;
  },
  /* Ask the server, whatever the browser keeps: news is why we ask. An answer that is no 2xx becomes an error with its words. */
  async ask(address, method = 'GET') {
    const answer = await fetch(address, { method, headers: { Accept: 'application/json' }, cache: 'no-cache' });
    const text = await answer.text();
    if (!answer.ok) {
      let why = answer.status + '';
      try { why = JSON.parse(text).description; } catch (e) { why = answer.status + ' ' + answer.statusText; }
      throw Object.assign(new Error(why), { status: answer.status });
    }
    return JSON.parse(text);
  },
  translate() {
    document.documentElement.lang = page.language === 'zh' ? 'zh-Hans' : 'en';
    for (const node of document.querySelectorAll('[data-word]')) node.textContent = page.word(node.dataset.word);
    for (const node of document.querySelectorAll('[data-label]')) {
      node.setAttribute('aria-label', page.word(node.dataset.label));
      if (node.tagName === 'BUTTON') node.title = page.word(node.dataset.label);
    }
    for (const node of document.querySelectorAll('[data-placeholder]')) node.placeholder = page.word(node.dataset.placeholder);
  },
  /* Wire the language and the theme; `changed` is called when one of them is another. */
  begin(changed) {
    const asked = new URLSearchParams(location.search).get('lang') || kept.get('language') || navigator.language;
    page.language = asked.toLowerCase().startsWith('zh') ? 'zh' : 'en';
    page.find('language').value = page.language;
    page.find('language').addEventListener('change', event => {
      page.language = event.target.value;
      kept.set('language', page.language);
      page.translate();
      changed();
    });
    page.find('theme').addEventListener('click', () => {
      const dark = getComputedStyle(document.documentElement).colorScheme.includes('dark');
      document.documentElement.dataset.theme = dark ? 'light' : 'dark';
      kept.set('theme', document.documentElement.dataset.theme);
      changed();
    });
    page.translate();
  }
};
if (kept.get('theme')) document.documentElement.dataset.theme = kept.get('theme');
