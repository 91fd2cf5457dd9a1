#!/usr/bin/env python3
"""Cut the small real samples of tests/data/{fmi,mrms,dwd} out of the real-data pack, and make the
files of tests/data/{grib,tiff}, which have the packings and grids that the pack lacks.

    make_io_samples.py PACK_DATA_FOLDER TESTS_DATA_FOLDER

Written by eccodes 2.50 (Python) and rasterio 1.4.4; the files are committed, so this is needed only
to make others.
"""
import pathlib
import shutil
import sys

import eccodes as ec
import numpy as np
import rasterio
import rasterio.transform
import rasterio.windows

MRMS = {
    # name: (source, first row, first column), where cells without coverage and with rain meet
    "preciprate_crop.grib2": ("mrms_preciprate/PrecipRate_00.00_20190610-001200.grib2", 3125, 4950),
    "rhohv_crop.grib2": ("mrms_grib2_variants/MRMS_MergedRhoHV_19.00_20260219-042039.grib2.gz",
                         250, 1050),
    "precipflag_crop.grib2": ("mrms_grib2_variants/MRMS_PrecipFlag_00.00_20260219-042400.grib2.gz",
                              125, 2850),
}
ROWS, COLUMNS = 250, 300


def open_message(path):
    import gzip
    data = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
    return ec.codes_new_from_message(data)


def crop_mrms(pack, out):
    for name, (source, row, column) in MRMS.items():
        h = open_message(pack / source)
        values = ec.codes_get_array(h, "values").reshape(3500, 7000)
        cut = values[row:row + ROWS, column:column + COLUMNS]
        bits = ec.codes_get(h, "bitsPerValue")
        decimal = ec.codes_get(h, "decimalScaleFactor")
        ec.codes_set(h, "Ni", COLUMNS)
        ec.codes_set(h, "Nj", ROWS)
        for key, first, count in (("latitude", 54995000 - 10000 * row, -(ROWS - 1) * 10000),
                                  ("longitude", 230005000 + 10000 * column,
                                   (COLUMNS - 1) * 10000)):
            ec.codes_set(h, key + "OfFirstGridPoint", int(first))
            ec.codes_set(h, key + "OfLastGridPoint", int(first + count))
        ec.codes_set(h, "bitsPerValue", bits)
        ec.codes_set(h, "decimalScaleFactor", decimal)
        ec.codes_set_values(h, cut.ravel())
        (out / "mrms" / name).write_bytes(ec.codes_get_message(h))
        print(name, ec.codes_get(h, "bitsPerValue"), ec.codes_get(h, "packingType"),
              np.abs(ec.codes_get_array(h, "values") - cut.ravel()).max())


def crop_fmi(pack, out):
    source = pack / "fmi_geotiff/201609281600_FINUTM.tif"
    with rasterio.open(source) as src:
        window = rasterio.windows.Window(3500, 4500, 600, 500)
        profile = dict(driver="GTiff", dtype="uint8", count=1, width=600, height=500, crs=src.crs,
                       transform=src.window_transform(window), tiled=True, blockxsize=256,
                       blockysize=256, compress="deflate")
        with rasterio.open(out / "fmi/201609281600_finutm_crop.tif", "w", **profile) as dst:
            dst.write(src.read(1, window=window), 1)
            dst.update_tags(GDAL_METADATA=src.tags()["GDAL_METADATA"].replace(
                "<", "&lt;").replace(">", "&gt;").replace('"', "&quot;"))
    name = "201609281600_fmi.radar.composite.lowest_FIN_SUOMI1.pgm.gz"
    shutil.copyfile(pack / "fmi_pgm" / name, out / "fmi" / name)


def copy_dwd(pack, out):
    for name in ("raa01-rw_10000-1811220050-dwd---bin.gz", "raa01-ry_10000-2001011510-dwd---bin.gz",
                 "raa01-yw2017.002_10000-1708160055-dwd---bin.gz"):
        shutil.copyfile(pack / "dwd_radolan" / name, out / "dwd" / name)


