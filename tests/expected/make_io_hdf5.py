#!/usr/bin/env python3
"""Make tests/expected/io_hdf5_fields.csv and io_hdf5_samples.csv: what independent readers see in the
HDF5 and netCDF files of the real-data pack.

    make_io_hdf5.py PACK        (the folder that holds opera_odyssey_rate/, knmi_rap/, ...)

Raw numbers come from h5py and netCDF4 and are scaled here by numpy in double precision. Where pysteps
has an importer for the kind, every value is held against it as a float32 as well. Places come from
pyproj: for ODIM and KNMI with the corners that pysteps reports, for BoM with pyproj's own reading of
the CF attributes, for OpenMRG from the longitudes and latitudes in the file.

A row's hash is the SHA-256 of all values as little-endian float32, row by row from the north (NaN is
0x7fc00000), and then of all mask bytes (0 no coverage, 1 dry, 2 value); that of the quality is over
its values alone. The last row of OpenMRG hashes the hashes of all its frames.
"""
import csv
import datetime
import glob
import hashlib
import importlib.metadata
import os
import sys

import h5py
import netCDF4
import numpy as np
import pyproj
from pysteps.io import importers

FIELDS = ("folder file index quantity unit valid_time window_s width height no_coverage dry undetected "
          "wet min max mean sha256 quality_cells quality_sha256 lon0 lat0 lon1 lat1 lon2 lat2 lon3 lat3"
          ).split()
OUT = os.path.dirname(os.path.abspath(__file__))
MISSING, DRY, VALUE = 0, 1, 2


def unix(text):
    form = "%Y%m%d%H%M%S" if len(text) == 14 else "%d-%b-%Y;%H:%M:%S.%f"
    moment = datetime.datetime.strptime(text.title() if "-" in text else text, form)
    return int(moment.replace(tzinfo=datetime.timezone.utc).timestamp())


def text(value):
    return (value[0] if isinstance(value, np.ndarray) else value).decode()


def pack(values, mask):
    values = np.where(mask == VALUE, values, np.where(mask == DRY, 0.0, np.nan)).astype("<f4")
    return np.where(np.isnan(values), np.float32(np.nan), values).astype("<f4"), mask.astype("u1")


def digest(*arrays):
    sha = hashlib.sha256()
    for array in arrays:
        bits = np.ascontiguousarray(array)
        if bits.dtype == np.dtype("<f4"):
            bits = bits.view("<u4").copy()
            bits[np.isnan(array)] = 0x7FC00000
        sha.update(bits.tobytes())
    return sha


def against_pysteps(path, importer, values, mask, rain=True, **options):
    other, _, meta = importer(path, **options)
    same = np.float32(other) == values
    assert same[mask == VALUE].all(), path
    assert not rain or (other[mask == DRY] == 0).all(), path
    return other, meta


