#!/usr/bin/env python3
"""How much the service takes, on the loopback; wrk, h2load and nginx (nginx-light) must be installed. Each part prints a table:

    bench/service.py requests [--seconds 5] [--rounds 3]        # requests a second and latencies; nginx beside it on the same tile
    bench/service.py rate [--seconds 20]                        # latencies of positions that are asked for at 2,000/s
    bench/service.py infer --engine FILE [--seconds 120]        # 12 callers at once, each with the next request when it is answered
    bench/service.py tensor [--seconds 5]                       # what a request with 4 MiB adds to the engine's time
    bench/service.py idle [--connections 10000]                 # connections that say nothing, and requests beside them
    bench/service.py cycles --engine FILE [--rounds 5]          # from the last radar file to the published forecasts of 12 regions

Run it on a machine that does nothing else.
"""
import argparse
import json
import os
import pathlib
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
SQUALL = ROOT / "build/release/src/squall"
POINT = "/collections/nl/position?coords=POINT(4.9+52.37)&parameter-name=rainrate"
TILE = "/tiles/nl/latest/latest/7/65/42.png"
KNMI = f"[source knmi]\nreplay = {ROOT}/data/knmi\n"
NL = "[region nl]\nradar = knmi\n"


class Service:
    """with Service(sections) as service: it serves what the sections say."""

    def __init__(self, sections, server="", speed=1, ready=True):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="squall-bench-"))
        ini = self.folder / "squall.ini"
        ini.write_text(f"[server]\nlisten = 127.0.0.1:0\ndata = {self.folder}/data\n{server}\n"
                       f"[replay]\nspeed = {speed}\nstart = 2010-08-26T01:00Z\n{sections}")
        self.process = subprocess.Popen([SQUALL, "serve", "--config", ini], stdout=subprocess.PIPE,
                                        stderr=open(self.folder / "log", "w"), text=True)
        self.address = self.process.stdout.readline().strip()
        until = time.monotonic() + 60
        while ready and not self.ready():
            if time.monotonic() > until:
                sys.exit("the service did not become ready")
            time.sleep(0.1)

    def ready(self):
        try:
            return urllib.request.urlopen(self.address + "/health/ready").status == 200
        except OSError:
            return False

    def get(self, path):
        return urllib.request.urlopen(self.address + path).read()

    def rss_mb(self):
        return int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def wrk(url, seconds, connections=16, script=None):
    """Requests a second, P50 and P99 in ms, answers that were none."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "20", *(["-s", str(script)] if script else []), url]
    out = subprocess.run(command, capture_output=True, text=True).stdout
    unit = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    at = {p: float(v) * unit[u] for p, v, u in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", out)}
    lost = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", out)))
    lost += sum(sum(map(int, found)) for found in re.findall(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", out))
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), at["50"], at["99"], lost


def line(name, runs):
    """A row: the median of some runs and, in brackets, their spread."""
    columns = list(zip(*runs))
    if any(columns[3]):
        sys.exit(f"{name}: {sum(columns[3])} requests were not answered well")
    cells = [f"{statistics.median(c):.{d}f} ({min(c):.{d}f}–{max(c):.{d}f})" for c, d in zip(columns[:3], (0, 2, 2))]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def nginx(folder, tile):
    (folder / "www").mkdir()
    (folder / "www/tile.png").write_bytes(tile)
    os.chmod(folder, 0o755)
    (folder / "nginx.conf").write_text(
        f"daemon off;\nworker_processes 2;\npid {folder}/pid;\nerror_log {folder}/error;\nevents {{}}\n"
        f"http {{ access_log off; sendfile on; types {{ image/png png; }}\n"
        f"server {{ listen 127.0.0.1:18099; root {folder}/www; expires 60; }} }}\n")
    process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", folder / "nginx.conf"], stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    return process


def requests(wanted):
    with Service(KNMI + NL) as service:
        tile = service.get(TILE)
        service.get(POINT)
        peer = nginx(service.folder, tile)
        try:
            print("| what | requests/s | P50, ms | P99, ms |\n|---|---|---|---|")
            urls = (("EDR position, CoverageJSON", service.address + POINT),
                    ("`/nowcast/point`", service.address + "/nowcast/point?lon=4.9&lat=52.37"),
                    (f"tile of {len(tile)} bytes", service.address + TILE),
                    ("the same tile by nginx, 2 workers", "http://127.0.0.1:18099/tile.png"),
                    ("`/health/live`", service.address + "/health/live"))
            runs = {name: [] for name, _ in urls}
            for _ in range(wanted.rounds):  # in turn, so that all see the same machine
                for name, url in urls:
                    runs[name].append(wrk(url, wanted.seconds or 5))
            for name, _ in urls:
                line(name, runs[name])
        finally:
            peer.terminate()
            peer.wait()


def percentiles(log):
    """P50, P99 and the longest time in ms of h2load's log: start, status, microseconds."""
    rows = [row.split() for row in log.read_text().splitlines()]
    if any(row[1] != "200" for row in rows):
        sys.exit("h2load: some answers were none")
    times = sorted(int(row[2]) / 1e3 for row in rows)
    return len(times), times[len(times) // 2], times[int(len(times) * 0.99)], times[-1]


def rate(wanted):
    seconds = wanted.seconds or 20
    with Service(KNMI + NL) as service:
        service.get(POINT)
        print("| positions at 2,000/s, 20 connections | answered | P50, ms | P99, ms | longest, ms |\n|---|---|---|---|---|")
        for n in range(wanted.rounds):
            log = service.folder / f"h2load{n}"
            subprocess.run(["h2load", "--h1", "-t1", "-c20", "--rps=100", f"-n{2000 * seconds}", f"--log-file={log}", service.address + POINT],
                           check=True, stdout=subprocess.DEVNULL)
            print("| run {} | {} | {:.2f} | {:.2f} | {:.2f} |".format(n + 1, *percentiles(log)), flush=True)


def infer_script(folder, shape):
    """A script for wrk that sends a tensor of zeros."""
    size = 4
    for d in shape:
        size *= d
    head = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": shape, "parameters": {"binary_data_size": size}}],
                       "parameters": {"binary_data_output": True}}).encode()
    head += b" " * (-len(head) % 64)
    (folder / "body").write_bytes(head + bytes(size))
    script = folder / "infer.lua"
    script.write_text(f'wrk.method = "POST"\nlocal file = io.open("{folder}/body", "rb")\nwrk.body = file:read("*a")\nfile:close()\n'
                      f'wrk.headers["Inference-Header-Content-Length"] = "{len(head)}"\n')
    return script


