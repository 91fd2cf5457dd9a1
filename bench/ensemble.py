#!/usr/bin/env python3
"""S-PROG and STEPS beside pysteps' on real sequences: the same frames, the same motion where asked, the same mask.

    bench/ensemble.py --data DIR [--json FILE] [--events NAME ...] [--members N] [--issues N] [--side N] [--own-motion]

Both get the three newest frames. pysteps runs on squall's motion field, so that what differs is the method (with
--own-motion on its own Lucas-Kanade field). Scores over cells that the observation and all forecasts cover, pooled
over issue times: CSI and FSS (10 km) of S-PROG, CRPS of the ensembles (scoringrules, 'nrg') with the MAE of
extrapolation beside it, mean rain, and what is left of the variance at wavelengths below 16 cells against the
observation (radially averaged power spectra; 1 is as observed). Times are of one call for all lead times.
Makes itself a virtual environment (build/venv-bench).
"""
import argparse
import ctypes as c
import datetime
import glob
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import nowcast as base

base.PACKAGES.append("scoringrules==0.10.0")
# The windows are those of bench/nowcast.py, cut to at most 512 cells a side: pysteps takes minutes for more.
WINDOWS = {"knmi-2010-08-26": (150, 150, 400, 400), "fmi-2016-09-28": (150, 400, 480, 480),
           "odyssey-2018-08-24": (700, 900, 400, 400), "mrms-2019-06-10-east": (5200, 1200, 480, 480),
           "bom-2020-10-31": (50, 50, 400, 400)}
CELL_KM = {"odyssey-2018-08-24": 2.0, "bom-2020-10-31": 0.5}
THRESHOLDS = (0.5, 1.0, 5.0)


class Options(c.Structure):
    _fields_ = [("struct_size", c.c_uint32), ("members", c.c_int32), ("seed", c.c_uint64), ("levels", c.c_int32),
                ("min_rate_mm_h", c.c_float), ("perturb_motion", c.c_int32), ("keep_members", c.c_int32),
                ("threads", c.c_int32)]


class Ensemble(c.Structure):
    _fields_ = [("members", c.c_size_t), ("leads", c.c_size_t), ("thresholds", c.c_float * 4),
                ("mean", c.POINTER(c.POINTER(base.Field))), ("probabilities", c.POINTER(c.POINTER(base.Field))),
                ("fields", c.POINTER(c.POINTER(base.Field)))]


def own_options(squall, members, seed):
    options = Options()
    squall.lib.squall_ensemble_options_init(c.byref(options))
    options.members, options.seed, options.keep_members = members, seed, 1
    return options


def own_steps(squall, fields, motion, leads_s, members, seed):
    """(seconds, array [members][leads][y][x] in mm/h)."""
    import numpy as np
    options, out = own_options(squall, members, seed), c.POINTER(Ensemble)()
    frames = (c.POINTER(base.Field) * len(fields))(*fields)
    leads = (c.c_int32 * len(leads_s))(*leads_s)
    began = time.perf_counter()
    squall.ok("squall_steps_run", frames, c.c_size_t(len(fields)), motion, leads, c.c_size_t(len(leads_s)),
              c.byref(options), c.byref(out))
    took = time.perf_counter() - began
    e = out.contents
    array = np.stack([np.stack([squall.array(e.fields[l * members + m]).copy() for l in range(len(leads_s))])
                      for m in range(members)])
    squall.lib.squall_ensemble_destroy(c.byref(out))
    return took, array


def own_sprog(squall, fields, motion, leads_s):
    import numpy as np
    options = own_options(squall, 1, 0)
    frames = (c.POINTER(base.Field) * len(fields))(*fields)
    leads = (c.c_int32 * len(leads_s))(*leads_s)
    out = (c.POINTER(base.Field) * len(leads_s))()
    for k in range(len(leads_s)):
        squall.ok("squall_field_create", c.byref(fields[0].contents.grid), c.byref(out, k * c.sizeof(c.c_void_p)))
    began = time.perf_counter()
    squall.ok("squall_sprog_run", frames, c.c_size_t(len(fields)), motion, leads, c.c_size_t(len(leads_s)),
              c.byref(options), out)
    took = time.perf_counter() - began
    array = np.stack([squall.array(out[k]).copy() for k in range(len(leads_s))])
    for k in range(len(leads_s)):
        squall.lib.squall_field_destroy(c.byref(out, k * c.sizeof(c.c_void_p)))
    return took, array


def to_db(rates):
    import numpy as np
    return np.stack([10 * np.log10(np.where(np.nan_to_num(r) >= 0.1, r, 10 ** -1.5)) for r in rates])


