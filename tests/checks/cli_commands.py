"""Every command of the program on the shipped data: results, JSON, exit codes, and usage that is wrong."""
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from program import (ISSUE, KNMI, MODEL, RECIPE, SOURCE, WINDOW, build_engine, check, frame, squall)

COMMANDS = ("info", "build", "inspect", "bench", "features", "forecast", "verify")


def help_and_version():
    overview = squall("help")
    check(squall("--help").out == overview.out, overview, "--help and help differ")
    squall(code=2)
    for name in COMMANDS:
        check(re.search(rf"^  {name} ", overview.out, re.M), overview, f"'{name}' is not listed")
        one = squall(name, "--help")
        check(one.out == squall("help", name).out, one, "help of a command and its --help differ")
        check(f"Usage: squall {name}" in one.out and "--json" in one.out, one, "help lacks something")
    for code in "0123":
        check(re.search(rf"^  {code}  ", overview.out, re.M), overview, f"exit code {code} is not told")
    version = squall("--version")
    check(re.match(r"squall \d+\.\d+\.\d+ \(commit \w+", version.out), version, "no version")
    for text in ("compiler: ", "processor: ", "kernels: "):
        check(text in version.out, version, f"no '{text}'")


def info():
    both = squall("info", "--json", frame("0000"), frame("0455"))
    first, last = both.json()
    expected = {  # by h5dump of the file: its own statements and counts
        "format": "KNMI HDF5 3.5", "quantity": "accumulation", "unit": "mm", "window_s": 300,
        "valid_time": "2010-08-26T00:00:00Z", "width": 700, "height": 765, "count": 1,
        "quality": False}
    for key, value in expected.items():
        check(first[key] == value, both, f"{key} is {first[key]}, not {value}")
    check(last["valid_time"] == "2010-08-26T04:55:00Z", both, "the second file's time")
    check(first["no_coverage"] + first["dry"] + first["wet"] == 700 * 765, both, "cells are lost")
    times = squall("info", "--times", "--json", frame("0000"))
    check([t["valid_time"] for t in times.json()] == ["2010-08-26T00:00:00Z"], times, "times")
    check("no coverage" in squall("info", frame("0000")).out, both, "text")


def engines(engine):
    shown = squall("inspect", "--json", engine)
    what = shown.json()
    check(what["recipe"]["name"] == "default-2", shown, "the recipe")
    check(re.fullmatch("[0-9a-f]{64}", what["model_sha256"]), shown, "the model's hash")
    profile = what["profiles"][0]
    check(profile["inputs"][0]["shape"] == [1, 5, 128, 160], shown, "the input's shape")
    check(profile["outputs"][0]["shape"] == [1, 12, 128, 160], shown, "the output's shape")
    again = engine.with_name("again.engine")
    report = squall("build", "--json", MODEL, "--recipe", RECIPE, "--grid-of", frame("0100"), *WINDOW,
                    "--out", again)
    check(report.json()["steps_on_ref"] == 0, report, "the network does not run on vectorised kernels")
    check(again.read_bytes() == engine.read_bytes(), report, "the same inputs gave other bytes")
    shape = squall("build", "--json", MODEL, "--shape", "x=1x5x32x48", "--device", "ref", "--out", again)
    check(shape.json()["macs"] == 32 * 48 * 12 * 5 * 9, shape, "multiply-accumulates")
    bench = squall("bench", "--json", "--runs", 3, "--layers", engine)
    what = bench.json()
    check(what["runs"] == 3 and what["median_ms"] >= what["min_ms"], bench, "runs")
    check(len(what["layers"]) == profile["steps"], bench, "a line for each step")
    check("median" in squall("bench", "--runs", 1, engine).out, bench, "text")


def features(engine, folder):
    out = folder / "features"
    made = squall("features", "--recipe", RECIPE, "--out", out, "--targets", "--every", 3600, "--json",
                  *WINDOW, KNMI, says="no motion at 2010-08-26T00:00:00Z")
    index = made.json()
    # The first frame has no past: no motion, so no features in the moving frame.
    times = [entry["issue_time"] for entry in index]
    check(times == [f"2010-08-26T0{h}:00:00Z" for h in range(1, 5)], made, "issue times")
    check(index[0]["exact"] == 5 and index[0]["known"] > 0.5, made, "what is known")
    for part in ("input", "target", "weight"):
        check((out / f"20100826T020000Z.{part}.npy").stat().st_size > 128 * 160 * 5 * 4, made, part)
    check((out / "index.json").exists(), made, "no index")
    tensors = folder / "tensors"
    served = squall("forecast", "--engine", engine, "--issue", ISSUE, "--tensors", tensors, *WINDOW, KNMI)
    same = (out / "20100826T020000Z.input.npy").read_bytes() == (tensors / "input.npy").read_bytes()
    check(same, served, "training and serving make other tensors")
    # What the network gave, given again by bench: no difference.
    bench = squall("bench", "--json", "--runs", 1, "--input", tensors / "input.npy", "--reference",
                   tensors / "output.npy", engine)
    check(bench.json()["worst_relative_error"] == 0, bench, "another output for the same input")