def engine_sections(engine):
    return f"[limits]\nanonymous = infer\n[source none]\npush = yes\n[engine e]\nfile = {engine}\n[region none]\nradar = none\n"


def counted(service):
    return json.loads(service.get("/v2/models/e/stats"))["model_stats"][0]


def infer(wanted):
    seconds = wanted.seconds or 120
    with Service(engine_sections(wanted.engine), ready=False) as service:
        url = service.address + "/v2/models/e/infer"
        model = json.loads(service.get("/v2/models/e"))
        shape = [d if d > 0 else 1 for d in model["inputs"][0]["shape"]]
        script = infer_script(service.folder, shape)
        _, alone, _, lost = wrk(url, 5, 1, script)
        wrk(url, 5, 12, script)
        before = service.rss_mb()
        per_second, p50, p99, more = wrk(url, seconds, 12, script)
        after, said = service.rss_mb(), counted(service)["inference_stats"]
        print(f"| 12 callers, {shape}, {seconds} s | |\n|---|---|")
        print(f"| one caller alone, P50 | {alone:.1f} ms |\n| requests/s | {per_second:.0f} |\n| P50 | {p50:.1f} ms |\n| P99 | {p99:.1f} ms |")
        print(f"| lost | {lost + more + said['fail']['count']} |\n| RSS before and after | {before:.1f}, {after:.1f} MB |")