def centres(width, height):
    return [(h * height // 4, w * width // 4) for h in (1, 3) for w in (1, 3)]


def places(crs, x_of, y_of, width, height):
    to = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    return [to.transform(x_of(column), y_of(row)) for row, column in centres(width, height)]


def odim(path, quantity):
    with h5py.File(path) as h:
        def attribute(name, *groups):
            return next(h[g].attrs[name] for g in groups if g in h and name in h[g].attrs)
        own = ("dataset1/data1/what", "dataset1/what")
        assert text(attribute("quantity", *own)) == quantity
        raw = h["dataset1/data1/data"][()].astype("f8")
        values = raw * attribute("gain", *own) + attribute("offset", *own)
        mask = np.where(raw == attribute("nodata", *own), MISSING,
                        np.where(raw == attribute("undetect", *own), DRY, VALUE))
        group = "dataset2/data1" if "dataset2" in h else "dataset1/data1/quality1"
        assert "dataset2" not in h or text(attribute("quantity", "dataset2/what")) == "QIND"
        quality = h[group + "/data"][()].astype("f8")
        quality = np.where((quality >= 0) & (quality <= 1), quality, np.nan).astype("<f4")
        stamps = [unix(text(attribute(k + "date", *own)) + text(attribute(k + "time", *own)))
                  for k in ("start", "end")]
        nominal = unix(text(h["what"].attrs["date"]) + text(h["what"].attrs["time"]))
    values, mask = pack(values, mask)
    other, meta = against_pysteps(path, importers.import_opera_hdf5, values, mask,
                                  quantity != "DBZH", qty=quantity)
    assert (np.isnan(other) == (mask == MISSING)).all()
    height, width = values.shape
    dx, dy = meta["xpixelsize"], meta["ypixelsize"]
    at = places(meta["projection"], lambda c: meta["x1"] + (c + 0.5) * dx,
                lambda r: meta["y2"] - (r + 0.5) * dy, width, height)
    is_sum = quantity == "ACRR"
    unit = {"RATE": "mm/h", "ACRR": "mm", "DBZH": "dBZ"}[quantity]
    yield (0, quantity, unit, stamps[1] if is_sum else nominal,
           stamps[1] - stamps[0] if is_sum else 0, values, mask, quality, at)


def knmi(path):
    with h5py.File(path) as h:
        raw = h["image1/image_data"][()]
        assert text(h["image1/calibration"].attrs["calibration_formulas"]) == "GEO=0.01*PV+0.0"
        stamps = [unix(text(h["overview"].attrs["product_datetime_" + k])) for k in ("start", "end")]
    mask = np.where(raw == 65535, MISSING, np.where(raw == 0, DRY, VALUE))
    values, mask = pack(raw * 0.01, mask)
    _, meta = against_pysteps(path, importers.import_knmi_hdf5, values, mask, accutime=5.0,
                              pixelsize=1.0)
    height, width = values.shape
    metres = meta["projection"].replace("6378.137", "6378137").replace("6356.752", "6356752")
    at = places(metres, lambda c: 1000 * (meta["x1"] + c + 0.5),
                lambda r: 1000 * (meta["y2"] - r - 0.5), width, height)
    yield (0, "ACCUMULATED_PRECIPITATION", "mm", stamps[1], stamps[1] - stamps[0], values, mask, None,
           at)


def bom(path):
    with netCDF4.Dataset(path) as d:
        d.set_auto_maskandscale(False)
        v = d["precipitation"]
        raw = v[:]
        values = raw * np.float64(v.scale_factor) + np.float64(v.add_offset)
        stamps = [int(d[k][...]) for k in ("start_time", "valid_time")]
        crs = pyproj.CRS.from_cf({k: d["proj"].getncattr(k) for k in d["proj"].ncattrs()})
        x, y = d["x"][:].astype("f8") * 1000, d["y"][:].astype("f8") * 1000
    assert y[0] > y[-1] and x[0] < x[-1]
    mask = np.where(raw < 0, MISSING, np.where(raw == 0, DRY, VALUE))
    values, mask = pack(values, mask)
    against_pysteps(path, importers.import_bom_rf3, values, mask)
    at = places(crs, lambda c: x[c], lambda r: y[r], raw.shape[1], raw.shape[0])
    yield 0, "precipitation", "mm", stamps[1], stamps[1] - stamps[0], values, mask, None, at


def saf(path):
    with netCDF4.Dataset(path) as d:
        d.set_auto_maskandscale(False)
        v = d["crr_intensity"]
        raw = v[:]
        values = raw.astype("f8") * np.float64(v.scale_factor) + np.float64(v.add_offset)
        low, high = v.valid_range
        mask = np.where((raw < low) | (raw > high), MISSING, np.where(raw == 0, DRY, VALUE))
        x, y = d["nx"][:].astype("f8"), d["ny"][:].astype("f8")
        crs, stamp = d.gdal_projection, d.nominal_product_time
    values, mask = pack(values, mask)
    against_pysteps(path, importers.import_saf_crri, values, mask)
    at = places(crs, lambda c: x[c], lambda r: y[r], raw.shape[1], raw.shape[0])
    stamp = unix("".join(c for c in stamp if c.isdigit()))
    yield 0, "crr_intensity", "mm/h", stamp, 0, values, mask, None, at


def openmrg(path):
    with netCDF4.Dataset(path) as d:
        d.set_auto_maskandscale(False)
        v = d["R"]
        lon, lat = d["lon"][:], d["lat"][:]
        assert d["y"][0] > d["y"][-1] and d["time"].units == "seconds since 1970-01-01"
        at = [(lon[p], lat[p]) for p in centres(*lon.shape[::-1])]
        every = hashlib.sha256()
        for index, stamp in enumerate(d["time"][:]):
            raw = v[index]
            mask = np.where(raw == -9999, MISSING, np.where(raw == 0, DRY, VALUE))
            values, mask = pack(raw * v.scale_factor, mask)
            every.update(digest(values, mask).digest())
            if index % 64 == 0:
                yield index, "R", "mm/h", int(stamp), 0, values, mask, None, at
    print(f"openmrg, all frames: {every.hexdigest()}")


def row(folder, path, field):
    index, quantity, unit, stamp, window, values, mask, quality, at = field
    wet = (mask == VALUE) & ((values > 0) | (unit == "dBZ"))
    seen = values[wet].astype("f8")
    numbers = [f"{n:.9g}" for n in (seen.min(), seen.max())] + [f"{seen.mean():.12g}"] \
        if wet.any() else ["nan"] * 3
    return [folder, os.path.basename(path), index, quantity, unit, stamp, window, values.shape[1],
            values.shape[0], (mask == MISSING).sum(), ((mask != MISSING) & ~wet).sum(),
            (mask == DRY).sum(), wet.sum(), *numbers, digest(values, mask).hexdigest(),
            0 if quality is None else (~np.isnan(quality)).sum(),
            "-" if quality is None else digest(quality).hexdigest(),
            *(f"{n:.7f}" for place in at for n in place)]


def samples(folder, path, field):
    index, values, mask = field[0], field[5], field[6]
    random = np.random.default_rng(20260101)
    for kind in (MISSING, DRY, VALUE):
        cells = np.flatnonzero(mask == kind)
        for cell in sorted(random.choice(cells, min(16, cells.size), replace=False)):
            r, c = divmod(int(cell), values.shape[1])
            yield [folder, os.path.basename(path), index, r, c, kind, f"{values[r, c]:.9g}"]


def main(pack_folder):
    kinds = {"opera_odyssey_rate": lambda p: odim(p, "RATE"),
             "opera_nimbus_acrr": lambda p: odim(p, "ACRR"),
             "opera_cirrus_dbzh": lambda p: odim(p, "DBZH"), "knmi_rap": knmi, "bom_prcp_c10": bom,
             "bom_prcp_cscn": bom, "saf_nwcsaf_crr": saf, "smhi_openmrg": openmrg}
    versions = (f"{name} {importlib.metadata.version(name)}"
                for name in ("h5py", "netCDF4", "pysteps", "pyproj", "numpy"))
    tools = f"# by tests/expected/make_io_hdf5.py: {', '.join(versions)}\n"
    with open(f"{OUT}/io_hdf5_fields.csv", "w", newline="\n") as fields, \
            open(f"{OUT}/io_hdf5_samples.csv", "w", newline="\n") as cells:
        fields.write(tools + "# " + ",".join(FIELDS) + "\n")
        cells.write(tools + "# folder,file,index,row,column,mask,value\n")
        rows, points = (csv.writer(f, lineterminator="\n") for f in (fields, cells))
        for folder, read in kinds.items():
            for number, path in enumerate(sorted(glob.glob(f"{pack_folder}/{folder}/*"))):
                for field in read(path):
                    rows.writerow(row(folder, path, field))
                    if number == 0 and field[0] == 0:
                        points.writerows(samples(folder, path, field))


if __name__ == "__main__":
    main(sys.argv[1])