def rain(rows, columns, seed):
    """Rain rates of a made-up shower in kg m-2 s-1, a third of the cells without."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:columns]
    shower = np.exp(-((x - columns / 2) ** 2 + (y - rows / 3) ** 2) / (columns * 2.0))
    rate = np.where(shower > 0.05, shower * (1 + rng.random((rows, columns))), 0.0)
    return rate * 1e-3


def message(sample, keys, values):
    h = ec.codes_grib_new_from_samples(sample)
    for key, value in keys:
        ec.codes_set(h, key, value)
    ec.codes_set_values(h, values.ravel())
    data = ec.codes_get_message(h)
    ec.codes_release(h)
    return data


COMMON = [("discipline", 0), ("parameterCategory", 1), ("parameterNumber", 52),
          ("dataDate", 20260619), ("dataTime", 1230), ("indicatorOfUnitOfTimeRange", 0),
          ("forecastTime", 10)]


def lonlat(rows, columns, mode=0):
    south, west = bool(mode & 0x40), bool(mode & 0x80)
    lat = (46.0, 46.0 + 0.02 * (rows - 1))
    lon = (5.0, 5.0 + 0.04 * (columns - 1))
    first_lat, last_lat = lat if south else lat[::-1]
    first_lon, last_lon = lon[::-1] if west else lon
    return COMMON + [
        ("gridType", "regular_ll"), ("Ni", columns), ("Nj", rows),
        ("iDirectionIncrementInDegrees", 0.04), ("jDirectionIncrementInDegrees", 0.02),
        ("latitudeOfFirstGridPointInDegrees", first_lat),
        ("longitudeOfFirstGridPointInDegrees", first_lon),
        ("latitudeOfLastGridPointInDegrees", last_lat),
        ("longitudeOfLastGridPointInDegrees", last_lon), ("scanningMode", mode)]


def make_grib(out):
    folder = out / "grib"
    sample = "regular_ll_sfc_grib2"
    rows, columns = 24, 40
    files = {}
    values = rain(rows, columns, 1)
    for packing in ("grid_simple", "grid_ccsds", "grid_jpeg", "grid_complex",
                    "grid_complex_spatial_differencing", "grid_png"):
        files[packing[5:] + ".grib2"] = message(
            sample, lonlat(rows, columns) + [("packingType", packing), ("bitsPerValue", 16)], values)
    files["ieee.grib2"] = message(
        sample, lonlat(rows, columns) + [("packingType", "grid_ieee"), ("precision", 1)], values)
    for packing in ("grid_simple", "grid_png"):
        holed = values.copy()
        holed[3:9, 5:17] = 9999
        files[packing[5:] + "_bitmap.grib2"] = message(
            sample, lonlat(rows, columns) + [("packingType", packing), ("bitmapPresent", 1),
                                             ("missingValue", 9999), ("bitsPerValue", 16)], holed)
    files["constant.grib2"] = message(sample, lonlat(rows, columns), values * 0)
    for mode in (0x40, 0x80, 0xc0):
        files[f"scan_{mode:02x}.grib2"] = message(
            sample, lonlat(rows, columns, mode) + [("bitsPerValue", 12)], values)
    files["stere.grib2"] = message(
        "polar_stereographic_sfc_grib2",
        COMMON + [("Nx", columns), ("Ny", rows), ("latitudeOfFirstGridPointInDegrees", 50.5),
                  ("longitudeOfFirstGridPointInDegrees", 3.25), ("LaDInDegrees", 60.0),
                  ("orientationOfTheGridInDegrees", 10.0), ("DxInMetres", 2000),
                  ("DyInMetres", 1500), ("scanningMode", 0x40), ("shapeOfTheEarth", 6),
                  ("bitsPerValue", 16)], values)
    files["lambert.grib2"] = message(
        "regular_ll_sfc_grib2",
        COMMON + [("gridType", "lambert"), ("Nx", columns), ("Ny", rows),
                  ("latitudeOfFirstGridPointInDegrees", 44.25),
                  ("longitudeOfFirstGridPointInDegrees", 1.5), ("LaDInDegrees", 46.5),
                  ("LoVInDegrees", 2.5), ("DxInMetres", 2500), ("DyInMetres", 2500),
                  ("Latin1InDegrees", 44.0), ("Latin2InDegrees", 49.0), ("scanningMode", 0x40),
                  ("shapeOfTheEarth", 1), ("scaleFactorOfRadiusOfSphericalEarth", 0),
                  ("scaledValueOfRadiusOfSphericalEarth", 6371000), ("bitsPerValue", 16)], values)
    files["total_1h.grib2"] = message(
        sample, lonlat(rows, columns) + [
            ("productDefinitionTemplateNumber", 8), ("parameterNumber", 8),
            ("indicatorOfUnitOfTimeRange", 1), ("forecastTime", 2),
            ("typeOfStatisticalProcessing", 1), ("indicatorOfUnitForTimeRange", 1),
            ("lengthOfTimeRange", 1), ("yearOfEndOfOverallTimeInterval", 2026),
            ("monthOfEndOfOverallTimeInterval", 6), ("dayOfEndOfOverallTimeInterval", 19),
            ("hourOfEndOfOverallTimeInterval", 15), ("minuteOfEndOfOverallTimeInterval", 30),
            ("secondOfEndOfOverallTimeInterval", 0)], values * 1000)
    # Two times of one parameter, and another parameter between them.
    parts = []
    for lead, parameter in ((20, 52), (20, 8), (10, 52)):
        keys = [(k, {"forecastTime": lead, "parameterNumber": parameter}.get(k, v))
                for k, v in lonlat(rows, columns)]
        parts.append(message(sample, keys, values * (1 + lead)))
    files["several.grib2"] = b"\r\r\n012\r\r\nHTXX01 TEST 191230\r\r\n".join(parts)
    files["one_message.grib2"] = join_fields(parts[0], parts[2])
    for name, data in files.items():
        (folder / name).write_bytes(data)


def sections(data):
    at, found = 16, {}
    while data[at:at + 4] != b"7777":
        size = int.from_bytes(data[at:at + 4], "big")
        found[data[at + 4]] = data[at:at + size]
        at += size
    return found


def join_fields(first, second):
    """One message with the fields of two: sections 4 to 7 come again."""
    a, b = sections(first), sections(second)
    body = b"".join(a[i] for i in (1, 3, 4, 5, 6, 7)) + b"".join(b[i] for i in (4, 5, 6, 7)) + b"7777"
    return first[:8] + (16 + len(body)).to_bytes(8, "big") + body


TIFFS = {
    # name: (type, nodata, CRS, left, top, cell size, more of GDAL's creation options)
    "strips_float_big.tif": ("float32", np.nan, "EPSG:3035", 4e6, 3e6, 1000,
                             dict(compress="lzw", predictor=3, BIGTIFF="YES")),
    "laea_int16_point.tif": ("int16", -1, "+proj=laea +lat_0=55 +lon_0=10 +x_0=1950000 "
                             "+y_0=-2100000 +ellps=WGS84 +units=m", 2e6, -1e6, 2000,
                             dict(compress="deflate", tiled=True, blockxsize=16, blockysize=16,
                                  ENDIANNESS="BIG")),
    "stere_uint16.tif": ("uint16", 65535, "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +R=6370040 "
                         "+units=m", -2e5, -4e6, 1000, dict(compress="packbits")),
    "lcc_uint8.tif": ("uint8", 255, "+proj=lcc +lat_0=46.5 +lon_0=3 +lat_1=44 +lat_2=49 +x_0=700000 "
                      "+y_0=6600000 +ellps=GRS80 +units=m", 6e5, 7e6, 1000, {}),
    "aea_int32.tif": ("int32", None, "+proj=aea +lat_0=-27 +lon_0=153 +lat_1=-18 +lat_2=-36 "
                      "+ellps=GRS80 +units=m", -1e5, 5e4, 500, dict(compress="lzw")),
    "tmerc_uint32.tif": ("uint32", 7, "+proj=tmerc +lat_0=0 +lon_0=14.8 +k=0.9999 +x_0=300000 +y_0=0 "
                         "+ellps=GRS80 +units=m", 4e5, 6.5e6, 250, dict(compress="zstd")),
    # a transverse Mercator that GDAL takes for a UTM zone of its own, by its GeoKey 3074
    "utm_by_key.tif": ("uint8", 7, "+proj=tmerc +lat_0=0 +lon_0=15 +k=0.9996 +x_0=500000 +y_0=0 "
                       "+ellps=GRS80 +units=m", 4e5, 6.5e6, 250, {}),
    "longlat_float64.tif": ("float64", -9999, "EPSG:4326", 5, 50, 0.25, {}),
    "utm_uint8.tif": ("uint8", None, "EPSG:32733", 4e5, 8e6, 1000, {}),
    "swiss_uint8.tif": ("uint8", 0, "EPSG:2056", 2.6e6, 1.2e6, 1000, {}),
}


def make_tiff(out):
    rng = np.random.default_rng(3)
    for name, (kind, nodata, crs, left, top, size, options) in TIFFS.items():
        values = rng.integers(0, 60, (21, 35)).astype(kind)
        if kind.startswith("float"):
            values = values / np.array(8, kind)
        if nodata is not None:
            values[4:9, 10:20] = nodata
        with rasterio.open(out / "tiff" / name, "w", driver="GTiff", dtype=kind, count=1, width=35,
                           height=21, crs=crs, nodata=nodata,
                           transform=rasterio.transform.from_origin(left, top, size, size),
                           **options) as dst:
            if "point" in name:
                dst.update_tags(AREA_OR_POINT="Point")
            dst.write(values, 1)
    with rasterio.open(out / "tiff" / "colour.tif", "w", driver="GTiff", dtype="uint8", count=3,
                       width=8, height=8, crs="EPSG:3035", photometric="RGB",
                       transform=rasterio.transform.from_origin(4e6, 3e6, 1000, 1000)) as dst:
        dst.write(np.zeros((3, 8, 8), "uint8"))
    with rasterio.open(out / "tiff" / "turned.tif", "w", driver="GTiff", dtype="uint8", count=1,
                       width=8, height=8, crs="EPSG:3035",
                       transform=rasterio.Affine(900, 100, 4e6, 100, -900, 3e6)) as dst:
        dst.write(np.zeros((8, 8), "uint8"), 1)


def main(pack, out):
    for folder in ("fmi", "mrms", "dwd", "grib", "tiff"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    crop_mrms(pack, out)
    crop_fmi(pack, out)
    copy_dwd(pack, out)
    make_grib(out)
    make_tiff(out)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
