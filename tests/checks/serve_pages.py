"""The pages for people, in a real browser (Debian's Chromium, without a window), by what a person sees and hears."""
import importlib.util
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from pypi import BUILD, python_with, skip

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    skip("Debian's package chromium is not installed")
if not pathlib.Path("/usr/share/javascript/leaflet/leaflet.js").exists():
    skip("Debian's package libjs-leaflet is not installed")
if importlib.util.find_spec("playwright") is None:
    python = python_with("pages-venv", "playwright==1.65.2")
    os.execv(python, [str(python), __file__])

from playwright.sync_api import sync_playwright
from program import build_engine
from server import Server, copy_frame, watch_config

SHOTS = BUILD / "screenshots"
TIMES = ("0120", "0125", "0130", "0135", "0140", "0145", "0150", "0155")


def expect(holds, what, page=None):
    if not holds:
        if page is not None:
            SHOTS.mkdir(exist_ok=True)
            page.screenshot(path=SHOTS / "failed.png")
        sys.exit(f"FAILED: {what}")


def until(page, holds, arg=None, limit_s=30):
    """Wait until an expression of the page is true; asked from outside, as the page's policy forbids eval."""
    end = time.monotonic() + limit_s
    while not page.evaluate(holds, arg):
        expect(time.monotonic() < end, f"never came true: {holds}; the page says {page.locator('body').inner_text()!r}", page)
        page.wait_for_timeout(50)


def watch(page, problems):
    """A page may log no error, and ask no other host for anything."""
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: problems.append(str(e)))
    page.on("request", lambda r: problems.append("asks " + r.url) if not r.url.startswith(("http://127.0.0.1:", "data:")) else None)


def shoot(page, name):
    SHOTS.mkdir(exist_ok=True)
    page.wait_for_timeout(500)
    page.screenshot(path=SHOTS / f"{name}.png")


def clock(page):
    return page.locator("#clock").get_attribute("data-time"), page.locator("#clock").get_attribute("data-kind")


def colours(page, selector):
    """Distinct colours that the element shows, by a screenshot that the browser itself decodes."""
    shot = page.locator(selector).screenshot()
    return page.evaluate("""async bytes => {
        const image = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
        const canvas = new OffscreenCanvas(image.width, image.height), pen = canvas.getContext('2d');
        pen.drawImage(image, 0, 0);
        const data = pen.getImageData(0, 0, image.width, image.height).data, seen = new Map();
        for (let i = 0; i < data.length; i += 4) {
            const key = data[i] >> 4 << 8 | data[i + 1] >> 4 << 4 | data[i + 2] >> 4;
            seen.set(key, (seen.get(key) || 0) + 1);
        }
        return [...seen.values()].filter(n => n > 20).length;
    }""", list(shot))


def map_and_slider(page):
    until(page, "document.querySelectorAll('#issue option').length > 0 && document.getElementById('clock').dataset.time")
    expect(page.locator("#title").inner_text() == "Rain office", "the service's name is the title", page)
    slider = page.locator("#time")
    count = int(slider.get_attribute("max")) + 1
    expect(count == 9 + 12, f"9 radar frames and 12 forecasts on the slider, not {count}", page)
    expect(clock(page) == ("2010-08-26T02:00:00.000Z", "observed"), f"the newest radar frame comes first: {clock(page)}", page)
    until(page, "[...document.querySelectorAll('.rain img')].some(i => i.complete && i.naturalWidth > 0)")
    page.wait_for_timeout(600)
    expect(colours(page, "#map") >= 6, "rain and coasts are drawn", page)
    legend = page.locator("#legend").inner_text()
    expect("mm/h" in legend and "no data" in legend and len(page.locator("#classes li").all()) >= 10, f"the legend: {legend}", page)
    expect("KNMI" in page.locator(".leaflet-control-attribution").inner_text(), "whose data it is", page)
    expect("Den Helder" in page.locator("#map").inner_text(), "cities are named", page)
    # By keyboard: the slider to its ends.
    slider.focus()
    page.keyboard.press("End")
    expect(clock(page) == ("2010-08-26T03:00:00.000Z", "forecast"), f"End is the last lead time: {clock(page)}", page)
    expect("forecast +60 min" in slider.get_attribute("aria-valuetext"), "a screen reader hears which time it is", page)
    page.keyboard.press("Home")
    expect(clock(page)[0] == "2010-08-26T01:20:00.000Z", "Home is the oldest frame", page)
    page.keyboard.press("ArrowRight")
    expect(clock(page)[0] == "2010-08-26T01:25:00.000Z", "an arrow is one frame", page)
    page.locator("#play").press("Enter")
    until(page, "document.getElementById('clock').dataset.time >= '2010-08-26T01:35'")
    expect(page.locator("#play").get_attribute("aria-pressed") == "true", "it plays", page)
    page.locator("#play").press("Enter")
    stopped = clock(page)
    page.wait_for_timeout(1500)
    expect(clock(page) == stopped, "and stops", page)


