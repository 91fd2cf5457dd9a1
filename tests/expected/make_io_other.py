#!/usr/bin/env python3
"""Write io_other.csv: what independent readers find in GRIB2, GeoTIFF, PGM and RADOLAN files.

    make_io_other.py PACK_DATA_FOLDER TESTS_DATA_FOLDER io_other.csv

Readers: GRIB2 by eccodes 2.50.0 (the library that Debian has is 2.28); FMI PGM by pysteps 1.21.5;
GeoTIFF by rasterio 1.4.4 (GDAL 3.10.3); RADOLAN by wradlib 2.9.6. They tell values, times and
places; which of a format's codes are "no coverage" (NaN here) and "nothing detected" (DRY) is from
the formats' descriptions and written out below.

Columns: see HEADER. Longitude and latitude are those of the middles of the corner cells, in the
order upper left, upper right, lower right, lower left. `sha256` is over the float32 values, rows
from the north, NaN as 0x7fc00000, then over the mask bytes (0 no coverage, 1 dry, 2 value).
"""
import csv
import datetime
import gzip
import hashlib
import pathlib
import re
import sys
import tempfile

import numpy as np
import pyproj
import pysteps.io.importers as importers
import rasterio
import rasterio.warp
import wradlib

HEADER = ["root", "file", "index", "format", "quantity", "name", "unit", "valid_time", "window_s",
          "width", "height", "lon_ul", "lat_ul", "lon_ur", "lat_ur", "lon_lr", "lat_lr", "lon_ll",
          "lat_ll", "no_coverage", "undetected", "dry", "wet", "min", "max", "mean", "row_a",
          "column_a", "value_a", "row_b", "column_b", "value_b", "sha256"]
NO_COVERAGE, DRY, VALUE = 0, 1, 2
RATE, SUM, ECHO, OTHER = 1, 2, 3, 4  # squall_quantity


def row(root, name, index, about, values, dry, corners):
    """One line. `values`: float32, NaN without coverage; `dry`: where nothing was detected."""
    values = np.ascontiguousarray(values, "<f4").copy()
    mask = np.where(np.isnan(values), NO_COVERAGE, np.where(dry, DRY, VALUE)).astype("u1")
    values[mask == DRY] = 0
    bits = values.view("<u4").copy()
    bits[mask == NO_COVERAGE] = 0x7fc00000
    digest = hashlib.sha256(bits.tobytes() + mask.tobytes()).hexdigest()
    wet = (mask == VALUE) & ((values > 0) | (about["quantity"] == ECHO))
    found = values[wet].astype("f8")
    covered = int((mask != NO_COVERAGE).sum())
    samples = []
    for pick in (found.min() if found.size else None, found.max() if found.size else None):
        r, c = np.argwhere(wet & (values == np.float32(pick)))[0] if found.size else (0, 0)
        samples += [int(r), int(c), repr(float(values[r, c]))]
    height, width = values.shape
    return [root, name, index, about["format"], about["quantity"], about["name"], about["unit"],
            about["time"], about["window"], width, height,
            *[f"{x:.6f}" for point in corners for x in point],
            int((mask == NO_COVERAGE).sum()), int((mask == DRY).sum()), covered - found.size,
            found.size, *([repr(float(f(found))) if found.size else "nan"
                           for f in (np.min, np.max, np.mean)]), *samples, digest]


def utc(*parts):
    return int(datetime.datetime(*parts, tzinfo=datetime.timezone.utc).timestamp())


# GRIB2 ----------------------------------------------------------------------------------------

# by discipline, category, number: quantity, name, unit, factor, window in seconds
GRIB_NAMES = {
    (209, 6, 1): (RATE, "PrecipRate", "mm/h", 1),
    (209, 6, 0): (OTHER, "PrecipFlag", "flag", 1),
    (209, 9, 3): (OTHER, "MergedRhoHV", "1", 1),
    (0, 1, 52): (RATE, "tprate", "mm/h", 3600),
    (0, 1, 8): (SUM, "tp", "mm", 1),
}