def forecasts(engine, folder):
    out, maps, sheet = folder / "deep/f.nc", folder / "maps", folder / "sheet.png"
    out.parent.mkdir()
    made = squall("forecast", "--engine", engine, "--issue", ISSUE, "--score", "--json", "--strict",
                  "--out", out, "--maps", maps, "--sheet", sheet, "--title", "Rain, tomorrow's too",
                  "--attribution", "KNMI", *WINDOW, KNMI)
    what = made.json()
    check(what["issue_time"] == ISSUE and what["method"] == "model", made, "issue time and method")
    check(what["quality_index"] == 1 and what["quality"] == "nominal", made, "quality")
    check(what["leads_s"] == [300 * k for k in range(1, 13)], made, "lead times")
    check(not what["notes"] and not made.err, made, "notes, though nothing was wrong")
    check(set(what["scores"]["methods"]) == {"model", "extrapolation", "persistence"}, made, "methods")
    check(len(list(maps.iterdir())) == 12, made, "maps")
    for png in (*maps.iterdir(), sheet):
        data = png.read_bytes()
        check(data[:8] == b"\x89PNG\r\n\x1a\n" and data[-8:-4] == b"IEND", made, f"{png} is no PNG")
    seen = squall("info", "--all", "--json", out)
    fields = seen.json()
    check([f["valid_time"][11:16] for f in fields]
          == [f"{2 + m // 60:02}:{m % 60:02}" for m in range(5, 65, 5)], seen, "times in the product")
    check(all(f["width"] == 160 and f["height"] == 128 for f in fields), seen, "grid of the product")
    # The product scored again is what the forecast scored; it holds rates in hundredths of mm/h.
    scored = squall("verify", "--forecast", out, "--json", *WINDOW, KNMI)
    rows = scored.json()["scores"]["methods"]["forecast"]
    for row, before in zip(rows, what["scores"]["methods"]["model"], strict=True):
        check(abs(row["csi"] - before["csi"]) < 0.01 and abs(row["mae"] - before["mae"]) < 0.01, scored,
              f"other scores at {row['valid_time']}: {row} {before}")
    check(rows[0]["valid_time"] == "2010-08-26T02:05:00Z", scored, "valid times")

    for method in ("extrapolation", "persistence"):
        one = squall("forecast", "--method", method, "--leads", "10,20", "--issue", ISSUE, "--json", *WINDOW,
                     KNMI).json()
        check(one["method"] == method and one["leads_s"] == [600, 1200], made, method)
    for motion in ("dense", "lucas-kanade", "spectral"):
        one = squall("forecast", "--motion", motion, "--leads", 10, "--issue", ISSUE, "--score", "--json", *WINDOW, KNMI)
        csi = {name: rows[0]["csi"] for name, rows in one.json()["scores"]["methods"].items()}
        check(csi["extrapolation"] > csi["persistence"] + 0.1, one, f"{motion} finds no motion: {csi}")
    quality(folder)
    text = squall("forecast", "--issue", ISSUE, "--leads", 5, "--score", *WINDOW, KNMI)
    check(text.out.startswith("forecast by extrapolation from 2010-08-26T02:00:00Z, 1 lead times"), text, "text")
    check("CSI at 1 mm/h" in text.out and "run time: " in text.out, text, "scores and times")


def quality(folder):
    """A frame that is missing is made from those around it: the forecast is nearer to that with it than without."""
    gap = folder / "gap"
    gap.mkdir()
    for path in KNMI.iterdir():
        if path.suffix == ".h5" and not path.name.endswith(("0150.h5", "0155.h5")):
            (gap / path.name).symlink_to(path)
    common = ("forecast", "--method", "sprog", "--leads", 15, "--issue", ISSUE, "--json", *WINDOW)
    runs = {name: squall(*common, "--out", folder / f"{name}.nc", *options) for name, options in (
        ("whole", (KNMI,)), ("missing", (gap,)), ("filled", ("--quality", "gaps", gap)))}
    check(runs["filled"].json()["frames"] == runs["missing"].json()["frames"] + 2, runs["filled"], "frames filled in")
    for names in ("speckle", "spokes,mask", "instant", "speckle,spokes,mask,gaps,instant"):
        one = squall(*common, "--quality", names, KNMI)
        check(one.json()["method"] == "sprog" and not one.err, one, f"--quality {names}")
    same = squall("verify", "--every", 7200, "--leads", 10, "--json", "--quality", "speckle", *WINDOW, KNMI)
    plain = squall("verify", "--every", 7200, "--leads", 10, "--json", *WINDOW, KNMI)
    seen = [{k: r.json()["scores"]["methods"]["persistence"][0][k] for k in ("cells",)} for r in (same, plain)]
    check(seen[0] == seen[1], same, "what forecasts are scored against has changed")


