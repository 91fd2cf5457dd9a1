#!/usr/bin/env python3
"""Other people's readers on our NetCDF: is it CF-1.8, is it in the right place, are the values right?

Runs test_product_netcdf in a folder of the build, then opens the files that it leaves with

* compliance-checker (cf:1.8),
* GDAL, at known longitudes and latitudes: gdallocationinfo where gdal-bin is installed, otherwise
  rasterio from PyPI,
* pysteps' importer.

Where a value lies is worked out by pyproj from what the test program put in (product_samples.json),
never from the file under test. The Python packages go into $SQUALL_BUILD/venv-validators. Without
PyPI and without an earlier environment the exit code is 77, "skipped".
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

PACKAGES = {
    "compliance_checker": "compliance-checker==6.1.0",
    "pysteps": "pysteps==1.21.5",
    "netCDF4": "netCDF4==1.7.4",
    "pyproj": "pyproj==3.7.2",
}
if shutil.which("gdallocationinfo") is None:
    PACKAGES["rasterio"] = "rasterio==1.4.4"

BUILD = pathlib.Path(os.environ.get("SQUALL_BUILD", "build")).resolve()
VENV = BUILD / "venv-validators"
SAMPLES = BUILD / "tests" / "netcdf_clients"
NO_COVERAGE, DRY = 0, 1


def skip(reason):
    print(f"SKIPPED: NetCDF was not checked with compliance-checker, pysteps and GDAL: {reason}")
    sys.exit(77)


def have_packages(python):
    """Whether that Python has them all, in the versions that the checks were written for."""
    wanted = [p.split("==") for p in PACKAGES.values()]
    script = (
        "import importlib.metadata as m, sys\n"
        f"sys.exit(any(m.version(n) != v for n, v in {wanted!r}))"
    )
    return subprocess.run([python, "-c", script], stderr=subprocess.DEVNULL).returncode == 0


def enter_environment():
    """Go on in an interpreter that has the packages; make one where there is none."""
    python = VENV / "bin" / "python"
    if pathlib.Path(sys.prefix) == VENV:
        return
    if not python.exists():
        made = subprocess.run(
            [sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True
        )
        if made.returncode != 0:
            shutil.rmtree(VENV, ignore_errors=True)
            last = (made.stdout + made.stderr).strip()[-300:]
            skip(f"no virtual environment (Debian: python3-venv): {last}")
    if not have_packages(python):
        pip = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "--retries", "1", "--timeout", "20", *PACKAGES.values()],
            capture_output=True, text=True,
        )
        if pip.returncode != 0:
            last = (pip.stderr.strip() or "no message").splitlines()[-1]
            skip(f"PyPI gave no packages: {last}")
    os.execv(python, [str(python), __file__])


def make_samples():
    program = BUILD / "tests" / "test_product_netcdf"
    if not program.exists():
        sys.exit(f"FAILED: {program} is not built")
    SAMPLES.mkdir(parents=True, exist_ok=True)
    run = subprocess.run([program], cwd=SAMPLES, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"FAILED: {program} itself:\n{run.stdout}{run.stderr}")
    return json.loads((SAMPLES / "product_samples.json").read_text())


def cell(sample, t, i, j):
    """The rate that the test program put there; None without coverage."""
    kind = (i + 2 * j + 3 * t) % 7
    if kind == NO_COVERAGE:
        return None
    if kind == DRY:
        return 0.0
    return ((i * sample["width"] + j) * 7 + t * 1000) % 32000 * 0.01


def places(sample):
    """Cells over the whole grid, and a point inside each, off its centre: (i, j, lon, lat)."""
    import pyproj

    degrees = sample["mapping"] == "latitude_longitude"
    project = None if degrees else pyproj.Proj(sample["proj"])
    for i in range(0, sample["height"], 7):
        for j in range(0, sample["width"], 9):
            x = sample["left"] + (j + 0.4) * sample["cell"]
            y = sample["top"] - (i + 0.6) * sample["cell"]
            lon, lat = (x, y) if degrees else project(x, y, inverse=True)
            lon = (lon + 180) % 360 - 180
            yield i, j, lon, lat


# compliance-checker 6.1.0 takes the one name that it requires of a Mercator grid for a list of
# letters, and misses each of them in any file.
FALSE_FINDING = re.compile(r"^\* . is a required attribute for grid mapping mercator$")


def check_cf(samples):
    """compliance-checker on each file; its words where it finds fault."""
    bad = []
    for sample in samples:
        run = subprocess.run(
            [VENV / "bin" / "compliance-checker", "-t", "cf:1.8", SAMPLES / sample["file"]],
            capture_output=True, text=True,
        )
        found = [line for line in run.stdout.splitlines() if line.startswith("* ")]
        real = [line for line in found if not FALSE_FINDING.match(line)]
        if real or (not found and "All tests passed!" not in run.stdout):
            bad.append(f"{sample['file']}: {'; '.join(real) or run.stdout + run.stderr}")
    return bad


def gdal_program(sample, points):
    """Rates at the points by gdallocationinfo: a row of `times` numbers for each point."""
    text = "".join(f"{lon:.10f} {lat:.10f}\n" for _, _, lon, lat in points)
    run = subprocess.run(
        ["gdallocationinfo", "-valonly", "-wgs84",
         f"NETCDF:{SAMPLES / sample['file']}:precip_intensity"],
        input=text, capture_output=True, text=True, check=True,
    )
    values = [float(v) for v in run.stdout.split()]
    times = sample["times"]
    assert len(values) == times * len(points), f"{sample['file']}: {len(values)} values {run.stderr[:300]}"
    return [values[k * times:(k + 1) * times] for k in range(len(points))]


def gdal_rasterio(sample, points):
    """The same by GDAL as rasterio's wheel carries it."""
    import rasterio
    import rasterio.warp

    with rasterio.open(f"NETCDF:{SAMPLES / sample['file']}:precip_intensity") as data:
        xs, ys = rasterio.warp.transform(
            "EPSG:4326", data.crs, [p[2] for p in points], [p[3] for p in points])
        return [[float(v) for v in row] for row in data.sample(zip(xs, ys))]


