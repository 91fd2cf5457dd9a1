"""Probabilities calibrated by what the suite fitted: better on the sequences that were held back, applied to a forecast,
with alarms by cost and loss; and files that are no calibration."""
import json
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from program import ISSUE, KNMI, WINDOW, check, squall

SUITE = ("verify", "--suite", f"west={KNMI}@200,260,160,128", f"east={KNMI}@360,260,160,128", "--every", 3600, "--leads", "10,30",
         "--resamples", 20, "--members", 10)


def fitted(folder):
    path = folder / "calibration.json"
    ran = squall(*SUITE, "--methods", "steps", "--calibration-out", path)
    what = json.loads(path.read_text())
    check(what["format"] == "squall-calibration-1" and what["method"] == "steps" and what["members"] == 10, ran, "head")
    check(len(what["maps"]) == 2 * 5, ran, "a map for each lead and threshold")
    before = after = 0
    for row in what["maps"]:
        values = row["calibrated"]
        check(len(values) == 21 and values == sorted(values) and 0 <= values[0] and values[-1] <= 1, ran, f"{row}")
        if row["held_back"]:
            before += row["held_back"]["reliability_before"]
            after += row["held_back"]["reliability_after"]
    check(after < before, ran, f"the sequence held back is no more reliable: {before} before, {after} after")
    squall(*SUITE, "--methods", "sprog", "--calibration-out", folder / "none.json", code=2, says="steps is not among")
    return path, what


def applied(folder, path, what):
    """Every probability goes through the map of its lead and threshold, by linear interpolation."""
    common = ("forecast", "--method", "steps", "--members", 10, "--seed", 2, "--issue", ISSUE, "--leads", "10,30", *WINDOW, "--no-members")
    squall(*common, "--out", folder / "raw.nc", KNMI)
    made = squall(*common, "--calibration", path, "--cost-loss", 0.2, "--out", folder / "calibrated.nc", KNMI)
    check((folder / "raw.nc").read_bytes() != (folder / "calibrated.nc").read_bytes(), made, "nothing was calibrated")
    squall("forecast", "--issue", ISSUE, "--calibration", path, *WINDOW, KNMI, says="gives no probabilities")
    try:
        import netCDF4
        import numpy as np
    except ImportError:
        return "values not read: no netCDF4"
    with netCDF4.Dataset(folder / "raw.nc") as a, netCDF4.Dataset(folder / "calibrated.nc") as b:
        raw, new, alarm = a["probability_of_rain"][:], b["probability_of_rain"][:], b["alarm"][:]
        for t, threshold in enumerate(a["threshold"][:]):
            for k, lead in enumerate((10, 30)):
                row = next(r for r in what["maps"] if r["lead_min"] == lead and abs(r["threshold_mm_h"] - threshold) < 1e-4)
                wanted = np.interp(raw[t, k].filled(0), np.linspace(0, 1, 21), row["calibrated"])
                known = ~np.ma.getmaskarray(raw[t, k])
                check(np.abs(new[t, k].filled(0) - wanted)[known].max() < 2e-4, made, f"threshold {threshold}, lead {lead}")
        sure = np.abs(new.filled(-1) - 0.2) > 2e-4
        check(((alarm.filled(-1) == 1) == (new.filled(-1) >= 0.2))[sure].all(), made, "alarms")
    return "values read"


def no_calibration(folder):
    broken = folder / "broken.json"
    for text in ("", "[]", '{"format": "other"}', '{"format": "squall-calibration-1"}',
                 '{"format": "squall-calibration-1", "maps": [{"lead_min": 10, "threshold_mm_h": 0.1, "calibrated": [1, 0]}]}',
                 '{"format": "squall-calibration-1", "maps": [{"lead_min": 10, "threshold_mm_h": 0.1, "calibrated": [0, 2]}]}'):
        broken.write_text(text)
        squall("forecast", "--method", "steps", "--members", 2, "--leads", 10, "--issue", ISSUE, "--calibration", broken, *WINDOW, KNMI,
               code=1, says="SQUALL_E_FORMAT")
    squall("forecast", "--method", "steps", "--calibration", folder / "nowhere.json", *WINDOW, KNMI, code=1)


with tempfile.TemporaryDirectory() as name:
    path, what = fitted(pathlib.Path(name))
    # netCDF4 is in the environment of check_netcdf_clients where that has run.
    site = pathlib.Path(os.environ["SQUALL_BUILD"]) / "venv-validators/lib"
    sys.path.extend(map(str, site.glob("python*/site-packages")))
    print(applied(pathlib.Path(name), path, what))
    no_calibration(pathlib.Path(name))
