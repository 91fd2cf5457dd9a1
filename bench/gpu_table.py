#!/usr/bin/env python3
"""Measure the workloads with squall and PyTorch on one GPU and write the table: gpu_table.py OUT

Every engine and every way of PyTorch runs in a process of its own, one after another. Times are medians of 200 runs after warm-up, of
the GPU alone, the input lying there. Run by bench/gpu, beside gpu_check, models.py, make.py and the networks.
"""
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import threading
import time

RUNS = 200
WORKLOADS = [("rainnet", "rainnet-928", 928), ("smaat", "smaat", 288), ("convlstm", "convlstm", 256), ("rainnet-s", "rainnet-s", 256)]
PEERS = [("eager", "fp16"), ("graph", "fp16"), ("graph", "tf32"), ("compile", "fp16")]


def peer(name, size, way, precision):
    """One way of PyTorch: prints JSON."""
    import torch
    from make import rain
    from models import make
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    model, shape = make(name)
    x = rain(1, shape[0], size, size, seed=7).cuda().contiguous(memory_format=torch.channels_last)
    model = model.cuda().to(memory_format=torch.channels_last)
    if precision == "fp16":
        model, x = model.half(), x.half()
    with torch.no_grad():
        if way == "compile":
            model = torch.compile(model, mode="max-autotune")
        for _ in range(10):
            model(x)
        torch.cuda.synchronize()
        run = lambda: model(x)
        if way == "graph":
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                model(x)
            run = graph.replay
        for _ in range(20):
            run()
        times = []
        for _ in range(RUNS):
            a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            a.record()
            run()
            b.record()
            b.synchronize()
            times.append(a.elapsed_time(b))
    times.sort()
    print(json.dumps(dict(ms=statistics.median(times), least_ms=times[0], p90_ms=times[int(0.9 * RUNS)], torch=torch.__version__,
                          memory_mb=torch.cuda.max_memory_allocated() / 1e6)))


def product():
    """Rate of a large product of matrices: prints JSON."""
    import torch
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.float16) for _ in range(2))
    times = []
    for i in range(60):
        s, e = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        s.record()
        a @ b
        e.record()
        e.synchronize()
        times.append(s.elapsed_time(e))
    print(json.dumps(dict(tflops=2 * 8192**3 / statistics.median(times[20:]) * 1e-9)))


class Watch:
    """Clock and power of the GPU while something runs."""

    def __enter__(self):
        self.tool = subprocess.Popen(["nvidia-smi", "--query-gpu=clocks.sm,power.draw,utilization.gpu", "--format=csv,noheader,nounits",
                                      "-lms", "100"], stdout=subprocess.PIPE, text=True)
        self.lines = []
        threading.Thread(target=lambda: self.lines.extend(self.tool.stdout), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.tool.terminate()
        busy = [tuple(float(v) for v in line.split(",")) for line in self.lines if re.fullmatch(r"[\d., ]+\n?", line)]
        busy = [b for b in busy if b[2] > 0] or busy
        self.sm_mhz = max((b[0] for b in busy), default=None)
        self.watt = max((b[1] for b in busy), default=None)


def child(*args, timeout=int(os.environ.get("PEER_LIMIT_S", "240"))):
    try:
        done = subprocess.run([sys.executable, __file__, *map(str, args)], capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return {"failed": f"not done in {timeout} s"}
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if done.returncode == 0 and lines else {"failed": done.stderr.strip()[-200:]}


def squall(stem):
    with Watch() as watch:
        said = subprocess.run(["./gpu_check", f"{stem}.onnx", f"{stem}.in.npy", f"{stem}.out.npy", "fp16", str(RUNS)],
                              capture_output=True, text=True).stdout
    got = re.search(r"^(ok|FAILED).*gpu ([\d.]+) ms \(min ([\d.]+), p90 ([\d.]+)\).*PSNR ([\d.]+)", said, re.M)
    built = re.search(r"in ([\d.]+) s, ([\d.]+) MB, arena ([\d.]+) MB", said)
    if not got:
        return {"failed": said[-300:]}
    return dict(ms=float(got[2]), least_ms=float(got[3]), p90_ms=float(got[4]), psnr_db=float(got[5]), good=got[1] == "ok",
                build_s=float(built[1]), file_mb=float(built[2]), arena_mb=float(built[3]), sm_mhz=watch.sm_mhz, watt=watch.watt)


def main(out):
    gpu = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version,power.limit", "--format=csv,noheader"], capture_output=True,
                         text=True).stdout.strip()
    result = dict(gpu=gpu, when=time.strftime("%Y-%m-%d"), runs=RUNS, product=child("--product"), workloads={})
    ways = PEERS if os.environ.get("PEERS", "1") != "0" else []
    only = os.environ.get("ONLY", "").split()
    for name, stem, size in WORKLOADS:
        if only and name not in only:
            continue
        row = dict(squall=squall(stem), peers={f"{w} {p}": child("--peer", name, size, w, p) for w, p in ways})
        row["squall again"] = squall(stem)
        result["workloads"][stem] = row
        (out / "gpu.json").write_text(json.dumps(result, indent=1))
    show = lambda r: "–" if r is None or "failed" in r else f"{r['ms']:.3f}"
    head = [f"{w} {p}" for w, p in ways]
    lines = [f"{gpu}; batch 1, medians of {RUNS} runs in ms; 8192³ product in fp16: {result['product'].get('tflops', 0):.0f} TFLOP/s", "",
             "| workload | squall fp16 | again | " + "".join(f"PyTorch {h} | " for h in head) + "PSNR dB | MHz | W | arena MB |",
             "|---|" + "---|" * (len(head) + 6)]
    for stem, row in result["workloads"].items():
        s = row["squall"]
        lines.append(f"| {stem} | {show(s)} | {show(row['squall again'])} | " + "".join(f"{show(row['peers'][h])} | " for h in head) +
                     f"{s.get('psnr_db')} | {s.get('sm_mhz')} | {s.get('watt')} | {s.get('arena_mb')} |")
    (out / "gpu.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if sys.argv[1] == "--peer":
    peer(sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])
elif sys.argv[1] == "--product":
    product()
else:
    main(pathlib.Path(sys.argv[1]))
