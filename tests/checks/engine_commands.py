"""The commands around an engine, end to end: build, inspect, keys and signatures, tactics, refit, compare; with what is
right and what is wrong, the words and the exit codes."""
import hashlib
import pathlib
import re
import shutil
import struct
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from program import KNMI, MODEL, RECIPE, SOURCE, WINDOW, build_engine, check, frame, squall

UNET = SOURCE / "tests/data/compile/small_unet.onnx"
TWO = SOURCE / "tests/data/compile/two_inputs.onnx"
VIEWS = SOURCE / "tests/data/compile/views.onnx"
FORMAT = 8, 12  # where the header says its format


def write_npy(path, shape, seed):
    """Seeded numbers from -1 to 1 as NumPy writes them."""
    count, values = 1, []
    for size in shape:
        count *= size
    for _ in range(count):
        seed = (seed * 1664525 + 1013904223) % 2**32
        values.append(seed / 2**31 - 1)
    head = repr({"descr": "<f4", "fortran_order": False, "shape": tuple(shape)})
    head += " " * (63 - (10 + len(head)) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode()
                     + struct.pack(f"<{count}f", *values))


def scale_weight(model, name, factor):
    """The ONNX file with the raw numbers of one weight times a factor."""
    at = model.index(b"B" + bytes([len(name)]) + name + b"J") + len(name) + 3  # TensorProto: name, then raw_data
    size, shift = 0, 0
    while True:
        size |= (model[at] & 0x7f) << shift
        shift += 7
        at += 1
        if model[at - 1] < 0x80:
            break
    values = [v * factor for v in struct.unpack(f"<{size // 4}f", model[at:at + size])]
    return model[:at] + struct.pack(f"<{size // 4}f", *values) + model[at + size:]


def help_of_all():
    for name in ("inspect", "keygen", "sign", "verify-engine", "tactics", "refit", "compare", "reduce"):
        one = squall(name, "--help")
        check(f"Usage: squall {name}" in one.out and "--json" in one.out, one, "help lacks something")
        squall(name, code=2, says=f"squall {name}: ")


def devices():
    listed = squall("devices", "--json")
    what = listed.json()
    check(what["devices"][0]["device"] == "cpu" and what["devices"][0]["threads"] > 0, listed, "no processor")
    check("cpu " in squall("devices").out, listed, "text")
    if what.get("no_gpu"):  # and what is not there is not built for
        squall("build", TWO, "--device", "cuda:0", "--out", SOURCE / "build/none.engine", code=1, says="SQUALL_E_DEVICE")
    squall("build", TWO, "--device", "abacus", "--out", SOURCE / "build/none.engine", code=2, says="'abacus'")


def inspection(engine, folder):
    shown = squall("inspect", "--json", engine)
    what = shown.json()
    for key in ("bytes", "model", "model_sha256", "squall_version", "compiler", "command", "isa", "threads",
                "sections", "profiles", "recipe"):
        check(what.get(key) not in (None, "", []), shown, f"no {key}")
    check(what["bytes"] == engine.stat().st_size, shown, "bytes")
    check(what["model_sha256"] == hashlib.sha256(MODEL.read_bytes()).hexdigest(), shown, "the model's hash")
    data = engine.read_bytes()
    for section in what["sections"]:  # hashes are those of the bytes
        at = section["offset"]
        if section["name"] not in ("weights", "signature"):
            check(hashlib.sha256(data[at:at + section["bytes"]]).hexdigest() == section["sha256"], shown,
                  f"section {section['name']}")
    profile = what["profiles"][0]
    check(len(profile["layers"]) == profile["steps"], shown, "a layer for each step")
    conv = [layer for layer in profile["layers"] if layer["op"] == "Conv"]
    check(all(sum(c["chosen"] for c in layer["candidates"]) == 1 and len(layer["candidates"]) > 1 for layer in conv)
          and conv, shown, "one candidate was chosen and others lost")
    check(all(span["offset"] + span["bytes"] <= profile["arena_bytes"] for span in profile["memory"]), shown,
          "what lies in the arena")
    text = squall("inspect", "--layers", "--memory", engine)
    for word in ("made by ", "command ", "sha256 ", "device ", "signed by", "sections", "profile 0", "lower bound",
                 "lost:", "offset", '"name":"default-2"'):
        check(word in text.out, text, f"no '{word}'")
    page = folder / "page.html"
    squall("inspect", "--html", page, engine)
    html = page.read_text()
    check(html.startswith("<!doctype html>") and html.endswith("</html>\n"), text, "the page is not whole")
    check(not re.search(r"https?://|\b(src|href)=|<script|@import|url\(", html), text, "the page needs something beside it")
    for word in (what["model_sha256"], "Memory map", "lost", "default-2", "Sections"):
        check(word in html, text, f"no '{word}' on the page")
    squall("inspect", "--html", folder / "no/where.html", engine, code=1, says="SQUALL_E_IO")


