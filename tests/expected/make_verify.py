#!/usr/bin/env python3
"""Make tests/data/verify/: two crops of real KNMI frames, and their scores by pysteps.

    python make_verify.py <folder of RAD_NL25_RAP_5min_*.h5>

Writes knmi_pair.u16 (forecast, then observation; each 128 x 128 little-endian 16 bit, 0.01 mm in
5 minutes, 65535 is no coverage, row 0 in the north) and verify_expected.txt (one line a score).
The forecast is the frame of 04:00, cut 4 columns west and 3 rows south of where the observation of
04:30 is cut, as a crude motion would carry it: so their coverages differ too. Rates are float32, as
squall keeps them. What squall counts is picked before pysteps sees it: cells that the observation
covers and the mask marks, with a missing forecast as dry. pysteps' contingency scores use ">"; for
">=" the threshold is moved to the float below it.

The expected values in the tree were made with pysteps 1.21.5, SciPy 1.17.1, numpy 2.4.6, h5py 3.16.
"""
import pathlib
import sys

import h5py
import numpy as np
from pysteps.verification.detcatscores import det_cat_fct
from pysteps.verification.detcontscores import det_cont_fct
from pysteps.verification.spatialscores import fss_accum, fss_compute, fss_init

SIDE, ROW, COLUMN = 128, 360, 150
OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "verify"


def crop(folder, time, row, column):
    path = pathlib.Path(folder) / f"RAD_NL25_RAP_5min_20100826{time}.h5"
    with h5py.File(path) as file:
        data = file["image1/image_data"][row:row + SIDE, column:column + SIDE]
    return data.astype("<u2")


def rate(raw):
    """mm/h as float32, NaN where there is no coverage."""
    return np.where(raw == 65535, np.nan, raw.astype(float) * 0.12).astype(np.float32)


def scored(forecast, observation, mask, cap):
    """Whether each cell counts; and both rates, cut, a missing forecast as dry."""
    counts = np.isfinite(observation) & mask
    cut = np.float32(cap if cap > 0 else np.inf)
    return (counts, np.minimum(np.nan_to_num(forecast, nan=0.0), cut).astype(float),
            np.minimum(np.nan_to_num(observation, nan=0.0), cut).astype(float))


def main(folder):
    forecast_raw = crop(folder, "0400", ROW + 3, COLUMN - 4)
    observation_raw = crop(folder, "0430", ROW, COLUMN)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "knmi_pair.u16").write_bytes(forecast_raw.tobytes() + observation_raw.tobytes())
    forecast, observation = rate(forecast_raw), rate(observation_raw)
    i, j = np.mgrid[:SIDE, :SIDE]
    disc = (i - 40) ** 2 + (j - 70) ** 2 < 50 ** 2
    lines = ["# name  mask(0 none, 1 disc)  threshold  event(0 >=, 1 >) or scale  cap  value"]
    for m, mask in enumerate([np.ones_like(disc), disc]):
        for cap in (0, 4):
            counts, f, o = scored(forecast, observation, mask, cap)
            errors = det_cont_fct(f[counts], o[counts], scores=["MAE", "RMSE", "ME"])
            for name, key in (("mae", "MAE"), ("rmse", "RMSE"), ("mean_error", "ME")):
                lines.append(f"{name} {m} 0 0 {cap} {float(errors[key]):.12g}")
            for threshold in (0.1, 1.0, 1.2, 3.0, 5.0):
                exact = float(np.float32(threshold))
                for event in (0, 1):
                    at = exact if event else np.nextafter(exact, -np.inf)
                    scores = det_cat_fct(f[counts], o[counts], at, scores=["CSI", "POD", "FAR", "BIAS"])
                    for name in ("CSI", "POD", "FAR", "BIAS"):
                        lines.append(f"{name.lower()} {m} {threshold} {event} {cap} "
                                     f"{float(scores[name]):.12g}")
                for scale in (1, 2, 4, 5, 16, 33, 200):
                    fss = fss_init(exact, scale)
                    fss_accum(fss, np.where(counts, f, np.nan), np.where(counts, o, np.nan))
                    with np.errstate(all="ignore"):
                        lines.append(f"fss {m} {threshold} {scale} {cap} {fss_compute(fss):.12g}")
    (OUT / "verify_expected.txt").write_text("\n".join(lines) + "\n")
    print(f"{len(lines) - 1} scores; covered: forecast {np.isfinite(forecast).mean():.3f}, "
          f"observation {np.isfinite(observation).mean():.3f}; "
          f"wet {np.nanmean(observation > 0.1):.3f}, over 5 mm/h {np.nansum(observation >= 5)}")


if __name__ == "__main__":
    main(sys.argv[1])
