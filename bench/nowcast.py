#!/usr/bin/env python3
"""Extrapolation beside pysteps' on real sequences: the same frames, the same mask, scores and times side by side.

    bench/nowcast.py --data DIR [--json FILE] [--events NAME ...] [--time]

Both get the three newest frames; pysteps finds motion by its Lucas-Kanade method and carries by its
semi-Lagrangian one, squall by squall_motion_estimate() and squall_advect_series(), called in the shared library
(build/release). Scores: CSI (events at or above the threshold, counts pooled over issue times) and MAE, over cells
where the observation and both extrapolations are covered. With --time the two are timed in turn on the
same arrays. Makes itself a virtual environment (build/venv-bench).
"""
import argparse
import ctypes as c
import datetime
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
VENV = ROOT / "build" / "venv-bench"
PACKAGES = ["pysteps==1.21.5", "opencv-python-headless"]

# Name, paths, minutes between frames that are used, window (column, row, width, height), most issue times.
EVENTS = [
    ("knmi-2010-08-26", ["knmi_rap"], 5, None, 12),
    ("fmi-2016-09-28", ["fmi_pgm"], 5, None, 8),
    ("odyssey-2018-08-24", ["opera_odyssey_rate"], 15, (500, 700, 900, 900), 4),
    ("mrms-2019-06-10-east", ["mrms_preciprate"], 4, (5000, 1000, 1000, 1000), 4),
    ("bom-2020-10-31", ["bom_prcp_c10"], 10, None, 16),
]
THRESHOLDS = (0.5, 1.0, 5.0)