def choices(page):
    page.locator("#layer").select_option("forecast")
    until(page, "document.getElementById('time').max === '11'")
    page.locator("#layer").select_option("observed")
    until(page, "document.getElementById('time').max === '8'")
    page.locator("#layer").select_option("both")
    until(page, "document.getElementById('time').max === '20'")
    text = page.locator("#region option:checked").inner_text()
    expect("Netherlands" in text and "default-2" in text, f"the region says by what it is forecast: {text}", page)


def place(page):
    box = page.locator("#search")
    box.fill("held")
    page.wait_for_selector("#found [role=option]")
    expect(box.get_attribute("aria-expanded") == "true", "the list is announced", page)
    box.press("Enter")
    page.wait_for_selector("#graph svg")
    expect(page.locator("#place").inner_text() == "Den Helder", "the place", page)
    summary = page.locator("#summary").inner_text()
    expect(re.search(r"rain", summary, re.I) and len(summary) > 15, f"a sentence says it: {summary}", page)
    label = page.locator("#graph svg").get_attribute("aria-label")
    expect(summary in label, f"the graph says it to those who do not see it: {label}", page)
    quality = page.locator("#quality").inner_text()
    expect(re.search(r"Forecast of \d\d:\d\d, \d+ min old, by the model; quality \d+ % \(nominal\)\. Highest chance of rain \d+ %", quality), quality, page)
    expect(len(page.locator("#graph .bar").all()) > 5 and page.locator("#graph .chance").count() == 1, "bars and chance", page)
    page.locator("#minutes summary").click()
    expect(len(page.locator("#table tbody tr").all()) >= 55, "a table of the same", page)
    shoot(page, "map-light")
    # A click somewhere else, and the keyboard's way: the map's centre.
    box_of_map = page.locator("#map").bounding_box()
    page.mouse.click(box_of_map["x"] + box_of_map["width"] / 2 + 60, box_of_map["y"] + box_of_map["height"] / 2)
    until(page, "document.getElementById('place').textContent.startsWith('Place ')")
    clicked = page.locator("#place").inner_text()
    page.locator("#map").focus()
    page.keyboard.press("Enter")
    until(page, f"document.getElementById('place').textContent !== {clicked!r}")
    box.fill("paris")
    page.wait_for_selector("#found [role=option]")
    box.press("Enter")
    until(page, "document.getElementById('summary').textContent.includes('outside')")
    expect(page.locator("#graph svg").count() == 0, "what is not known is not drawn", page)


