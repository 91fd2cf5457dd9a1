"""S-PROG and STEPS by the program: the same bytes for a seed, files that pysteps and CF's checker take, scores, dry days.

The packages are those of netcdf_clients.py, in the same environment; without them that part is skipped with a word,
and the rest decides.
"""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from program import ISSUE, KNMI, WINDOW, check, squall

READ = """
import json, sys
import netCDF4
import numpy as np
from pysteps.io import import_netcdf_pysteps
rain, meta = import_netcdf_pysteps(sys.argv[1], onerror="raise")
with netCDF4.Dataset(sys.argv[1]) as file:
    mean = np.ma.filled(file["precip_intensity_mean"][:], np.nan)
    chance = np.ma.filled(file["probability_of_rain"][:], np.nan)
    own = {"realization": file["realization"][:].tolist(), "threshold": file["threshold"][:].tolist(),
           "standard": file["realization"].standard_name}
known = np.isfinite(mean) & np.isfinite(rain).all(axis=0)
# Rates are stored in hundredths: what lies on a threshold may be of either side.
bounds = [((rain > t + 0.006).mean(axis=0), (rain > t - 0.006).mean(axis=0)) for t in own["threshold"]]
print(json.dumps({**own, "shape": rain.shape, "leads": [float(l) for l in meta["leadtimes"]],
    "mean_error": float(np.abs(rain.mean(axis=0) - mean)[known].max()),
    "chance_error": float(max(np.maximum(low - c, c - high)[known].max() for c, (low, high) in zip(chance, bounds))),
    "wet": float((mean[known] > 0).mean())}))
"""


def steps(out, *options, **run):
    return squall("forecast", "--method", "steps", "--members", 6, "--issue", ISSUE, "--leads", "10,30", "--json",
                  "--out", out, *WINDOW, *options, KNMI, **run)


def same_for_a_seed(folder):
    """Files differ in nothing for another number of threads or another instruction set; they do for another seed."""
    names = [folder / f"{n}.nc" for n in "abcd"]
    one = steps(names[0], "--seed", 3, "--threads", 1)
    check(one.json()["method"] == "steps" and one.json()["members"] == 6, one, "method and members")
    check(one.json()["quality"] == "nominal", one, "quality")
    steps(names[1], "--seed", 3, "--threads", 2)
    steps(names[2], "--seed", 3, env={**os.environ, "SQUALL_CPU": "c"})
    steps(names[3], "--seed", 4)
    first, *others = [n.read_bytes() for n in names]
    check(others[0] == first and others[1] == first, one, "the same seed gave other bytes")
    check(others[2] != first, one, "another seed gave the same bytes")
    return names[0]


def read_by_others(path):
    """What pysteps and netCDF4 read is one ensemble, and compliance-checker finds no fault."""
    build = pathlib.Path(os.environ["SQUALL_BUILD"])
    python = build / "venv-validators/bin/python"
    if not python.exists():
        spec = importlib.util.spec_from_file_location("clients", pathlib.Path(__file__).with_name("netcdf_clients.py"))
        clients = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(clients)
        made = subprocess.run([sys.executable, "-m", "venv", build / "venv-validators"], capture_output=True)
        got = made.returncode == 0 and subprocess.run([python, "-m", "pip", "install", "--quiet", "--retries", "1",
                                                       *clients.PACKAGES.values()], capture_output=True).returncode == 0
        if not got:
            print("not checked with pysteps and compliance-checker: PyPI gave no packages")
            return
    ran = subprocess.run([python, "-c", READ, path], capture_output=True, text=True)
    lines = ran.stdout.strip().splitlines()
    if ran.returncode != 0 or not lines:
        sys.exit(f"FAILED: pysteps does not read {path.name}:\n{ran.stdout}{ran.stderr}")
    read = json.loads(lines[-1])
    wanted = {"shape": [6, 2, 128, 160], "leads": [10, 30], "realization": list(range(6)), "standard": "realization"}
    for key, value in wanted.items():
        if read[key] != value:
            sys.exit(f"FAILED: {key} is read as {read[key]}, not {value}")
    if [round(t, 4) for t in read["threshold"]] != [0.1, 1, 5, 10]:
        sys.exit(f"FAILED: thresholds {read['threshold']}")
    if not (read["wet"] > 0.05 and read["mean_error"] <= 0.0101 and read["chance_error"] <= 0.0001):
        sys.exit(f"FAILED: members, mean and probabilities are not of one ensemble: {read}")
    ran = subprocess.run([build / "venv-validators/bin/compliance-checker", "-t", "cf:1.8", path],
                         capture_output=True, text=True)
    faults = [line for line in ran.stdout.splitlines() if line.startswith("* ")]
    if faults or "All tests passed!" not in ran.stdout:
        sys.exit(f"FAILED: compliance-checker: {faults or ran.stdout + ran.stderr}")


def scored_and_read(folder, path):
    """squall's own reader takes the mean; S-PROG is scored beside the other methods."""
    scored = squall("verify", "--forecast", path, "--json", *WINDOW, KNMI)
    check(len(scored.json()["scores"]["methods"]["forecast"]) == 2, scored, "the mean's times")
    small = folder / "small.nc"
    steps(small, "--seed", 3, "--no-members")
    check(small.stat().st_size < path.stat().st_size, scored, "without members it is no smaller")
    sprog = squall("forecast", "--method", "sprog", "--issue", "2010-08-26T03:30Z", "--leads", "10,60", "--score", "--json", KNMI)
    methods = sprog.json()["scores"]["methods"]
    check(set(methods) == {"sprog", "extrapolation", "persistence"}, sprog, "methods")
    for k in range(2):
        check(methods["sprog"][k]["mae"] < methods["extrapolation"][k]["mae"], sprog,
              "what fades has a larger error than what does not")


def dry_days():
    """A window without rain is a forecast without rain, of every method."""
    for method in ("extrapolation", "sprog", "steps", "persistence"):
        made = squall("forecast", "--method", method, "--members", 3, "--leads", 30, "--json", "--issue",
                      ISSUE, "--window", "560,60,48,40", "--max-rate", 100, KNMI)
        check(made.json()["method"] == method, made, f"{method} was not used")


with tempfile.TemporaryDirectory() as name:
    path = same_for_a_seed(pathlib.Path(name))
    read_by_others(path)
    scored_and_read(pathlib.Path(name), path)
    dry_days()
squall("forecast", "--members", 0, KNMI, code=2, says="not a whole number from 1")
print("ensembles")
