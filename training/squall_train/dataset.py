"""Data sets: the frames of an event as `squall features` sees them, with their motion, packed small.

A sequence is one file, `<event>-<window>.npz.xz`, an .npz within an .xz:  `rate` (T x H x W, uint8: the recipe's transform of the rate, 0..1 in
254 steps, 0.029 in the logarithm of the rate: 3 %; 255 where there is no coverage), `time` (T, Unix seconds), `motion`
(T x 2 x h x w, float16: cells in five minutes, east and south, every 8th cell) and `event`. A frame serves as input and as target of many
issue times, so a sequence is a twentieth of the crops that it stands for; they are cut out, carried along the motion, turned and scaled
in one go on the GPU (see carry.py).
"""
import datetime
import glob
import json
import lzma
import pathlib
import subprocess
import tempfile

import numpy as np

STEPS, UNKNOWN, COARSE, STEP_S = 254.0, 255, 8, 300.0

# What a frame and its motion are, by squall's own reader and motion estimate.
RECIPE = {
    "squall_recipe": 1, "name": "sequence", "frame": "fixed", "multiple": 1, "tolerance_s": 140,
    "transforms": {"way": {"curve": "linear", "min": -1000, "max": 1000, "mean": 0, "scale": 1}},
    "inputs": [{"source": "radar", "time_s": 0, "transform": "rain"}, {"kind": "coverage", "source": "radar", "time_s": 0},
               {"kind": "motion", "transform": "way"}],
    "outputs": {"leads_s": [300], "transform": "rain"}}


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def expand(data, paths):
    """Files and folders of an event; a pattern that matches nothing is an error, not an empty event."""
    found = []
    for path in paths:
        hits = sorted(glob.glob(str(data / path)))
        if not hits:
            raise FileNotFoundError(f"{data / path}: nothing there")
        found += hits
    return found


def files_of(paths):
    found = []
    for path in map(pathlib.Path, paths):
        found += sorted(str(p) for p in path.iterdir()) if path.is_dir() else [str(path)]
    return found


def cell_size(squall, path):
    """In the units of the projection: what turns the recipe's motion into cells."""
    rows = json.loads(subprocess.run([str(squall), "info", "--json", path], capture_output=True, text=True, check=True).stdout)
    return rows[0]["dx"], rows[0]["dy"]


def wanted(event, stamp):
    """Whether a frame is within the event's bounds and at one of its minutes (all, where it names none)."""
    if stamp < moment(event.get("from", "1970-01-01T00:00:00Z")) or stamp >= moment(event.get("to", "2100-01-01T00:00:00Z")):
        return False
    return "minutes" not in event or stamp.minute % 10 in event["minutes"]


def read_frames(event, scratch, dx, dy):
    rates, times, motions = [], [], []
    for file in sorted(scratch.glob("*.input.npy")):
        stamp = moment(file.name.split(".")[0].replace("Z", "+00:00"))
        if wanted(event, stamp):
            rate, coverage, u, v = np.load(file, mmap_mode="r")[0]
            packed = np.clip(np.rint(rate * STEPS), 0, STEPS).astype(np.uint8)
            packed[np.asarray(coverage) == 0] = UNKNOWN
            rates.append(packed)
            times.append(int(stamp.timestamp()))
            half = COARSE // 2
            motions.append(np.stack([u[half::COARSE, half::COARSE] / dx, v[half::COARSE, half::COARSE] / dy]) * STEP_S)
        file.unlink()
    return rates, times, motions


def save(path, arrays):
    """An .npz within an .xz: a third smaller than a compressed .npz."""
    with lzma.open(path, "wb", preset=6) as out:
        np.savez(out, **arrays)


def load(path):
    with lzma.open(path, "rb") as packed, tempfile.TemporaryFile() as plain:
        plain.write(packed.read())
        plain.seek(0)
        with np.load(plain) as arrays:
            return {name: arrays[name] for name in arrays}


def make_event(event, data, squall, recipe, out, log):
    transforms = json.loads(pathlib.Path(recipe).read_text())["transforms"]
    text = json.dumps(dict(RECIPE, transforms=dict(RECIPE["transforms"], rain=transforms["rain"])))
    paths = expand(data, event["paths"])
    dx, dy = cell_size(squall, files_of(paths)[0])
    made = []
    for number, window in enumerate(event.get("windows", [None])):
        with tempfile.TemporaryDirectory(dir=out) as scratch:
            scratch = pathlib.Path(scratch)
            (scratch / "recipe.json").write_text(text)
            command = [str(squall), "features", "--recipe", str(scratch / "recipe.json"), "--out", str(scratch)]
            done = subprocess.run(command + (["--window", window] if window else []) + paths, capture_output=True, text=True)
            if done.returncode != 0:
                raise RuntimeError(f"{event['name']}: {done.stderr.strip().splitlines()[-1]}")
            rates, times, motions = read_frames(event, scratch, dx, dy)
        if not rates:
            raise RuntimeError(f"{event['name']}: no frame within its bounds")
        made.append(out / f"{event['name']}-{number}.npz.xz")
        save(made[-1], {"rate": np.stack(rates), "time": np.array(times), "motion": np.stack(motions).astype(np.float16),
                        "event": event["name"], "provider": event["provider"]})
        log(f"{made[-1].name}: {len(rates)} frames of {rates[0].shape[0]} x {rates[0].shape[1]}, {made[-1].stat().st_size >> 10} KiB")
    return made


def make(events, data, squall, recipe, out, log=print):
    out.mkdir(parents=True, exist_ok=True)
    for event in events:
        make_event(event, data, squall, recipe, out, log)
