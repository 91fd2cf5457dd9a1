#!/usr/bin/env python3
"""How much the service takes: requests a second and latencies by wrk on the loopback, nginx beside it on the same tile; and the
time from the last radar file to the published forecasts of 12 regions.

    bench/service.py [--seconds 5] [--engine FILE]    # needs wrk, and nginx (nginx-light) for its line

Prints a Markdown table. Run it on a machine that does nothing else.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
SQUALL = ROOT / "build/release/src/squall"
POINT = "/collections/nl/position?coords=POINT(4.9+52.37)&parameter-name=rainrate"
TILE = "/tiles/nl/latest/latest/7/65/42.png"


def start(folder, regions, more=""):
    ini = folder / "squall.ini"
    ini.write_text(f"[server]\nlisten = 127.0.0.1:0\ndata = {folder}/data\n[replay]\nspeed = {30 if more else 1}\n"
                   f"start = 2010-08-26T01:00Z\n[source knmi]\nreplay = {ROOT}/data/knmi\n{more}{regions}")
    log = open(folder / "log", "w")
    process = subprocess.Popen([SQUALL, "serve", "--config", ini], stdout=subprocess.PIPE, stderr=log, text=True)
    address = process.stdout.readline().strip()
    for _ in range(600):
        try:
            urllib.request.urlopen(address + "/health/ready").read()
            return process, address
        except OSError:
            time.sleep(0.1)
    sys.exit("the service did not become ready")


def wrk(url, seconds, connections=16):
    """Requests a second, P50 and P99 in ms."""
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url], capture_output=True, text=True).stdout
    if "Non-2xx" in out:
        sys.exit(f"{url}\n{out}")
    unit = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    at = {p: float(v) * unit[u] for p, v, u in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", out)}
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), at["50"], at["99"]


def nginx(folder, tile, seconds):
    if shutil.which("nginx") is None and not os.path.exists("/usr/sbin/nginx"):
        return None
    (folder / "www").mkdir()
    (folder / "www/tile.png").write_bytes(tile)
    os.chmod(folder, 0o755)
    (folder / "nginx.conf").write_text(
        f"daemon off;\nworker_processes 2;\npid {folder}/pid;\nerror_log {folder}/error;\nevents {{}}\n"
        f"http {{ access_log off; sendfile on; types {{ image/png png; }}\n"
        f"server {{ listen 127.0.0.1:18099; root {folder}/www; expires 60; }} }}\n")
    process = subprocess.Popen(["nginx", "-c", folder / "nginx.conf"], stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    try:
        return wrk("http://127.0.0.1:18099/tile.png", seconds)
    finally:
        process.terminate()
        process.wait()


def requests(folder, seconds):
    process, address = start(folder, "[region nl]\nradar = knmi\n")
    try:
        tile = urllib.request.urlopen(address + TILE).read()
        urllib.request.urlopen(address + POINT).read()
        print("| what | requests/s | P50, ms | P99, ms |\n|---|---|---|---|")
        for name, url in (("EDR position, CoverageJSON", POINT), ("`/nowcast/point`", "/nowcast/point?lon=4.9&lat=52.37"),
                          (f"tile of {len(tile)} bytes", TILE), ("`/health/live`", "/health/live")):
            print("| {} | {:.0f} | {:.2f} | {:.2f} |".format(name, *wrk(address + url, seconds)), flush=True)
    finally:
        process.terminate()
        process.wait()
    beside = nginx(folder, tile, seconds)
    if beside is not None:
        print("| the same tile by nginx, 2 workers | {:.0f} | {:.2f} | {:.2f} |".format(*beside))


def cycles(folder, engine):
    regions = "".join(f"[region r{n}]\nradar = knmi\nengines = e\nwindow = {x},{y},256,256\n"
                      for n, (x, y) in enumerate((x, y) for y in (100, 250, 400, 500) for x in (60, 200, 400)))
    process, address = start(folder, regions, f"[engine e]\nfile = {engine}\n")
    time.sleep(55)  # five cycles and a bit, at 10 s each
    process.terminate()
    process.wait()
    by_issue = {}
    for line in (folder / "log").read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "forecast":
            by_issue.setdefault(event["issue_time"], []).append((event["latency_s"], event["method"]))
    print("\n| cycle of 12 regions, 256 × 256 cells | last forecast published after, s |\n|---|---|")
    for issue, made in sorted(by_issue.items())[1:]:
        if len(made) == 12:
            print(f"| {issue}, by {'/'.join(sorted({m for _, m in made}))} | {max(l for l, _ in made):.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--engine", help="engine of the default model for 256 x 256 cells; with it the cycles are timed, too")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        requests(pathlib.Path(folder), wanted.seconds)
    if wanted.engine:
        with tempfile.TemporaryDirectory() as folder:
            cycles(pathlib.Path(folder), wanted.engine)


if __name__ == "__main__":
    main()
