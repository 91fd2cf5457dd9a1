#!/usr/bin/env python3
"""Make fuzz/seeds/io_hdf5/ and io_netcdf3/: small synthetic files of each kind that wx/io reads by HDF5 and netCDF.

    make_io_hdf5_seeds.py        (h5py 3.16.0, netCDF4 1.7.5; the seeds are committed)
"""
import pathlib

import h5py
import netCDF4
import numpy as np

OUT = pathlib.Path(__file__).parent / "seeds" / "io_hdf5"
OUT_CLASSIC = OUT.parent / "io_netcdf3"
LAEA = b"+proj=laea +lat_0=55.0 +lon_0=10.0 +x_0=1950000.0 +y_0=-2100000.0 +units=m +ellps=WGS84"


def hdf5(name, **options):
    options.setdefault("libver", ("v110", "v110"))
    file = h5py.File(OUT / name, "w", **options)
    return file


def attributes(file, group, **values):
    node = file.require_group(group)
    for key, value in values.items():
        node.attrs[key] = np.bytes_(value) if isinstance(value, (bytes, str)) else value


def odim_root(file, version, kind, shape):
    file.attrs["Conventions"] = np.bytes_(f"ODIM_H5/V{version.replace('.', '_')}")
    attributes(file, "what", object=kind, version=f"H5rad {version}", date="20260101",
               time="120000", source="ORG:247")
    # the lower left corner of OPERA's grid, cells of 2 km
    attributes(file, "where", projdef=LAEA, LL_lon=-10.434576838640398, LL_lat=31.746215319325056,
               xscale=2000.0, yscale=2000.0, xsize=shape[1], ysize=shape[0])


def odim(name, version, quantity, dtype, nearest, quality, **storage):
    with hdf5(name, **storage.pop("file", {})) as f:
        odim_root(f, version, "COMP", (8, 8))
        data = np.arange(64).reshape(8, 8).astype(dtype)
        attributes(f, "dataset1/what", product="COMP", startdate="20260101", starttime="115000",
                   enddate="20260101", endtime="120500")
        attributes(f, nearest, quantity=quantity, gain=0.5, offset=0.0, nodata=63.0, undetect=0.0)
        f.create_dataset("dataset1/data1/data", data=data, **storage)
        if quality == "group":
            attributes(f, "dataset1/data1/quality1/how", task="pl.imgw.quality.qi_total")
            attributes(f, "dataset1/data1/quality1/what", gain=1.0, offset=0.0)
            f.create_dataset("dataset1/data1/quality1/data", data=np.linspace(0, 1, 64).reshape(8, 8))
        elif quality == "dataset":
            attributes(f, "dataset2/what", startdate="20260101", starttime="115000",
                       enddate="20260101", endtime="120500", quantity="QIND", gain=0.1, offset=0.0,
                       nodata=255.0, undetect=254.0)
            f.create_dataset("dataset2/data1/data", data=np.full((8, 8), 5, "u1"))


def polar():
    with hdf5("odim_polar.h5") as f:
        odim_root(f, "2.2", "PVOL", (8, 8))
        attributes(f, "dataset1/where", elangle=0.5, nbins=8, nrays=8)
        f.create_dataset("dataset1/data1/data", data=np.zeros((8, 8), "u1"))


def knmi(name, parameter, formula, missing, **options):
    with hdf5(name, **options) as f:
        one = lambda text: np.array([text.encode()])
        attributes(f, "overview", hdftag_version_number="3.5")
        f["overview"].attrs["product_datetime_start"] = one("31-DEC-2025;23:55:00.000")
        f["overview"].attrs["product_datetime_end"] = one("01-JAN-2026;00:00:00.000")
        attributes(f, "geographic", geo_number_columns=np.array([8], "i4"),
                   geo_number_rows=np.array([8], "i4"), geo_pixel_size_x=np.array([1], "f4"),
                   geo_pixel_size_y=np.array([-1], "f4"), geo_column_offset=np.array([0], "f4"),
                   geo_row_offset=np.array([3650], "f4"), geo_dim_pixel="KM,KM", geo_pixel_def="LU")
        attributes(f, "geographic/map_projection", projection_proj4_params=(
            "+proj=stere +lat_0=90 +lon_0=0.0 +lat_ts=60.0 +a=6378.137 +b=6356.752 +x_0=0 +y_0=0"))
        attributes(f, "image1", image_geo_parameter=parameter)
        attributes(f, "image1/calibration", calibration_formulas=formula,
                   calibration_missing_data=np.array([missing], "i4"),
                   calibration_out_of_image=np.array([255], "i4"))
        data = np.arange(64, dtype="u2").reshape(8, 8)
        data[0] = 255
        f.create_dataset("image1/image_data", data=data, compression="gzip")