def from_db(array):
    import numpy as np
    return np.where(array > -10, 10 ** (array / 10), np.where(np.isfinite(array), 0.0, np.nan))


def quietly(work, *args, **options):
    with open(os.devnull, "w") as null:
        keep, sys.stdout = sys.stdout, null
        try:
            began = time.perf_counter()
            return work(*args, **options), time.perf_counter() - began
        finally:
            sys.stdout = keep


def pysteps_runs(rates, velocity, steps, members, seed, km, minutes):
    from pysteps import nowcasts
    log = to_db(rates)
    ensemble, ensemble_s = quietly(
        nowcasts.get_method("steps"), log, velocity, steps, n_ens_members=members, n_cascade_levels=6,
        precip_thr=-10.0, kmperpixel=km, timestep=minutes, seed=seed, num_workers=1)
    sprog, sprog_s = quietly(nowcasts.get_method("sprog"), log, velocity, steps, n_cascade_levels=6, precip_thr=-10.0)
    return (ensemble_s, from_db(ensemble)), (sprog_s, from_db(sprog))


def fine_power(field, known):
    """Power at wavelengths of 2 to 16 cells of the rate in dB."""
    import numpy as np
    from pysteps.utils.spectral import rapsd
    side = min(field.shape)
    db = np.where(known & (field >= 0.1), 10 * np.log10(np.maximum(np.nan_to_num(field), 0.1) / 0.1), -5.0)
    power, frequency = rapsd(db[:side, :side], fft_method=np.fft, return_freq=True)
    return float(power[frequency >= 1 / 16].sum())


def fss(f, o, known, threshold, scale):
    import numpy as np
    from scipy.ndimage import uniform_filter
    a = uniform_filter(((f >= threshold) & known).astype(float), scale, mode="constant")
    b = uniform_filter(((o >= threshold) & known).astype(float), scale, mode="constant")
    return float(((a - b) ** 2).sum()), float((a ** 2).sum() + (b ** 2).sum())


def add(row, key, value):
    row[key] = row.get(key, 0.0) + value


def score(row, name, forecast, observed, known, cell_km):
    import numpy as np
    import scoringrules
    o = observed[known]
    ensemble = forecast if forecast.ndim == 3 else forecast[None]
    f = ensemble.mean(axis=0)[known] if forecast.ndim == 3 else forecast[known]
    f = np.nan_to_num(f)
    add(row, f"{name}.cells", o.size)
    add(row, f"{name}.rain", float(np.nan_to_num(ensemble)[:, known].mean() * o.size))
    add(row, f"{name}.mae", float(np.abs(f - o).sum()))
    add(row, f"{name}.crps", float(scoringrules.crps_ensemble(o, np.nan_to_num(ensemble)[:, known].T, estimator="nrg").sum()))
    for t in THRESHOLDS:
        add(row, f"{name}.hits.{t}", float(((f >= t) & (o >= t)).sum()))
        add(row, f"{name}.any.{t}", float(((f >= t) | (o >= t)).sum()))
    whole = np.nan_to_num(forecast.mean(axis=0) if forecast.ndim == 3 else forecast)
    part, total = fss(whole, observed, known, 1.0, max(1, round(10 / cell_km)))
    add(row, f"{name}.fss_part", part)
    add(row, f"{name}.fss_all", total)
    add(row, f"{name}.fine", float(np.mean([fine_power(m, known) for m in ensemble[:4]])))


def summarise(row, name):
    cells = row[f"{name}.cells"]
    return {"rain": row[f"{name}.rain"] / cells, "mae": row[f"{name}.mae"] / cells, "crps": row[f"{name}.crps"] / cells,
            **{f"csi_{t}": row[f"{name}.hits.{t}"] / max(row[f"{name}.any.{t}"], 1) for t in THRESHOLDS},
            "fss_1_10km": 1 - row[f"{name}.fss_part"] / max(row[f"{name}.fss_all"], 1e-9),
            "fine_power": row[f"{name}.fine"] / row["observed.fine"] if row["observed.fine"] else float("nan")}


