#!/usr/bin/env python3
"""Make fuzz/seeds/io_pgm/, io_radolan/, io_gzip/ and recipe/: small synthetic files of the kinds
that begin with a text header, and recipes. Python's own library; the seeds are committed.
"""
import gzip
import io
import json
import pathlib

SEEDS = pathlib.Path(__file__).parent / "seeds"

FMI = b"""P5
# projection_name SUOMI1
# obstime 201609281600
# param CorrectedReflectivity
# metersperpixel_x %g
# projection radar {
# type stereographic
# centrallongitude 25
# centrallatitude 90
# truelatitude 60
# bottomleft 18.600000 57.930000
# topright 34.903000 69.005000
# }
8 8
255
"""


def write(folder, name, data):
    out = SEEDS / folder
    out.mkdir(parents=True, exist_ok=True)
    (out / name).write_bytes(data)


def pgm():
    pixels = bytes(range(0, 256, 4))
    plain = FMI.replace(b"# metersperpixel_x %g\n", b"") + pixels
    write("io_pgm", "composite.pgm", plain)
    write("io_pgm", "pixel_size_differs.pgm", FMI % 1000 + pixels)
    write("io_pgm", "no_comments.pgm", b"P5 8 8 255\n" + pixels)
    write("io_pgm", "cut.pgm", plain[:-9])
    return plain


def radolan(product, version, precision, interval, rows, columns, extra=b""):
    size = 2 if precision else 1
    tail = b"VS%2dSW   2.18.3" % version + (b"PR " + precision if precision else b"")
    tail += b"INT%4dGP%4dx%4d" % (interval, rows, columns) + extra + b"MS  8<boo,ros>\x03"
    head = product + b"160055100000817BY"
    # BY counts itself and all behind it.
    for width in (7, 8):
        whole = len(head) + width + len(tail) + size * rows * columns
        if len(b"%d" % whole) <= width:
            return head + b"%*d" % (width, whole) + tail
    raise ValueError(whole)


def radolans():
    cells = b"\x00\x00\x0c\x00\xc4\x29\xff\x0f\x01\x10\x07\x80\x02\x40"
    write("io_radolan", "yw.bin", radolan(b"YW", 4, b"E-02", 5, 1100, 900) + cells)
    write("io_radolan", "rw.bin", radolan(b"RW", 5, b"E-01", 60, 900, 900) + cells)
    write("io_radolan", "sf_days.bin", radolan(b"SF", 3, b"E-01", 1, 900, 900, b"U1") + cells)
    write("io_radolan", "rv_lead.bin", radolan(b"RV", 5, b"E-02", 5, 1200, 1100, b"VV  45") + cells)
    write("io_radolan", "rx_echo.bin", radolan(b"RX", 3, b"", 5, 900, 900) + b"\x00\x41\xf9\xfa")
    write("io_radolan", "one_radar.bin",
          radolan(b"RW", 3, b"E-01", 60, 900, 900).replace(b"10000", b"10832", 1) + cells)


def gz(data):
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as f:
        f.write(data)
    return out.getvalue()


def gzips(plain):
    whole = gz(plain)
    write("io_gzip", "composite.pgm.gz", whole)
    write("io_gzip", "two_members.pgm.gz", gz(plain[:400]) + gz(plain[400:]))
    write("io_gzip", "padded.pgm.gz", whole + bytes(64))
    write("io_gzip", "cut.pgm.gz", whole[:-40])
    write("io_gzip", "gzip_in_gzip.gz", gz(whole))
    write("io_gzip", "grows.gz", gz(bytes(3 << 20)))


def recipes():
    rain = {"curve": "dbr", "threshold_mm_h": 0.1, "zero_dbr": -15, "mean": -12.5, "scale": 8}
    every = {
        "squall_recipe": 1, "name": "every-kind", "frame": "moving", "multiple": 32,
        "cell_m": 1000, "tolerance_s": 150,
        "transforms": {"rain": rain, "height": {"curve": "linear", "max": 3000, "scale": 1000},
                       "log": {"curve": "log", "epsilon": 0.01, "dry_below": 0.05}},
        "inputs": [{"source": "radar", "time_s": -300, "transform": "rain"},
                   {"kind": "coverage"}, {"kind": "quality"}, {"kind": "time_of_day"},
                   {"kind": "season"}, {"kind": "motion", "transform": "height"},
                   {"source": "satellite", "time_s": -900, "transform": "log", "required": False},
                   {"source": "height", "static": True, "transform": "height"}],
        "outputs": {"leads_s": [300, 600, 3600], "transform": "rain"}}
    write("recipe", "every_kind.json", json.dumps(every).encode())
    small = {"squall_recipe": 1, "name": "small", "tolerance_s": 0,
             "transforms": {"rain": {"curve": "linear"}}, "inputs": [{}],
             "outputs": {"leads_s": [300]}}
    write("recipe", "small.json", json.dumps(small).encode())
    small["squall_recipe"] = 2
    write("recipe", "newer.json", json.dumps(small).encode())
    write("recipe", "default.json", (SEEDS.parent.parent / "models/default/recipe.json").read_bytes())


if __name__ == "__main__":
    gzips(pgm())
    radolans()
    recipes()