def grib_corners(h, width, height, flip_rows, flip_columns):
    if ec.codes_get(h, "gridType") == "regular_ll":
        lat, lon = ec.codes_get_array(h, "distinctLatitudes"), ec.codes_get_array(h, "distinctLongitudes")
        north, south, west, east = max(lat), min(lat), min(lon), max(lon)
        corners = [(west, north), (east, north), (east, south), (west, south)]
    else:
        lat = ec.codes_get_array(h, "latitudes").reshape(height, width)
        lon = ec.codes_get_array(h, "longitudes").reshape(height, width)
        if flip_rows:
            lat, lon = lat[::-1], lon[::-1]
        if flip_columns:
            lat, lon = lat[:, ::-1], lon[:, ::-1]
        corners = [(lon[r, c], lat[r, c]) for r, c in ((0, 0), (0, -1), (-1, -1), (-1, 0))]
    return [((x + 180) % 360 - 180, y) for x, y in corners]


def grib_messages(path):
    global ec  # not before: the wheel's own PROJ puts pyproj's out of action
    import eccodes as ec
    ec.codes_grib_multi_support_on()
    plain = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
    with tempfile.TemporaryFile() as file:
        file.write(plain)
        file.seek(0)
        while (h := ec.codes_grib_new_from_file(file)) is not None:
            yield h
            ec.codes_release(h)


def grib(root, base, name):
    index = 0
    wanted = None
    for h in grib_messages(base / name):
        get = lambda key: ec.codes_get(h, key)
        key = (get("discipline"), get("parameterCategory"), get("parameterNumber"))
        wanted = wanted or key  # the files begin with what is wanted of them
        if key != wanted:
            continue
        quantity, short, unit, factor = GRIB_NAMES[key]
        width, height = ec.codes_get_long(h, "Ni"), ec.codes_get_long(h, "Nj")
        ec.codes_set(h, "missingValue", 1e30)
        raw = ec.codes_get_array(h, "values").reshape(height, width)
        flip_rows, flip_columns = get("jScansPositively"), get("iScansNegatively")
        if flip_rows:
            raw = raw[::-1]
        if flip_columns:
            raw = raw[:, ::-1]
        values = (raw * factor).astype("f4")
        values[raw == 1e30] = np.nan
        dry = np.zeros(values.shape, bool)
        if short == "MergedRhoHV":  # -999: nobody looked; -99: no echo
            dry = values == -99
            values[values == -999] = np.nan
        elif key[0] == 209:  # below 0: nobody looked, or missing; 0 of a rate: no rain seen
            values[values < 0] = np.nan
            dry = (values == 0) & (quantity == RATE)
        day, clock = f"{get('validityDate'):08d}", f"{get('validityTime'):04d}"
        window = 0
        if get("productDefinitionTemplateNumber") == 8:
            window = get("lengthOfTimeRange") * {0: 60, 1: 3600}[get("indicatorOfUnitForTimeRange")]
        about = dict(format="GRIB2 MRMS" if key[0] == 209 else "GRIB2", quantity=quantity,
                     name=short, unit=unit, window=window,
                     time=utc(int(day[:4]), int(day[4:6]), int(day[6:]), int(clock[:2]),
                              int(clock[2:]), get("second")))
        yield row(root, name, index, about, values, dry,
                  grib_corners(h, width, height, flip_rows, flip_columns))
        index += 1


# The others -----------------------------------------------------------------------------------

def corners_of(project, left, top, dx, dy, width, height):
    points = [(0.5, 0.5), (width - 0.5, 0.5), (width - 0.5, height - 0.5), (0.5, height - 0.5)]
    return [project(left + c * dx, top - r * dy) for c, r in points]


def pgm(root, base, name):
    values, _, meta = importers.import_fmi_pgm(str(base / name), gzipped=True)
    stamp = re.search(rb"# obstime (\d{12})", gzip.open(base / name).read(4000)).group(1).decode()
    proj = pyproj.Proj(meta["projection"])
    height, width = values.shape
    corners = corners_of(lambda x, y: proj(x, y, inverse=True), meta["x1"], meta["y2"],
                         meta["xpixelsize"], meta["ypixelsize"], width, height)
    about = dict(format="PGM FMI", quantity=ECHO, name="CorrectedReflectivity", unit="dBZ", window=0,
                 time=utc(*(int(stamp[a:b]) for a, b in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12)))))
    # Byte 0, here -32 dBZ, is "no echo"; 255, here NaN, "no coverage".
    yield row(root, name, 0, about, values.astype("f4"), values == -32, corners)


