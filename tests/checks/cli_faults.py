"""What is wrong with the inputs is named, and a forecast is made from the rest wherever that is possible."""
import os
import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from program import ISSUE, RECIPE, WINDOW, build_engine, check, frame, squall

TIMES = ("0125", "0130", "0135", "0140", "0145", "0150", "0155", "0200")


def radar(folder, name, without=()):
    """A folder of the frames before the issue time."""
    out = folder / name
    out.mkdir()
    for time in TIMES:
        if time not in without:
            shutil.copy(frame(time), out)
    return out


def forecast(path, *options, **expected):
    made = squall("forecast", "--json", "--issue", ISSUE, *WINDOW, *options, path, **expected)
    return made, made.json() if made.out else None


def nothing_there(folder):
    empty = folder / "empty"
    empty.mkdir()
    missing = folder / "missing"
    for path, says in ((missing, f"{missing}: "), (empty, "no field"), (RECIPE, "recipe.json: is of no format")):
        for command in (("forecast",), ("verify",), ("features", "--recipe", RECIPE, "--out", folder / "t")):
            squall(*command, path, code=1, says=says)
    for command in ("info", "inspect", "bench"):
        squall(command, missing, code=1, says=f"{missing}: cannot be opened: No such file")
    squall("build", missing, "--out", folder / "x.engine", code=1, says=f"{missing}: cannot be opened")
    squall("inspect", frame("0200"), code=1, says="SQUALL_E_FORMAT")
    # One bad file among those to show: the others are shown, and the code says that one failed.
    shown = squall("info", "--json", missing, frame("0200"), code=1)
    bad, good = shown.json()
    check(bad["error"] == "SQUALL_E_IO" and good["width"] == 700, shown, "one of two files is missing")
    before = squall("forecast", "--issue", "2009-01-01T00:00Z", frame("0200"), code=1,
                    says="no frame at or before the issue time")
    check("SQUALL_E_NO_DATA" in before.err, before, "status")


