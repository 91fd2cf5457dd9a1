#!/usr/bin/env python3
"""Ways to find motion, squall's and pysteps', each judged by the extrapolation that it makes.

    bench/motion.py --data DIR [--events NAME ...] [--issues N] [--json FILE]

All get the three newest frames (DARTS of pysteps the newest nine, which it needs) of the windows of bench/ensemble.py,
and all are carried by squall_advect_series(). CSI at 1 mm/h and MAE at 30 and 60 minutes, pooled over issue times, and
the median time. Makes itself a virtual environment (build/venv-bench).
"""
import argparse
import ctypes as c
import datetime
import glob
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import ensemble as windows
import nowcast as base

OURS = ("dense", "lucas-kanade", "spectral")


def as_motion(squall, field, velocity, step):
    """A motion field from an array [2][y][x] of cells a step."""
    import numpy as np
    motion = c.POINTER(base.Motion)()
    squall.ok("squall_motion_create", c.byref(field.contents.grid), c.byref(motion))
    shape = velocity.shape[1:]
    np.ctypeslib.as_array(motion.contents.u, shape)[:] = velocity[0] / step
    np.ctypeslib.as_array(motion.contents.v, shape)[:] = velocity[1] / step
    return motion


def find_all(squall, fields, rates, step):
    """{name: (seconds, motion)}."""
    import numpy as np
    from pysteps.motion.darts import DARTS
    found = {}
    for method, name in enumerate(OURS):
        began = time.perf_counter()
        motion = squall.motion(fields[-3:], method)
        found[f"squall {name}"] = (time.perf_counter() - began, motion)
    began = time.perf_counter()
    velocity = base.pysteps_motion(rates[-3:])
    found["pysteps lucas-kanade"] = (time.perf_counter() - began, as_motion(squall, fields[-1], velocity, step))
    if len(rates) == 9:
        began = time.perf_counter()
        velocity = windows.quietly(DARTS, windows.to_db(rates))[0]
        if np.isfinite(velocity).all():
            found["pysteps darts"] = (time.perf_counter() - began, as_motion(squall, fields[-1], velocity, step))
    return found


def run_event(squall, data, event, most):
    import numpy as np
    name, patterns, minutes, _, _ = event
    window, step = windows.WINDOWS[name], 60 * minutes
    archive, times = squall.archive(sorted(p for pattern in patterns for p in glob.glob(str(data / pattern))))
    at = {t: i for i, t in enumerate(times)}
    leads = sorted({max(step, round(1800 / step) * step), round(3600 / step) * step})
    past = 9 if sum(all(t - k * step in at for k in range(9)) and t + leads[-1] in at for t in times) else 3
    issues = [t for t in times if all(t - k * step in at for k in range(past)) and all(t + l in at for l in leads)]
    table, clocks = {}, {}
    for issue in issues[::max(1, -(-len(issues) // most))]:
        fields = [squall.read(archive, at[issue - k * step], window) for k in range(past - 1, -1, -1)]
        found = find_all(squall, fields, [squall.array(f) for f in fields], step)
        carried = {n: squall.carry(fields[-1], motion, leads) for n, (_, motion) in found.items()}
        for n, (seconds, _) in found.items():
            clocks.setdefault(n, []).append(seconds)
        for k, lead in enumerate(leads):
            observed = squall.array(squall.read(archive, at[issue + lead], window))
            forecasts = {n: squall.array(f[k]) for n, f in carried.items()}
            known = np.isfinite(observed) & np.all([np.isfinite(f) for f in forecasts.values()], axis=0)
            for n, f in forecasts.items():
                base.pool(table, n, lead, f, observed, known)
    result = {"event": name, "methods": {}}
    for n in clocks:
        ms = float(np.median(clocks[n])) * 1e3
        scores = {lead // 60: base.summary(table[(n, lead)]) for lead in leads}
        result["methods"][n] = {"ms": ms, "scores": scores}
        print(f"{name:21s} {n:21s} {ms:8.1f} ms " + " ".join(
            f"+{l}: CSI {s['csi_1.0']:.3f} MAE {s['mae']:.4f}" for l, s in scores.items()), flush=True)
    return result


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=pathlib.Path, required=True, help="folder of the real-data pack")
    options.add_argument("--events", nargs="*", help="names; all without it")
    options.add_argument("--issues", type=int, default=4, help="issue times of an event, at most")
    options.add_argument("--json", type=pathlib.Path, help="write the results")
    args = options.parse_args()
    base.enter_environment()
    squall = base.Squall()
    results = [run_event(squall, args.data, e, args.issues) for e in base.EVENTS if not args.events or e[0] in args.events]
    if args.json:
        args.json.write_text(json.dumps({"date": datetime.date.today().isoformat(), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