def tiff(root, base, name):
    with rasterio.open(base / name) as src:
        raw = src.read(1)
        text = src.tags().get("GDAL_METADATA", "")
        crs, at, nodata = src.crs, src.transform, src.nodata
    while "&" in text:
        text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")
    item = dict(re.findall(r'<Item name="([^"]+)"[^>]*>([^<]*)</Item>', text))
    values = raw * float(item.get("Gain", 1)) + float(item.get("Offset", 0))
    values = values.astype("f4")
    nodata = item.get("Nodata", nodata)
    if nodata is not None:
        values[raw == float(nodata)] = np.nan
    dry = raw == int(item["Undetect"]) if item else np.zeros(raw.shape, bool)
    to_lonlat = lambda x, y: [v[0] for v in rasterio.warp.transform(crs, "EPSG:4326", [x], [y])]
    stamp = item.get("Observation time")
    about = dict(format="GeoTIFF", quantity=OTHER, name="band 1", unit="?", window=0, time="none")
    if item:
        about.update(quantity=ECHO, name=item["Quantity"], unit="dBZ",
                     time=utc(*(int(stamp[a:b])
                                for a, b in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12)))))
    height, width = raw.shape
    yield row(root, name, 0, about, values, dry,
              corners_of(to_lonlat, at.c, at.f, at.a, -at.e, width, height))


def radolan(root, base, name):
    values, attrs = wradlib.io.read_radolan_composite(str(base / name), missing=-9999)
    values = values[::-1]  # the file begins in the south
    crs = wradlib.georef.create_crs("dwd-radolan-sphere")
    grid = wradlib.georef.get_radolan_grid(*values.shape, crs=crs, mode="center")[::-1]
    to_lonlat = pyproj.Proj(crs.to_proj4())
    corners = [to_lonlat(*grid[r, c], inverse=True) for r, c in ((0, 0), (0, -1), (-1, -1), (-1, 0))]
    covered = values != -9999
    time = attrs["datetime"].replace(tzinfo=datetime.timezone.utc)
    about = dict(format="RADOLAN " + attrs["producttype"], quantity=SUM, name=attrs["producttype"],
                 unit="mm", window=attrs["intervalseconds"], time=int(time.timestamp()))
    yield row(root, name, 0, about, np.where(covered, values, np.nan).astype("f4"), values == 0,
              corners)


def main(pack, ours, target):
    shared = sorted(str(p.relative_to(pack)) for p in pack.rglob("*") if p.is_file())
    small = sorted(str(p.relative_to(ours)) for p in ours.rglob("*") if p.is_file())
    mrms = [p for p in shared if p.startswith("mrms_preciprate")]
    chosen = [p for p in shared if not p.startswith("mrms_preciprate")] + mrms[::12] + mrms[-1:]
    kinds = (("mrms", grib), ("grib/", grib), ("fmi_pgm", pgm), ("fmi/", None), ("dwd", radolan),
             ("fmi_geotiff", tiff), ("tiff/", tiff))
    lines, gribs = [], []
    for root, base, names in (("tests", ours, small), ("shared", pack, sorted(chosen))):
        for name in names:
            reader = next((f for start, f in kinds if name.startswith(start)), 0)
            if name in ("tiff/colour.tif", "tiff/turned.tif"):
                continue  # refused
            if name.startswith("fmi/"):
                reader = tiff if name.endswith(".tif") else pgm
            if reader is grib:
                gribs.append((root, base, name))
            elif reader and not name.endswith(".md"):
                lines += reader(root, base, name)
    for one in gribs:
        lines += grib(*one)
    with open(target, "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(HEADER)
        out.writerows(lines)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3])
