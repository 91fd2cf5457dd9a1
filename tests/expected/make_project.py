#!/usr/bin/env python3
"""Print the rows of EXPECTED in tests/unit/wx/grid/test_grid_project.c, by pyproj.

Each row: projection text, longitude and latitude (WGS 84), x and y in projection units. Texts that
start with "+proj" go through pyproj.Proj (the bare projection), others through a Transformer from
EPSG:4326. Run: python make_project.py (made with pyproj 3.7.2, PROJ 9.5.1).
"""
import pyproj

TEXTS = {
    # OPERA composites, metres
    "+proj=laea +lat_0=55.0 +lon_0=10.0 +x_0=1950000.0 +y_0=-2100000.0 +units=m +ellps=WGS84": [
        (10, 55), (-39.5, 67), (29.42, 31.98)],
    # KNMI: an ellipsoid in kilometres
    "+proj=stere +lat_0=90 +lon_0=0.0 +lat_ts=60.0 +a=6378.137 +b=6356.752 +x_0=0 +y_0=0": [
        (0, 49.362), (10.856, 55.389)],
    # DWD RADOLAN: a sphere, kilometres
    "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +R=6370040 +units=km": [(10, 51), (3.5889, 46.9526)],
    # FMI and SMHI: Bessel and International, with and without a shift of datum
    "+proj=stere +lat_0=90 +lon_0=25 +lat_ts=60 +a=6371288 +units=m": [(25, 60)],
    "+proj=stere +lat_0=90 +lon_0=14 +lat_ts=60 +ellps=bessel": [(12, 57.7)],
    "+proj=stere +lat_0=90 +lon_0=14 +lat_ts=60 +ellps=bessel +towgs84=598.1,73.7,418.2,0.202,0.045,-2.455,6.7":
        [(12, 57.7)],
    # BoM Rainfields 3
    "+proj=aea +lat_1=-18 +lat_2=-36 +lat_0=-27.718 +lon_0=153.24 +ellps=GRS80 +units=km": [
        (152.0, -26.5)],
    # a geostationary view, and units of another length
    "+proj=geos +lon_0=0 +h=35785863 +a=6378169 +b=6356583.8": [(5, 45), (-40, -20)],
    "+proj=merc +R=6371000 +to_meter=1000": [(25, 60.5)],
    "+proj=merc +a=6378137 +b=6378137 +nadgrids=@null +wktext": [(25, 60.5)],
    "EPSG:3067": [(25, 60.5), (31, 69.9)],
    "EPSG:4326": [(25, 60.5)],
}

for text, points in TEXTS.items():
    for lon, lat in points:
        if text.startswith("+proj"):
            x, y = pyproj.Proj(text)(lon, lat)
        else:
            x, y = pyproj.Transformer.from_crs("EPSG:4326", text, always_xy=True).transform(lon, lat)
        print(f'    {{"{text}",\n     {lon!r}, {lat!r}, {x:.6f}, {y:.6f}}},')