def news(page, server, folder):
    """A new frame comes: the page shows it by itself, with the alarm that it raises; earlier forecasts can be chosen."""
    page.locator("#search").fill("held")
    page.wait_for_selector("#found [role=option]")
    page.locator("#search").press("Enter")
    page.wait_for_selector("#graph svg")
    copy_frame("0205", folder)
    server.forecast("nl", "02:05")
    until(page, "document.querySelector('#issue option').textContent.startsWith('02:05 (newest')")
    page.wait_for_selector("#alarm:not([hidden])")
    alarm = page.locator("#alarm").inner_text()
    expect("Heavy rain in Netherlands from" in alarm and page.locator("#alarm").get_attribute("role") == "alert", alarm, page)
    expect(page.title().startswith("⚠"), "the tab shows it, too", page)
    page.locator("#issue").select_option("20100826T020000Z")
    until(page, "document.getElementById('time').max === '20'")
    page.locator("#time").focus()
    page.keyboard.press("End")
    expect(clock(page)[0] == "2010-08-26T03:00:00.000Z", f"the earlier forecast ends earlier: {clock(page)}", page)


def chinese_and_dark(page):
    page.locator("#language").select_option("zh")
    expect(page.locator("html").get_attribute("lang") == "zh-Hans", "the language is declared", page)
    for selector, words in (("#legend", "毫米/小时"), ("#alarm", "强降雨"), ("#quality", "起报"), ("#player", "雷达实况与预报")):
        until(page, "([s, w]) => document.querySelector(s).innerText.includes(w)", [selector, words])
    english = page.evaluate("[...document.querySelectorAll('[data-word]')].filter(n => n.textContent === WORDS.en[n.dataset.word] && WORDS.zh[n.dataset.word] !== WORDS.en[n.dataset.word]).length")
    expect(english == 0, "no English is left", page)
    missing = page.evaluate("Object.keys(WORDS.en).filter(k => !(k in WORDS.zh)).concat(Object.keys(WORDS.zh).filter(k => !(k in WORDS.en)))")
    expect(missing == [], f"words that one language lacks: {missing}", page)
    page.locator("#theme").click()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    expect(sum(map(int, re.findall(r"\d+", ground)[:3])) < 120, f"dark: {ground}", page)
    shoot(page, "map-dark-zh")
    page.reload()
    page.wait_for_selector("#graph svg")
    expect(page.locator("html").get_attribute("data-theme") == "dark" and "起报" in page.locator("#player").inner_text(), "both are remembered", page)


def contrast(page, what):
    """Every text stands out from its ground by 4.5 : 1 (WCAG 2.1, 1.4.3)."""
    weak = page.evaluate("""() => {
        const light = c => { const v = c.map(x => { x /= 255; return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; }); return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
        const parse = t => (t.match(/[\\d.]+/g) || []).map(Number);
        const ground = n => { for (; n; n = n.parentElement) { const c = parse(getComputedStyle(n).backgroundColor); if (c.length && (c.length < 4 || c[3] === 1)) return c.slice(0, 3); } return [255, 255, 255]; };
        const out = [];
        for (const n of document.querySelectorAll('header *, #player *, #panel *, #legend *, #alarm, main section *')) {
            if (!n.offsetParent || ![...n.childNodes].some(c => c.nodeType === 3 && c.textContent.trim())) continue;
            const a = light(parse(getComputedStyle(n).color).slice(0, 3)), b = light(ground(n));
            const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            if (ratio < 4.5) out.push(n.tagName + ' "' + n.textContent.trim().slice(0, 30) + '" ' + ratio.toFixed(2));
        }
        return out;
    }""")
    expect(weak == [], f"{what}: too little contrast: {weak}", page)
    nameless = page.evaluate("""() => [...document.querySelectorAll('button, input, select, svg[role=img]')].filter(n => n.offsetParent !== null &&
        !(n.getAttribute('aria-label') || n.textContent.trim() || (n.labels && n.labels.length))).map(n => n.outerHTML.slice(0, 80))""")
    expect(nameless == [], f"{what}: controls without a name: {nameless}", page)