def bad_files(folder, engine):
    """Cut, altered, empty, of another format, of another grid: one at a time among good frames."""
    whole = frame("0150").read_bytes()
    altered = bytearray(whole)
    at = whole.find(b"\x78", len(whole) // 2)  # within compressed values
    altered[at:at + 64] = bytes(64)
    wide = folder / "wide.nc"
    squall("forecast", "--issue", "2010-08-26T01:40Z", "--leads", 10, "--window", "0,0,64,48", "--out", wide,
           frame("0135"), frame("0140"))
    cases = [
        ("cut", whole[:len(whole) // 2], "SQUALL_E_TRUNCATED"),
        ("altered", bytes(altered), "image1/image_data"),
        ("hollow", b"", "is empty"),
        ("words", b"not a radar file\n", "is of no format"),
    ]
    for name, data, says in cases:
        path = radar(folder, name, without=("0150",))
        bad = path / frame("0150").name
        bad.write_bytes(data)
        made, what = forecast(path, "--engine", engine, says=bad.name)
        check(what["method"] == "model" and 0.5 < what["quality_index"] < 1, made, f"{name}: quality")
        note = [n for n in what["notes"] if bad.name in n]
        check(len(note) == 1, made, f"{name}: it must be named once")
        check("stands in for it" in made.err, made, f"{name}: what stands in is told")
        squall("forecast", "--strict", "--engine", engine, "--issue", ISSUE, *WINDOW, path, code=3)
        squall("info", bad, code=1, says=(bad.name, says))
        squall("build", "--recipe", RECIPE, "--grid-of", bad, "--out", folder / "x.engine", RECIPE, code=1,
               says=bad.name)
    path = radar(folder, "other-grid", without=("0150",))
    shutil.copy(wide, path)
    made = squall("forecast", "--json", "--issue", ISSUE, "--engine", engine, path,
                  says=("wide.nc", "is on another grid (64x48) than most frames (700x765)"))
    # The engine is for the window, not for the whole grid.
    check("has no profile for 704x768 cells" in made.err, made, "the profile that lacks")
    check(made.json()["method"] == "extrapolation" and made.json()["quality_index"] == 0.5, made, "method")


def gaps(folder, engine):
    complete = radar(folder, "complete")
    made, what = forecast(complete, "--engine", engine, "--strict")
    check(what["quality_index"] == 1 and not made.err, made, "nothing is missing")
    made, what = forecast(radar(folder, "gap", without=("0140", "0150", "0155")), "--engine", engine, "--strict",
                          code=3, says="nothing at 2010-08-26T01:50:00Z")
    check(what["method"] == "model" and what["quality_index"] == 0.8 and what["quality"]
          == "3 of 5 observations at their time, 2 replaced, 0 absent", made, "quality in words")
    made, what = forecast(frame("0200"), "--engine", engine, "--strict", code=3, says="only one frame")
    check(what["method"] == "persistence" and what["quality_index"] == 0.5, made, "one frame")
    # The newest is older than the time asked for; those of the future are left out.
    made, what = forecast(radar(folder, "late", without=("0200",)), says="is 300 s older than the issue time")
    check(what["issue_time"] == "2010-08-26T01:55:00Z", made, "issue time")
    early = squall("forecast", "--json", "--now", "2010-08-26T01:44Z", *WINDOW, complete,
                   says="0150.h5: its time 2010-08-26T01:50:00Z lies in the future; left out")
    check(early.json()["issue_time"] == "2010-08-26T01:45:00Z", early, "frames of the future")
    # The same frame twice, under two names; and all in another order.
    twice = radar(folder, "twice")
    shutil.copy(frame("0200"), twice / "again.h5")
    made, what = forecast(twice, says=("again.h5: has the time 2010-08-26T02:00:00Z, as ", "left out"))
    files = [frame(t) for t in reversed(TIMES)]
    turned, other = forecast(files[0], *files[1:])
    for key in ("issue_time", "method", "quality_index", "frames"):
        check(what[key] == other[key], turned, f"{key} depends on the order of the files")


def engines(folder, engine):
    data = engine.read_bytes()
    bad = folder / "bad.engine"
    for name, content in (("cut", data[:-100]), ("altered", data[:200] + bytes([data[200] ^ 1]) + data[201:]),
                          ("text", b"engine")):
        bad.write_bytes(content)
        squall("inspect", bad, code=1, says="bad.engine")
        squall("bench", bad, code=1, says="bad.engine")
        made, what = forecast(frame("0155"), "--engine", bad, frame("0200"), "--strict", code=3,
                              says=("bad.engine", "forecasting without it"))
        check(what["method"] == "extrapolation", made, f"{name}: method")
    plain = folder / "plain.engine"
    squall("build", frame("0200"), "--out", plain, code=1, says=frame("0200").name)
    check(not plain.exists(), made, "an engine of a radar file")
    recipe = folder / "recipe.json"
    recipe.write_text(RECIPE.read_text().replace('"tolerance_s"', '"tolerance"'))
    squall("features", "--recipe", recipe, "--out", folder / "t", frame("0200"), code=1,
           says=("recipe.json", "tolerance"))


def processors(folder):
    """Every instruction set of the host: the same forecast but for rounding, and never more than asked for."""
    complete = radar(folder, "masks")
    outputs, sets = {}, []
    for name in ("c", "avx2", "avx512", "avx512vnni", "neon"):
        environment = dict(os.environ, SQUALL_CPU=name)
        version = squall("--version", env=environment)
        used = version.out.split("kernels: ")[1].split(";")[0]
        if used != name:
            continue  # not on this host
        sets.append(name)
        engine = build_engine(folder, env=environment)
        shown = squall("inspect", "--json", engine, env=environment)
        check(shown.json()["isa"] == name, shown, f"an engine built under SQUALL_CPU={name}")
        tensors = folder / f"tensors-{name}"
        made = squall("forecast", "--engine", engine, "--issue", ISSUE, "--tensors", tensors, "--json", *WINDOW,
                      complete, env=environment)
        check(made.json()["method"] == "model", made, f"no forecast by the engine under {name}")
        outputs[name] = (tensors / "output.npy"), engine.read_bytes()
    if "c" not in sets:
        sys.exit("FAILED: plain C is there on every host")
    reference = outputs["c"][0]
    for name in sets:
        engine = folder / f"{name}.engine"
        engine.write_bytes(outputs[name][1])
        near = squall("bench", "--json", "--runs", 1, "--input", reference.with_name("input.npy"), "--reference",
                      reference, engine, env=dict(os.environ, SQUALL_CPU=name))
        check(near.json()["worst_relative_error"] < 1e-5, near, f"{name} gives other numbers than c")
        if name != "c":
            squall("inspect", engine, env=dict(os.environ, SQUALL_CPU="c"), says="portable plan")
    squall("--version", env=dict(os.environ, SQUALL_CPU="avx51"), code=2, says="SQUALL_CPU: 'avx51' is none of")
    return sets


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    engine = build_engine(folder)
    nothing_there(folder)
    bad_files(folder, engine)
    gaps(folder, engine)
    engines(folder, engine)
    sets = processors(folder)
print("faults are named; instruction sets:", ", ".join(sets))