def cf(name, form, variable, dtype, units, standard, mapping, time):
    folder = OUT_CLASSIC if form.startswith("NETCDF3") else OUT
    with netCDF4.Dataset(folder / name, "w", format=form) as d:
        d.Conventions = "CF-1.8"
        for axis in ("y", "x"):
            d.createDimension(axis, 8)
            v = d.createVariable(axis, "f8", (axis,))
            v.standard_name = f"projection_{axis}_coordinate"
            v.units = "km"
            v[:] = np.arange(8) if axis == "x" else np.arange(8)[::-1]
        dims = ("y", "x")
        if time == "dimension":
            d.createDimension("time", None)
            t = d.createVariable("time", "f8", ("time",))
            t.units, t.standard_name = "minutes since 2026-01-01 00:00:00", "time"
            t[:] = [0, 5]
            dims = ("time",) + dims
        elif time == "scalar":
            for key, value in (("valid_time", 1767225600), ("start_time", 1767225000)):
                t = d.createVariable(key, "i4")
                t.units = "seconds since 1970-01-01 00:00:00 UTC"
                t[...] = value
        else:
            d.nominal_product_time = "2026-01-01T00:00:00Z"
            d.gdal_projection = "+proj=geos +a=6378137.0 +b=6356752.3 +lon_0=0.0 +h=35785863.0"
        v = d.createVariable(variable, dtype, dims, fill_value=-1 if dtype[0] == "i" else 65535)
        v.units, v.scale_factor, v.add_offset = units, 0.1, 0.0
        if standard:
            v.standard_name = standard
        if mapping:
            v.grid_mapping = "crs"
            m = d.createVariable("crs", "i4")
            for key, value in mapping.items():
                m.setncattr(key, value)
        v.set_auto_maskandscale(False)
        frames = np.arange(64).reshape(8, 8) - 2 * (dtype[0] == "i")
        v[:] = np.broadcast_to(frames, (2, 8, 8) if time == "dimension" else (8, 8))


def dense(name):
    """So many variables and attributes that netCDF-4 keeps them in heaps with trees."""
    cf(name, "NETCDF4", "rain", "i2", "mm h-1", "rainfall_rate", {
        "grid_mapping_name": "latitude_longitude"}, "dimension")
    with netCDF4.Dataset(OUT / name, "a") as d:
        for axis, unit in (("y", "degrees_north"), ("x", "degrees_east")):
            d[axis].units = unit
            d[axis].delncattr("standard_name")
        for i in range(12):
            d["rain"].setncattr(f"note{i}", "x" * i)
            d.createVariable(f"other{i}", "u1")


def no_free_space(source, name):
    """The free space of a global heap says it has 0 bytes: HDF5 looks for its end for ever."""
    data = bytearray((OUT / source).read_bytes())
    at = data.index(b"GCOL\1\0\0\0") + 16
    while int.from_bytes(data[at:at + 2], "little") != 0:
        at += 16 + (int.from_bytes(data[at + 8:at + 16], "little") + 7) // 8 * 8
    data[at + 8:at + 16] = bytes(8)
    (OUT / name).write_bytes(data)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    OUT_CLASSIC.mkdir(exist_ok=True)
    odim("odim20_rate.h5", "2.0", "RATE", "f8", "dataset1/what", "dataset",
         file={"libver": "earliest"}, chunks=(4, 8), compression="gzip")
    odim("odim24_acrr.h5", "2.4", "ACRR", "f4", "dataset1/data1/what", "group")
    odim("odim23_dbzh.h5", "2.3", "DBZH", "u1", "dataset1/data1/what", None, chunks=(3, 5),
         compression="gzip", shuffle=True, fletcher32=True)
    polar()
    knmi("knmi_acrr.h5", "ACCUMULATED_PRECIPITATION_[MM]", "GEO=0.01*PV+0.0", 255)
    knmi("knmi_dbz.h5", "REFLECTIVITY_[DBZ]", "GEO=0.5*PV+-32.0", 0, libver="earliest")
    albers = {"grid_mapping_name": "albers_conical_equal_area", "standard_parallel": [-18.0, -36.0],
              "longitude_of_central_meridian": 144.752, "latitude_of_projection_origin": -37.852,
              "semi_major_axis": 6378137.0, "inverse_flattening": 298.257222101}
    stereo = {"grid_mapping_name": "polar_stereographic", "latitude_of_projection_origin": 90.0,
              "straight_vertical_longitude_from_pole": 14.0, "standard_parallel": 60.0}
    cf("cf4_amount.nc", "NETCDF4", "precipitation", "i2", "kg m-2", "precipitation_amount", albers,
       "scalar")
    cf("cf4_rate.nc", "NETCDF4", "precip_intensity", "i2", "mm h-1", "rainfall_rate", stereo,
       "dimension")
    cf("cf4_satellite.nc", "NETCDF4", "crr_intensity", "u2", "mm/h", None, None, "attribute")
    dense("cf4_dense.nc")
    no_free_space("cf4_dense.nc", "heap_free_space_of_0_dense.nc")
    cf("cf3_rate.nc", "NETCDF3_CLASSIC", "precip_intensity", "i2", "mm h-1", "rainfall_rate", stereo,
       "dimension")
    cf("cf3_amount_64.nc", "NETCDF3_64BIT_OFFSET", "rain", "i4", "mm", None, albers, "scalar")
    cf("cf5_amount.nc", "NETCDF3_64BIT_DATA", "rain", "i4", "mm", None, albers, "scalar")


if __name__ == "__main__":
    main()