def enter_environment():
    python = VENV / "bin/python"
    if pathlib.Path(sys.prefix) == VENV:
        return
    if not (VENV / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        (VENV / "complete").touch()
    os.execv(python, [str(python), *sys.argv])


class Grid(c.Structure):
    _fields_ = [("width", c.c_size_t), ("height", c.c_size_t), ("left", c.c_double), ("top", c.c_double),
                ("dx", c.c_double), ("dy", c.c_double), ("proj", c.c_char * 512)]


class Field(c.Structure):
    _fields_ = [("grid", Grid), ("quantity", c.c_int), ("quantity_name", c.c_char * 32), ("unit_name", c.c_char * 16),
                ("valid_time", c.c_int64), ("window_s", c.c_int32), ("source", c.c_char * 160),
                ("values", c.POINTER(c.c_float)), ("mask", c.POINTER(c.c_uint8)), ("quality", c.POINTER(c.c_float))]


class Motion(c.Structure):
    _fields_ = [("grid", Grid), ("u", c.POINTER(c.c_float)), ("v", c.POINTER(c.c_float))]


class Error(c.Structure):
    _fields_ = [("code", c.c_int), ("where", c.c_char * 128), ("text", c.c_char * 384)]


class Squall:
    def __init__(self):
        self.lib = c.CDLL(str(ROOT / "build/release/src/libsquall.so"))
        self.lib.squall_archive_time.restype = c.c_int64
        self.lib.squall_archive_count.restype = c.c_size_t

    def ok(self, name, *args):
        error = Error()
        if getattr(self.lib, name)(*args, c.byref(error)) != 0:
            raise RuntimeError(f"{name}: {error.where.decode()}: {error.text.decode()}")

    def archive(self, paths):
        handle = c.c_void_p()
        texts = (c.c_char_p * len(paths))(*[str(p).encode() for p in paths])
        self.ok("squall_archive_open", texts, c.c_size_t(len(paths)), None, c.byref(handle), None)
        return handle, [self.lib.squall_archive_time(handle, c.c_size_t(i)) for i in range(self.lib.squall_archive_count(handle))]

    def read(self, archive, index, window):
        """Frame `index` as (new field, rain rate array with NaN outside coverage), cut to the window."""
        import numpy as np
        field = c.POINTER(Field)()
        self.ok("squall_archive_read", archive, c.c_size_t(index), c.byref(field))
        self.ok("squall_field_to_rate", field, None)
        f = field.contents
        shape = (f.grid.height, f.grid.width)
        values = np.ctypeslib.as_array(f.values, shape).copy()
        mask = np.ctypeslib.as_array(f.mask, shape).copy()
        grid = Grid.from_buffer_copy(f.grid)
        when = f.valid_time
        self.lib.squall_field_destroy(c.byref(field))
        if window:
            left, top, width, height = window
            values, mask = values[top:top + height, left:left + width], mask[top:top + height, left:left + width]
            grid.left += left * grid.dx
            grid.top -= top * grid.dy
            grid.width, grid.height = width, height
        values = np.minimum(values, 150.0)
        return self.field(grid, when, values, mask)

    def field(self, grid, when, values, mask):
        import numpy as np
        made = c.POINTER(Field)()
        self.ok("squall_field_create", c.byref(grid), c.byref(made))
        made.contents.valid_time = when
        shape = (grid.height, grid.width)
        rate = np.ctypeslib.as_array(made.contents.values, shape)
        rate[:] = values
        rate[mask == 0] = np.nan
        np.ctypeslib.as_array(made.contents.mask, shape)[:] = mask
        return made

    def array(self, field):
        import numpy as np
        f = field.contents
        return np.ctypeslib.as_array(f.values, (f.grid.height, f.grid.width))

    def motion(self, fields, method=0):
        class Options(c.Structure):
            _fields_ = [("struct_size", c.c_uint32), ("min_rate", c.c_float), ("max_speed", c.c_float), ("threads", c.c_int32),
                        ("method", c.c_int32)]
        options = Options()
        self.lib.squall_motion_options_init(c.byref(options))
        options.method = method
        motion = c.POINTER(Motion)()
        self.ok("squall_motion_create", c.byref(fields[0].contents.grid), c.byref(motion))
        frames = (c.POINTER(Field) * len(fields))(*fields)
        self.ok("squall_motion_estimate", frames, c.c_size_t(len(fields)), c.byref(options), motion)
        return motion

    def carry(self, field, motion, leads_s):
        leads = (c.c_int32 * len(leads_s))(*leads_s)
        out = (c.POINTER(Field) * len(leads_s))()
        for k in range(len(leads_s)):
            self.ok("squall_field_create", c.byref(field.contents.grid), c.byref(out, k * c.sizeof(c.c_void_p)))
        self.ok("squall_advect_series", field, motion, leads, c.c_size_t(len(leads_s)), None, out)
        return out


def pysteps_motion(rates):
    import numpy as np
    from pysteps.motion.lucaskanade import dense_lucaskanade
    log = np.stack([10 * np.log10(np.where(r >= 0.1, r, 10 ** -1.5)) for r in rates])
    log[~np.isfinite(np.stack(rates))] = np.nan
    return dense_lucaskanade(np.ma.masked_invalid(log))


def pysteps_carry(rate, velocity, steps):
    from pysteps.extrapolation.semilagrangian import extrapolate
    return extrapolate(rate, velocity, steps, allow_nonfinite_values=True)


def pool(table, method, lead, forecast, observed, known):
    import numpy as np
    f, o = forecast[known], observed[known]
    row = table.setdefault((method, lead), {"cells": 0, "error": 0.0, **{t: [0, 0, 0] for t in THRESHOLDS}})
    row["cells"] += int(known.sum())
    row["error"] += float(np.abs(f - o).sum())
    for t in THRESHOLDS:
        hit = f >= t
        true = o >= t
        row[t][0] += int((hit & true).sum())
        row[t][1] += int((~hit & true).sum())
        row[t][2] += int((hit & ~true).sum())


def summary(row):
    return {"mae": row["error"] / max(row["cells"], 1),
            **{f"csi_{t}": row[t][0] / max(sum(row[t]), 1) for t in THRESHOLDS}}


def run_event(squall, data, event, timed, out):
    import glob
    import numpy as np
    name, patterns, minutes, window, most = event
    paths = sorted(p for pattern in patterns for p in glob.glob(str(data / pattern)))
    archive, times = squall.archive(paths)
    step, at = 60 * minutes, {t: i for i, t in enumerate(times)}
    leads = sorted({max(step, round(1800 / step) * step), round(3600 / step) * step})
    issues = [t for t in times if all(t - k * step in at for k in range(3)) and all(t + l in at for l in leads)]
    issues = issues[::max(1, -(-len(issues) // most))]
    table, clocks = {}, []
    steps = leads[-1] // step
    for issue in issues:
        fields = [squall.read(archive, at[issue - k * step], window) for k in (2, 1, 0)]
        rates = [squall.array(f) for f in fields]
        began = time.perf_counter()
        motion = squall.motion(fields)
        found = time.perf_counter()
        ours = squall.carry(fields[-1], motion, [step * (k + 1) for k in range(steps)])
        carried = time.perf_counter()
        velocity = pysteps_motion(rates)
        p_found = time.perf_counter()
        theirs = pysteps_carry(rates[-1], velocity, steps)
        p_carried = time.perf_counter()
        clocks.append((found - began, carried - found, p_found - carried, p_carried - p_found))
        for lead in leads:
            k = lead // step - 1
            seen = squall.read(archive, at[issue + lead], window)
            observed, a, b = squall.array(seen), squall.array(ours[k]), theirs[k]
            known = np.isfinite(observed) & np.isfinite(a) & np.isfinite(b)
            for method, forecast in (("squall", a), ("pysteps", b), ("persistence", np.nan_to_num(rates[-1]))):
                pool(table, method, lead, forecast, observed, known)
            squall.lib.squall_field_destroy(c.byref(seen))
        for f in fields + [ours[k] for k in range(steps)]:
            squall.lib.squall_field_destroy(c.byref(f))
        squall.lib.squall_motion_destroy(c.byref(motion))
    shape = rates[0].shape
    squall.lib.squall_archive_close(c.byref(archive))
    result = {"event": name, "cells": list(shape), "issue_times": len(issues), "step_min": minutes, "leads": {}}
    for lead in leads:
        result["leads"][lead // 60] = {m: summary(table[(m, lead)]) for m in ("squall", "pysteps", "persistence")}
        for m in ("squall", "pysteps", "persistence"):
            s = result["leads"][lead // 60][m]
            print(f"{name:22s} +{lead // 60:3d} min {m:12s} CSI 0.5: {s['csi_0.5']:.4f}  1: {s['csi_1.0']:.4f}  5: {s['csi_5.0']:.4f}  MAE {s['mae']:.4f}", file=out)
    if timed:
        ms = np.array(clocks) * 1e3
        names = ("squall_motion", "squall_carry", "pysteps_motion", "pysteps_carry")
        result["ms"] = {n: {"median": float(np.median(ms[:, i])), "min": float(ms[:, i].min()), "max": float(ms[:, i].max())} for i, n in enumerate(names)}
        m = result["ms"]
        print(f"{name:22s} {shape[1]}x{shape[0]}, {steps} steps: motion {m['squall_motion']['median']:.1f} ms, pysteps {m['pysteps_motion']['median']:.0f} "
              f"({m['pysteps_motion']['median'] / m['squall_motion']['median']:.1f}x); carried in {m['squall_carry']['median']:.1f} ms, pysteps "
              f"{m['pysteps_carry']['median']:.0f} ({m['pysteps_carry']['median'] / m['squall_carry']['median']:.1f}x)", file=out)
    return result


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=pathlib.Path, required=True, help="folder of the real-data pack")
    options.add_argument("--events", nargs="*", help="names; all without it")
    options.add_argument("--time", action="store_true", help="print times as well")
    options.add_argument("--json", type=pathlib.Path, help="write the results")
    args = options.parse_args()
    enter_environment()
    squall = Squall()
    results = [run_event(squall, args.data, e, args.time, sys.stdout) for e in EVENTS if not args.events or e[0] in args.events]
    if args.json:
        args.json.write_text(json.dumps({"date": datetime.date.today().isoformat(), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