def issue_times(times, step, leads, most):
    at = set(times)
    all_times = [t for t in times if all(t - k * step in at for k in range(3)) and all(t + l in at for l in leads)]
    return all_times[::max(1, -(-len(all_times) // most))]


def run_event(squall, data, event, args):
    import numpy as np
    name, patterns, minutes, _, _ = event
    window, km, step = WINDOWS[name], CELL_KM.get(name, 1.0), 60 * minutes
    if args.side:
        window = (*window[:2], min(args.side, window[2]), min(args.side, window[3]))
    archive, times = squall.archive(sorted(p for pattern in patterns for p in glob.glob(str(data / pattern))))
    at = {t: i for i, t in enumerate(times)}
    leads = sorted({max(step, round(1800 / step) * step), round(3600 / step) * step})
    steps = leads[-1] // step
    issues = issue_times(times, step, leads, args.issues)
    table, clocks = {l: {} for l in leads}, []
    for issue in issues:
        fields = [squall.read(archive, at[issue - k * step], window) for k in (2, 1, 0)]
        rates = [squall.array(f) for f in fields]
        motion = squall.motion(fields)
        m = motion.contents
        shape = rates[0].shape
        velocity = np.stack([np.ctypeslib.as_array(m.u, shape), np.ctypeslib.as_array(m.v, shape)]).astype(float) * step
        if args.own_motion:
            velocity = base.pysteps_motion(rates)
        all_leads = [step * (k + 1) for k in range(steps)]
        steps_s, ours = own_steps(squall, fields, motion, all_leads, args.members, issue % 1000)
        sprog_s, own_s = own_sprog(squall, fields, motion, all_leads)
        carried = squall.carry(fields[-1], motion, all_leads)
        (p_steps_s, theirs), (p_sprog_s, their_s) = pysteps_runs(rates, velocity, steps, args.members, issue % 1000, km, minutes)
        clocks.append((steps_s, p_steps_s, sprog_s, p_sprog_s))
        for lead in leads:
            k = lead // step - 1
            seen = squall.read(archive, at[issue + lead], window)
            observed, extrapolated = squall.array(seen), squall.array(carried[k])
            known = np.isfinite(observed) & np.isfinite(extrapolated) & np.isfinite(their_s[k])
            row = table[lead]
            add(row, "observed.rain", float(observed[known].sum()))
            add(row, "observed.fine", fine_power(observed, known))
            for method, forecast in (("extrapolation", extrapolated), ("squall sprog", own_s[k]), ("pysteps sprog", their_s[k]),
                                     ("squall steps", ours[:, k]), ("pysteps steps", theirs[:, k])):
                score(row, method, forecast, observed, known, km)
            squall.lib.squall_field_destroy(c.byref(seen))
        for f in fields + [carried[k] for k in range(steps)]:
            squall.lib.squall_field_destroy(c.byref(f))
        squall.lib.squall_motion_destroy(c.byref(motion))
    squall.lib.squall_archive_close(c.byref(archive))
    seconds = np.median(np.array(clocks), axis=0)
    result = {"event": name, "cells": list(shape), "issue_times": len(issues), "step_min": minutes, "members": args.members,
              "lead_times": steps, "leads": {},
              "seconds": dict(zip(("squall steps", "pysteps steps", "squall sprog", "pysteps sprog"), map(float, seconds)))}
    for lead, row in table.items():
        methods = [k[:-6] for k in row if k.endswith(".cells")]
        result["leads"][lead // 60] = {m: summarise(row, m) for m in methods}
        seen = row["observed.rain"] / row["extrapolation.cells"]
        result["leads"][lead // 60]["observed_rain"] = seen
        for m in methods:
            s = result["leads"][lead // 60][m]
            print(f"{name:21s} +{lead // 60:2d} {m:14s} CSI {s['csi_0.5']:.3f} {s['csi_1.0']:.3f} {s['csi_5.0']:.3f} FSS {s['fss_1_10km']:.3f} "
                  f"MAE {s['mae']:.4f} CRPS {s['crps']:.4f} rain {s['rain']:.4f} (seen {seen:.4f}) fine {s['fine_power']:.2f}", flush=True)
    t = result["seconds"]
    print(f"{name:21s} {shape[1]}x{shape[0]}, {args.members} members, {steps} steps: STEPS {t['squall steps']:.3f} s, pysteps {t['pysteps steps']:.1f} s "
          f"({t['pysteps steps'] / t['squall steps']:.0f}x); S-PROG {t['squall sprog']:.3f} s, pysteps {t['pysteps sprog']:.2f} s", flush=True)
    return result


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=pathlib.Path, required=True, help="folder of the real-data pack")
    options.add_argument("--events", nargs="*", help="names; all without it")
    options.add_argument("--members", type=int, default=20)
    options.add_argument("--issues", type=int, default=3, help="issue times of an event, at most")
    options.add_argument("--side", type=int, help="cut the windows to this many cells a side")
    options.add_argument("--own-motion", action="store_true", help="pysteps on its own Lucas-Kanade field")
    options.add_argument("--json", type=pathlib.Path, help="write the results")
    args = options.parse_args()
    base.enter_environment()
    squall = base.Squall()
    results = [run_event(squall, args.data, e, args) for e in base.EVENTS if not args.events or e[0] in args.events]
    if args.json:
        args.json.write_text(json.dumps({"date": datetime.date.today().isoformat(), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
