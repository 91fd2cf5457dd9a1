#!/usr/bin/env python3
"""What opening an engine costs, and what becomes resident: by opening, by a context, by a run.

    python3 bench/engine_file.py build/release ENGINE...

Needs NumPy. Opening is timed warm: the file's pages are in the page cache, as after the first run of a service. Resident
memory is /proc/self/smaps_rollup's Rss, each engine in a process of its own.
"""
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROUNDS = 51


def resident():
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Rss:"))


def measure(path):
    import numpy as np

    import squall

    warm = squall.Engine(path)  # the library's own start, and the page cache
    warm.close()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        engine = squall.Engine(path)
        times.append(time.perf_counter() - start)
        engine.close()
    before = resident()
    engine = squall.Engine(path)
    opened = resident()
    inputs = [np.zeros(port.shape, port.dtype) for port in engine.inputs]
    touched = resident() - opened  # the inputs' own
    start = time.perf_counter()
    engine.run(*inputs)
    first = time.perf_counter() - start
    ran = resident()
    profile = engine.profiles[0]
    print(f"| {pathlib.Path(path).name} | {os.path.getsize(path) / 1e6:.1f} | {1e3 * statistics.median(times):.2f} | "
          f"{1e3 * sorted(times)[-3]:.2f} | {(opened - before) / 1e6:.2f} | {(ran - opened - touched) / 1e6:.1f} | "
          f"{profile.arena_bytes / 1e6:.1f} | {1e3 * first:.0f} |")


def main():
    build, engines = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    root = pathlib.Path(__file__).resolve().parents[1]
    environment = {**os.environ, "SQUALL_LIBRARY": str(build / "src/libsquall.so"), "PYTHONPATH": str(root / "python"),
                   "ENGINE_FILE_CHILD": "1"}
    print(f"| engine | MB | open, ms (median of {ROUNDS}) | third slowest | resident by opening, MB | by context and run, MB "
          "| arena, MB | first run, ms |\n|---|---|---|---|---|---|---|---|", flush=True)
    for engine in engines:
        subprocess.run([sys.executable, __file__, engine], env=environment, check=True)


if os.environ.get("ENGINE_FILE_CHILD"):
    measure(sys.argv[1])
else:
    main()