def verification(engine):
    pooled = squall("verify", "--engine", engine, "--from", "2010-08-26T02:00Z", "--to", "2010-08-26T03:00Z",
                    "--every", 1800, "--leads", "5,30", "--json", *WINDOW, KNMI)
    what = pooled.json()
    check(what["issue_times"] == 3, pooled, "issue times")
    methods = what["scores"]["methods"]
    for lead in range(2):
        cells = {name: rows[lead]["cells"] for name, rows in methods.items()}
        check(len(methods) == 3 and len(set(cells.values())) == 1, pooled, f"not the same cells: {cells}")
    check(methods["extrapolation"][0]["csi"] > methods["persistence"][0]["csi"], pooled,
          "rain that moves is no better than rain that stays")
    text = squall("verify", "--every", 3600, "--from", "2010-08-26T03:00Z", "--leads", 5, *WINDOW, KNMI)
    check("2 issue times" in text.out and "CSI at 1 mm/h" in text.out, text, "text")


def wrong_usage(engine, folder):
    cases = [
        (("frobnicate",), "unknown command 'frobnicate'"),
        (("help", "frobnicate"), "unknown command 'frobnicate'"),
        (("info",), "name at least one file"),
        (("info", "--jsno", "x"), "unknown option '--jsno'"),
        (("info", "-j", "x"), "unknown option '-j'"),
        (("info", "--json=1", "x"), "--json takes no value"),
        (("info", "--quantity"), "--quantity needs a value"),
        (("build", MODEL), "--out are needed"),
        (("build", MODEL, "--out", folder / "x", "--grid-of", frame("0000")), "--recipe for --grid-of"),
        (("build", MODEL, "--out", folder / "x", "--shape", "x=1x5xAx3"), "is no shape"),
        (("build", MODEL, "--out", folder / "x", "--threads", "1.5"), "not a whole number from 0 to 256"),
        (("build", MODEL, "--out", folder / "x", "--threads", "1e300"), "not a whole number from 0 to 256"),
        (("inspect",), "name one engine file"),
        (("bench", "--runs", "0", engine), "not a whole number from 1"),
        (("bench", "--profile", "7", engine), "SQUALL_E_ARGUMENT"),
        (("features", KNMI), "--recipe, --out"),
        (("forecast",), "name radar files or folders"),
        (("forecast", "--method", "magic", KNMI), "'magic' is none of"),
        (("forecast", "--motion", "magic", KNMI), "'magic' is none of"),
        (("forecast", "--quality", "speckle,magic", KNMI), "'magic' is none of"),
        (("forecast", "--min-quality", "2", KNMI), "not a number from 0 to 1"),
        (("verify", "--motion", "magic", KNMI), "'magic' is none of"),
        (("forecast", "--leads", "10,5", KNMI), "must ascend"),
        (("forecast", "--leads", "5,", KNMI), "whole numbers with commas"),
        (("forecast", "--issue", "yesterday", KNMI), "'yesterday' is no time"),
        (("forecast", "--issue", "2010-02-30T00:00Z", KNMI), "is no time"),
        (("forecast", "--zr-a", "nan", KNMI), "not a number from 1"),
        (("forecast", "--max-rate", "-1", KNMI), "not a number from 0"),
        (("forecast", "--threshold", "wet", KNMI), "'wet' is no number"),
        (("forecast", "--window", "1,2,3", KNMI), "no COL,ROW,WIDTH,HEIGHT"),
        (("forecast", "--source", "satellite", KNMI), "NAME=PATH"),
        (("verify", "--leads", "400", KNMI), "from 1 to 360"),
        (("verify",), "name the files or folders"),
    ]
    for arguments, says in cases:
        squall(*arguments, code=2, says=says)
    # What stands after -- is no option.
    squall("info", "--", "--json", code=1, says="--json: cannot be opened")


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    help_and_version()
    info()
    engine = build_engine(folder)
    engines(engine)
    features(engine, folder)
    forecasts(engine, folder)
    verification(engine)
    wrong_usage(engine, folder)
    squall("build", SOURCE / "tests/data/compile/unsupported.onnx", "--out", folder / "none.engine", code=1,
           says="SQUALL_E_UNSUPPORTED")
    assert not (folder / "none.engine").exists()
print(f"{len(COMMANDS)} commands")