def phone(browser, address, problems):
    context = browser.new_context(viewport={"width": 360, "height": 740}, device_scale_factor=2, is_mobile=True, has_touch=True, locale="en-GB", timezone_id="UTC")
    page = context.new_page()
    watch(page, problems)
    page.goto(address + "/map#52.96,4.76,Den Helder")
    page.wait_for_selector("#graph svg")
    until(page, "[...document.querySelectorAll('.rain img')].some(i => i.complete && i.naturalWidth === 512)")
    width = page.evaluate("document.documentElement.scrollWidth")
    expect(width <= 360, f"a phone's width is enough: {width}", page)
    expect(page.locator("#place").inner_text() == "Den Helder", "the address names the place", page)
    for selector in ("#play", "#back", "#forth", "#search"):
        expect(page.locator(selector).bounding_box()["height"] >= 32, f"{selector} is large enough to touch", page)
    shoot(page, "map-phone")
    context.close()


def dashboard(browser, address, problems):
    context = browser.new_context(viewport={"width": 1200, "height": 900}, locale="en-GB", timezone_id="UTC")
    page = context.new_page()
    watch(page, problems)
    page.goto(address + "/map")
    page.get_by_role("link", name="Status").click()
    page.wait_for_selector("#regions tbody tr")
    row = page.locator("#regions tbody tr").inner_text()
    expect("Netherlands" in row and "the model" in row and "drift" in row and "nominal" in row, row, page)
    for section in ("ages", "stages", "latencies", "http", "csi", "fss"):
        page.wait_for_selector(f"#{section} svg", timeout=20000)
        expect(re.search(r"\d", page.locator(f"#{section} svg").first.get_attribute("aria-label")), f"{section} says its numbers", page)
    engine = page.locator("#engines tbody tr").inner_text()
    expect(engine.split()[:2] == ["drift", "ready"], f"the engine: {engine}", page)
    contrast(page, "dashboard")
    shoot(page, "dashboard")
    page.locator("#language").select_option("zh")
    expect("外推" not in page.locator("#regions").inner_text() and "模型" in page.locator("#regions").inner_text(), "Chinese", page)
    context.close()


def offline(page, server, problems):
    """The server goes: the page says so, and does not pretend."""
    server.stop()
    page.locator("#layer").select_option("forecast")
    until(page, "!document.getElementById('notice').hidden")
    expect("cannot be reached" in page.locator("#notice").inner_text() or "无法连接" in page.locator("#notice").inner_text(), "it says so", page)
    problems.clear()


def main():
    problems = []
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = pathlib.Path(name)
        incoming = folder / "in"
        incoming.mkdir()
        engine = build_engine(folder)
        config = watch_config(incoming, more="engines = drift\nalarm_mm_h = 1\nalarm_cells = 1") + f"[engine drift]\nfile = {engine}\n"
        for hhmm in (*TIMES, "0200"):
            copy_frame(hhmm, incoming)
        with Server(config, folder, server="title = Rain office") as server:
            server.forecast("nl", "02:00")
            expect(b"<!doctype html>" in server.get("/", headers={"Accept": "text/html,*/*;q=0.8"}).body, "a browser gets the map")
            expect(server.get("/").json()["title"] == "Rain office", "a program gets JSON")
            for wrong in ("/web/nothing.js", "/web/..%2fserve.c", "/web/leaflet/LICENSE", "/web/leaflet/..%2f..%2fetc"):
                expect(server.get(wrong, status=None).status in (400, 404), wrong)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_context(viewport={"width": 1200, "height": 800}, locale="en-GB", timezone_id="UTC").new_page()
            page.set_default_timeout(30000)
            watch(page, problems)
            page.goto(server.address + "/")
            map_and_slider(page)
            choices(page)
            place(page)
            contrast(page, "light")
            news(page, server, incoming)
            chinese_and_dark(page)
            contrast(page, "dark")
            phone(browser, server.address, problems)
            dashboard(browser, server.address, problems)
            problems[:] = [p for p in problems if "404" not in p]  # Paris, which is asked for on purpose
            expect(problems == [], f"what the browser complains of: {problems}")
            offline(page, server, problems)
            browser.close()
    print("the pages show what is forecast")


main()