def tensor(wanted):
    """A network of one convolution: nearly all of the time is what the service adds."""
    shape = [1, 5, 456, 460]
    with tempfile.TemporaryDirectory() as folder:
        engine = pathlib.Path(folder) / "drift.engine"
        subprocess.run([SQUALL, "build", ROOT / "tests/data/cli/drift.onnx", "--shape", "x=" + "x".join(map(str, shape)), "--out", engine],
                       check=True, stdout=subprocess.DEVNULL)
        with Service(engine_sections(engine), ready=False) as service:
            service.get("/v2/models/e")
            script = infer_script(service.folder, shape)
            size = (service.folder / "body").stat().st_size
            print(f"| {size} bytes in | requests/s | whole, P50, ms | P99, ms | in the engine, ms |\n|---|---|---|---|---|")
            for n in range(wanted.rounds):
                before = counted(service)["inference_stats"]["compute_infer"]
                per_second, p50, p99, lost = wrk(service.address + "/v2/models/e/infer", wanted.seconds or 5, 1, script)
                after = counted(service)["inference_stats"]["compute_infer"]
                run_ms = (after["ns"] - before["ns"]) / (after["count"] - before["count"]) / 1e6
                print(f"| run {n + 1} | {per_second:.0f} | {p50:.2f} | {p99:.2f} | {run_ms:.2f} |", flush=True)
                if lost:
                    sys.exit(f"{lost} requests were lost")


def idle(wanted):
    """Each side of a connection is a file; both sides are on this machine."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else 1 << 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    count = min(wanted.connections, most - 200)
    with Service(KNMI + NL, server=f"connections = {count + 500}\nidle_s = 600") as service:
        host, port = service.address.removeprefix("http://").split(":")
        service.get(POINT)
        alone = wrk(service.address + POINT, 5)
        before = service.rss_mb()
        start = time.monotonic()
        held = []
        for _ in range(count):
            one = socket.create_connection((host, int(port)))
            one.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n")  # a request that does not end
            held.append(one)
        opened_s = time.monotonic() - start
        time.sleep(2)
        after = service.rss_mb()
        beside = wrk(service.address + POINT, 5)
        for one in held:
            one.sendall(b"\r\n")
        alive = sum(one.recv(12) == b"HTTP/1.1 200" for one in held)
        print("| connections | requests/s | P50, ms | P99, ms | RSS, MB |\n|---|---|---|---|---|")
        print("| 16 alone | {:.0f} | {:.2f} | {:.2f} | {:.0f} |".format(*alone[:3], before))
        print("| 16 beside {} idle ones | {:.0f} | {:.2f} | {:.2f} | {:.0f} |".format(count, *beside[:3], after))
        print(f"\nThey were opened in {opened_s:.1f} s; {alive} of them were answered when they ended their requests.")


def cycles(wanted):
    regions = "".join(f"[region r{n}]\nradar = knmi\nengines = e\nwindow = {x},{y},256,256\n"
                      for n, (x, y) in enumerate((x, y) for y in (100, 250, 400, 500) for x in (60, 200, 400)))
    by_issue = {}
    with Service(f"{KNMI}[engine e]\nfile = {wanted.engine}\n{regions}", speed=30) as service:
        time.sleep(10 * wanted.rounds + 5)  # a cycle every 10 s
        for text in (service.folder / "log").read_text().splitlines():
            event = json.loads(text)
            if event["event"] == "forecast":
                by_issue.setdefault(event["issue_time"], []).append((event["latency_s"], event["method"]))
    print("| cycle of 12 regions, 256 × 256 cells | last forecast published after, s |\n|---|---|")
    for issue, made in sorted(by_issue.items())[1:]:
        if len(made) == 12:
            print(f"| {issue}, by {'/'.join(sorted({m for _, m in made}))} | {max(l for l, _ in made):.2f} |")


def main():
    parts = {f.__name__: f for f in (requests, rate, infer, tensor, idle, cycles)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=parts)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=10000)
    parser.add_argument("--engine", type=pathlib.Path)
    wanted = parser.parse_args()
    if wanted.part in ("infer", "cycles") and wanted.engine is None:
        parser.error("--engine FILE is needed")
    parts[wanted.part](wanted)


if __name__ == "__main__":
    main()