def keys_and_signatures(engine, folder):
    made = squall("keygen", "--comment", "those who train", "--json", folder / "mine")
    mine = made.json()["key"]
    check(re.fullmatch("[0-9a-f]{64}", mine), made, "no key")
    check((folder / "mine.key").stat().st_mode & 0o777 == 0o600, made, "others can read the secret key")
    squall("keygen", folder / "mine", code=1, says="never overwritten")
    squall("keygen", folder / "other")
    squall("keygen", "--comment", "two\nlines", folder / "x", code=2, says="SQUALL_E_ARGUMENT")
    signed, keys, others = folder / "signed.engine", folder / "mine.pub", folder / "other.pub"
    squall("sign", "--key", folder / "mine.key", "--out", signed, engine)
    check(squall("inspect", "--json", signed).json()["signed_by"] == mine, made, "signed by another")
    for command in (("verify-engine",), ("verify",)):
        one = squall(*command, "--keys", keys, "--json", signed)
        check(one.json()["key"] == mine, one, "signed by another")
        squall(*command, "--keys", others, signed, code=1, says=(mine, "other.pub", "SQUALL_E_SIGNATURE"))
        squall(*command, "--keys", keys, engine, code=1, says=("is not signed", "squall sign"))
    changed = folder / "changed.engine"
    data = bytearray(signed.read_bytes())
    data[len(data) // 2] ^= 1  # one bit of the weights
    changed.write_bytes(data)
    squall("verify-engine", "--keys", keys, changed, code=1, says="SQUALL_E_SIGNATURE")
    squall("sign", "--key", keys, engine, code=1, says="SQUALL_E_FORMAT")
    squall("sign", "--key", folder / "mine.key", changed, code=1, says="SQUALL_E_CORRUPT")
    # The policy, wherever an engine is opened.
    runs = [("inspect",), ("bench", "--runs", 1), ("verify", KNMI, *WINDOW, "--leads", 5, "--from", "2010-08-26T04:00Z", "--every", 3600, "--engine"),
            ("compare", MODEL, "--data", KNMI, *WINDOW, "--every", 86400)]
    for command in runs:
        squall(*command, signed, "--require-signature", keys)
        for bad in (engine, changed):
            squall(*command, bad, "--require-signature", keys, code=1, says="SQUALL_E_SIGNATURE")
    forecast = ("forecast", KNMI, *WINDOW, "--leads", 5, "--strict", "--json", "--require-signature", keys, "--engine")
    check(squall(*forecast, signed).json()["method"] == "model", made, "the signed engine is not used")
    for bad in (engine, changed):  # a forecast is made all the same, but not by that engine
        fallen = squall(*forecast, bad, code=3, says="forecasting without it")
        check(fallen.json()["method"] == "extrapolation", fallen, "an engine that is not trusted was used")
    squall("inspect", signed, "--require-signature", folder / "none.pub", code=1, says="SQUALL_E_IO")
    squall("sign", "--key", folder / "other.key", signed)  # in place, in the place of the old signature
    squall("verify-engine", "--keys", others, signed)
    squall("verify-engine", "--keys", keys, signed, code=1, says="SQUALL_E_SIGNATURE")


def refusals(engine, folder):
    """Five of them, each with what was found, what is wanted, and what to do."""
    bad = folder / "bad.engine"
    data = engine.read_bytes()
    words = set()

    def refused(code, says, *options, **environment):
        result = squall("inspect", bad, *options, code=1, says=(code, *says), **environment)
        words.add(result.err)

    bad.write_bytes(b"rain " * 100)
    refused("SQUALL_E_FORMAT", ("72 61 69 6e", "89 53 51 55", "squall build"))
    bad.write_bytes(data[:5000])
    refused("SQUALL_E_TRUNCATED", ("5000", str(len(data)), "copy it again"))
    now = int.from_bytes(data[slice(*FORMAT)], "little")
    bad.write_bytes(data[:FORMAT[0]] + (now + 1).to_bytes(4, "little") + data[FORMAT[1]:])
    refused("SQUALL_E_VERSION", (f"format {now + 1}", str(now), "squall build"))
    squall("keygen", folder / "third")
    bad.write_bytes(data)
    refused("SQUALL_E_SIGNATURE", ("is not signed", "third.pub", "squall sign"), "--require-signature",
            folder / "third.pub")
    built = squall("inspect", "--json", engine).json()["isa"]
    refused("SQUALL_E_MISMATCH", (f"built for {built}", "this host has c", "squall build"), "--require-native",
            env={"SQUALL_CPU": "c"})
    check(len(words) == 5, squall("inspect", engine), "refusals that are alike")
    # Without the policy another device is a note, and the portable plan runs.
    squall("bench", "--runs", 1, bad, says="using the portable plan", env={"SQUALL_CPU": "c"})
    bad.write_bytes(data[:300] + bytes([data[300] ^ 1]) + data[301:])
    squall("inspect", bad, code=1, says=("SQUALL_E_CORRUPT", "copy or build it again"))


def tactics(folder):
    shape = ("--shape", "x=2x3x16x16")
    times, more = folder / "times.json", folder / "more.json"
    tuned = folder / "tuned.engine"
    first = squall("build", UNET, *shape, "--tune-seconds", 60, "--tactics", times, "--out", tuned, "--json")
    check(first.json()["tactics_measured"] > 0 and first.json()["steps_by_guess"] == 0, first, "nothing was measured")
    again = folder / "again.engine"
    second = squall("build", UNET, *shape, "--tactics", times, "--tactics-strict", "--out", again, "--json")
    check(second.json()["tactics_measured"] == 0, second, "measured again")
    check(tuned.read_bytes() == again.read_bytes(), second, "the same times gave other bytes")
    other = squall("build", UNET, "--shape", "x=1x3x32x32", "--tactics", times, "--tactics-strict", "--out", again,
                   code=1, says=("SQUALL_E_MISMATCH", "holds no time"))
    check("note: " in other.err, other, "it does not say which")
    squall("build", UNET, "--shape", "x=1x3x32x32", "--tactics", more, "--tune-seconds", 60, "--out", again)
    merged = squall("tactics", times, more, "--out", folder / "both.json", "--json")
    alone = squall("tactics", times, "--out", folder / "alone.json", "--json")
    check(merged.json()["times"] > alone.json()["times"] > 0, merged, "nothing came together")
    for build in (shape, ("--shape", "x=1x3x32x32")):
        squall("build", UNET, *build, "--tactics", folder / "both.json", "--tactics-strict", "--out", again)
    more.write_text("[1, 2")
    squall("tactics", times, more, "--out", folder / "both.json", code=1, says=("more.json", "SQUALL_E_FORMAT"))
    squall("build", UNET, *shape, "--tactics", more, "--out", again, code=1, says="SQUALL_E_FORMAT")
    squall("build", UNET, *shape, "--tactics-strict", "--out", again, code=2, says="SQUALL_E_ARGUMENT")
    squall("build", UNET, *shape, "--tune-seconds", -1, "--out", again, code=2, says="not a number from 0")
    return tuned


def shapes(folder):
    """What no profile takes is refused with what they all take; what one takes runs there."""
    engine, sample = folder / "two.engine", folder / "shape.npy"
    squall("build", UNET, "--shape", "x=1x3x16x16", "--shape", "x=2x3x32x32", "--out", engine)
    write_npy(sample, (1, 3, 24, 24), 3)
    squall("bench", "--runs", 1, "--input", sample, engine, code=1,
           says=("SQUALL_E_SHAPE", "[1,3,24,24]", "[1,3,16,16]", "[2,3,32,32]"))
    for shape in ((1, 3, 16, 16), (2, 3, 32, 32)):
        write_npy(sample, shape, 3)
        one = squall("bench", "--runs", 1, "--json", "--input", sample, engine)
        check(one.json()["median_ms"] > 0, one, "it did not run")
    squall("bench", "--runs", 1, "--profile", 0, "--input", sample, engine, code=1, says="this profile takes")
    squall("bench", "--runs", 1, "--input", sample, "--input", sample, engine, code=2, says="has 1 inputs")


def refit(tuned, folder):
    out, model = folder / "refitted.engine", folder / "retrained.onnx"
    same = squall("refit", tuned, UNET, "--out", out, "--json")
    check(out.read_bytes() == tuned.read_bytes(), same, "the same weights gave other bytes")
    model.write_bytes(scale_weight(UNET.read_bytes(), b"w3", 1.5))
    new = squall("refit", tuned, model, "--out", out, "--json").json()
    check(new["seconds"] < 5 and out.read_bytes() != tuned.read_bytes(), same, "new weights")
    sample = folder / "refit.npy"
    write_npy(sample, (2, 3, 16, 16), 9)
    squall("compare", model, out, "--input", sample, "--min-psnr", 80)
    squall("compare", UNET, out, "--input", sample, "--min-psnr", 80, code=1, says="below the 80.00 dB")
    kept = tuned.read_bytes()
    squall("refit", tuned, VIEWS, "--out", out, code=1, says="SQUALL_E_")
    squall("refit", tuned, TWO, code=2, says="an input that the model has not got")
    check(tuned.read_bytes() == kept, same, "a refusal changed the engine")
    squall("refit", tuned, folder / "none.onnx", code=1, says="SQUALL_E_IO")


def comparison(tuned, folder):
    sample, samples, reference = folder / "in.npy", folder / "samples", folder / "reference"
    samples.mkdir()
    reference.mkdir()
    write_npy(sample, (2, 3, 16, 16), 1)
    for k in range(3):
        write_npy(samples / f"s{k}.npy", (2, 3, 16, 16), k)
    one = squall("compare", UNET, tuned, "--input", sample, "--json", "--min-psnr", 40)
    what = one.json()
    check(what["outputs"][0]["psnr_db"] > 80 and what["good"] and what["samples"] == 1, one, "it is not close")
    check(len(what["layers"]) >= 5 and what["worst_layer"], one, "layers")
    check(all(layer["snr_db"] is None or layer["snr_db"] > 60 for layer in what["layers"]), one, "a layer is off")
    squall("compare", UNET, tuned, "--input", sample, "--min-psnr", 400, code=1, says="below the 400.00 dB asked for")
    many = squall("compare", UNET, tuned, "--data", samples, "--json").json()
    check(many["samples"] == 3, one, "samples of a folder")
    text = squall("compare", UNET, tuned, "--data", samples, "--layers")
    check("the layer that loses most: " in text.out and "SNR dB" in text.out and "PSNR" in text.out, text, "text")
    # What another runtime gave: not far when it is right, and told when it is not.
    write_npy(reference / "s0.npy", tuple(squall("inspect", "--json", tuned).json()["profiles"][0]["outputs"][0]["shape"]), 5)
    shutil.copy(reference / "s0.npy", folder / "out.npy")
    far = squall("compare", UNET, tuned, "--input", sample, "--reference", folder / "out.npy", "--json").json()
    check(far["engine_to_reference"][0]["psnr_db"] < 20 and far["model_to_reference"][0]["psnr_db"] < 20
          and far["psnr_db"] < 20, one, "a reference that is wrong")
    squall("compare", UNET, tuned, "--input", sample, "--reference", folder / "out.npy", "--min-psnr", 40, code=1,
           says="below the 40.00 dB")
    squall("compare", UNET, tuned, "--data", samples, "--reference", reference, code=1, says="s1.npy")
    squall("compare", UNET, tuned, "--input", sample, "--reference", sample, code=1, says="SQUALL_E_SHAPE")
    squall("compare", UNET, tuned, "--input", folder / "none.npy", code=1, says="SQUALL_E_IO")
    squall("compare", UNET, tuned, "--data", KNMI, code=1, says="--recipe")
    squall("compare", UNET, tuned, "--input", sample, "--input", sample, code=2, says="has 1 inputs")
    squall("compare", TWO, tuned, "--input", sample, code=1, says="SQUALL_E_MISMATCH")


def radar_comparison(engine):
    one = squall("compare", MODEL, engine, "--data", KNMI, *WINDOW, "--every", 7200, "--min-psnr", 40, "--json")
    what = one.json()
    methods = what["scores"]["methods"]
    check(set(methods) == {"engine", "model"} and what["samples"] >= 2, one, "both are scored")
    for mine, theirs in zip(methods["engine"], methods["model"], strict=True):
        for score in ("csi", "bias", "fss"):
            check(abs(mine[score] - theirs[score]) < 0.01, one, f"{score} at {mine['lead_s']} s")
    check(methods["engine"][0]["csi"] > methods["engine"][-1]["csi"] > 0, one, "CSI by lead time")
    text = squall("compare", MODEL, engine, "--data", KNMI, *WINDOW, "--every", 14400)
    for word in ("CSI at 1 mm/h", "frequency bias", "FSS at 1 mm/h", "+ 60 min"):
        check(word in text.out, text, f"no '{word}'")


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    help_of_all()
    devices()
    engine = build_engine(folder)
    inspection(engine, folder)
    keys_and_signatures(engine, folder)
    refusals(engine, folder)
    tuned = tactics(folder)
    shapes(folder)
    refit(tuned, folder)
    comparison(tuned, folder)
    radar_comparison(engine)
print("the commands around an engine do what they say")