def check_gdal(samples):
    """GDAL finds the right cell: raw values are hundredths of mm/h, -1 without coverage."""
    ask = gdal_rasterio if "rasterio" in PACKAGES else gdal_program
    bad = []
    for sample in samples:
        points = list(places(sample))
        for (i, j, lon, lat), row in zip(points, ask(sample, points)):
            for t, value in enumerate(row):
                rate = cell(sample, t, i, j)
                wanted = -1 if rate is None else round(rate * 100)
                if value != wanted:
                    bad.append(f"{sample['file']}: at {lon:.4f} {lat:.4f}, cell ({i}, {j}), time "
                               f"{t}: GDAL finds {value}, {wanted} was put there")
    return bad


def check_pysteps(samples):
    """pysteps reads values, lead times, corners and, where it can, the projection."""
    import numpy as np
    import pyproj
    from pysteps.io import import_netcdf_pysteps

    bad = []
    for sample in samples:
        rain, meta = import_netcdf_pysteps(str(SAMPLES / sample["file"]), onerror="raise")
        shape = (sample["times"], sample["height"], sample["width"])
        wanted = np.array([[[cell(sample, t, i, j) for j in range(shape[2])]
                            for i in range(shape[1])] for t in range(shape[0])], dtype=float)
        if rain.shape != shape or not np.allclose(rain, wanted, atol=1e-4, equal_nan=True):
            bad.append(f"{sample['file']}: pysteps reads other values")
        leads = [(t + 1) * sample["step_s"] / 60 for t in range(shape[0])]
        if not np.allclose(meta["leadtimes"], leads):
            bad.append(f"{sample['file']}: pysteps reads the lead times {meta['leadtimes']}")
        first = meta["timestamps"][0]
        stamp = first.strftime("%Y-%m-%d %H:%M:%S")
        if stamp != "2010-08-26 03:05:00" or meta["unit"] != "mm/h" or meta["yorigin"] != "upper":
            bad.append(f"{sample['file']}: pysteps reads {stamp}, {meta['unit']}, "
                       f"{meta['yorigin']}")
        if sample["mapping"] != "polar_stereographic":
            continue
        # Its string knows no earth, which is its own affair: compare on the one it assumes.
        lon, lat = pyproj.Proj(meta["projection"])(
            meta["x1"] + 0.5 * meta["xpixelsize"], meta["y2"] - 0.5 * meta["ypixelsize"],
            inverse=True)
        _, _, true_lon, true_lat = next(places(sample))
        if abs(lon - true_lon) > 0.1 or abs(lat - true_lat) > 0.3:
            bad.append(f"{sample['file']}: pysteps puts the first cell at {lon:.3f} {lat:.3f}, "
                       f"it lies at {true_lon:.3f} {true_lat:.3f}")
    return bad


def main():
    enter_environment()
    samples = make_samples()
    failed = False
    for check in (check_cf, check_gdal, check_pysteps):
        bad = check(samples)
        print(f"{'FAILED' if bad else 'passed'}: {check.__name__}, {len(samples)} projections")
        for line in bad[:20]:
            print("  " + line)
        failed = failed or bool(bad)
    sys.exit(1 if failed or not samples else 0)


if __name__ == "__main__":
    main()
