"""Data sets: the tensors that `squall features` makes, cut into crops where it rains, packed small.

An event is one or more shards, `<role>-<event>-<part>.npz`, each with `x` (N x channels x S x S), `y` (N x leads x S x S), both uint8, and `event`. Values 0..1 of the recipe's
transform are kept in 254 steps (0.029 in the logarithm of the rate: 3 %); 255 in `y` means that the target is not known.
"""
import datetime
import glob
import json
import pathlib
import shutil
import subprocess
import tempfile

import numpy as np

STEPS, UNKNOWN = 254.0, 255
SHARD_CROPS = 100  # of 256 x 256 cells these fill some 45 MB


def pack(values):
    return np.clip(np.rint(values * STEPS), 0, STEPS).astype(np.uint8)


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


def positions(known_wet, size, count, rng):
    """Upper-left corners of crops; chosen by how much known rain a crop holds, one dry one among twelve."""
    height, width = known_wet.shape
    if height <= size and width <= size:
        return [(0, 0)]
    table = np.pad(known_wet.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    tries = [(int(rng.integers(0, max(1, height - size + 1))), int(rng.integers(0, max(1, width - size + 1))))
             for _ in range(40 * count)]
    rain = np.array([table[min(y + size, height), min(x + size, width)] - table[y, min(x + size, width)]
                     - table[min(y + size, height), x] + table[y, x] for y, x in tries])
    share = np.sqrt(np.maximum(rain, 0.0) / max(rain.max(), 1.0)) + 0.02  # sums of dry cells may round below 0
    chosen = rng.choice(len(tries), size=min(count, len(tries)), replace=False, p=share / share.sum())
    return [tries[i] for i in chosen]


def crops_of(folder, stem, size, count, rng):
    x = np.load(folder / f"{stem}.input.npy", mmap_mode="r")[0]
    y = np.load(folder / f"{stem}.target.npy", mmap_mode="r")[0]
    w = np.load(folder / f"{stem}.weight.npy", mmap_mode="r")[0]
    known = np.asarray(w).max(0)
    if known.max() == 0:
        return
    wet = np.asarray(x[0]) * known
    if wet.mean() < 1e-4:
        return
    for top, left in positions(wet, size, count, rng):
        part = (slice(None), slice(top, top + size), slice(left, left + size))
        if np.asarray(w[part]).mean() < 0.1:
            continue
        target = pack(y[part])
        target[np.asarray(w[part]) == 0] = UNKNOWN
        yield pack(x[part]), target


def make_event(event, data, squall, recipe, out, size, seed, log):
    """Write the shards of one event; returns how many crops they hold."""
    rng = np.random.default_rng(seed)
    xs, ys = [], []
    for window in event.get("windows", [None]):
        with tempfile.TemporaryDirectory(dir=out) as scratch:
            scratch = pathlib.Path(scratch)
            for issue in issue_times(event, data, squall):
                command = [str(squall), "features", "--recipe", str(recipe), "--out", str(scratch), "--targets", "--issue", issue]
                if window:
                    command += ["--window", window]
                done = subprocess.run(command + expand(data, event["paths"]), capture_output=True, text=True)
                if done.returncode != 0:
                    log(f"{event['name']} {issue}: {done.stderr.strip().splitlines()[-1]}")
                    continue
                stem = moment(issue).strftime("%Y%m%dT%H%M%SZ")
                for x, y in crops_of(scratch, stem, size, event["crops"], rng):
                    xs.append(x)
                    ys.append(y)
                for file in scratch.glob(f"{stem}.*"):
                    file.unlink()
    if not xs:
        raise RuntimeError(f"{event['name']}: no crop with rain in it")
    for old in out.glob(f"{event['role']}-{event['name']}-*.npz"):
        old.unlink()
    for part, first in enumerate(range(0, len(xs), SHARD_CROPS)):
        chosen = slice(first, first + SHARD_CROPS)
        np.savez_compressed(out / f"{event['role']}-{event['name']}-{part:02d}.npz", x=np.stack(xs[chosen]), y=np.stack(ys[chosen]), event=event["name"])
    return len(xs)


def issue_times(event, data, squall):
    """Valid times of the event's frames, thinned to its step, within its bounds; the first half hour has too little past."""
    done = subprocess.run([str(squall), "info", "--json", "--times"] + files_of(expand(data, event["paths"])),
                          capture_output=True, text=True, check=True)
    times = sorted({moment(row["valid_time"]) for row in json.loads(done.stdout)})
    low = moment(event["from"]) if "from" in event else times[0]
    high = moment(event["to"]) if "to" in event else times[-1]
    chosen, last = [], None
    for time in times:
        late_enough = (time - max(low, times[0])).total_seconds() >= 1800
        # An hour before the end the longest lead still has its target; nearer, only shorter ones have.
        if late_enough and (min(high, times[-1]) - time).total_seconds() >= 1200 \
                and (last is None or (time - last).total_seconds() >= event["every_s"]):
            chosen.append(time.strftime("%Y-%m-%dT%H:%M:%SZ"))
            last = time
    return chosen


def files_of(paths):
    files = []
    for path in paths:
        path = pathlib.Path(path)
        files += [str(f) for f in sorted(path.iterdir()) if f.is_file()] if path.is_dir() else [str(path)]
    return files


def make(events, roles, data, squall, recipe, out, size=256, seed=1, log=print):
    out.mkdir(parents=True, exist_ok=True)
    if not shutil.which(str(squall)):
        raise FileNotFoundError(f"{squall}: build it first (./run, or cmake --preset release)")
    for number, event in enumerate(events):
        if event["role"] in roles:
            count = make_event(event, data, squall, recipe, out, size, seed + number, log)
            log(f"{event['role']:10s} {event['name']}: {count} crops")


def load(folder, role):
    """All events of a role: a list of (event, x, y), shapes may differ between events."""
    events = {}
    for path in sorted(pathlib.Path(folder).glob(f"{role}-*.npz")):
        with np.load(path) as shard:
            events.setdefault(str(shard["event"]), []).append((shard["x"], shard["y"]))
    return [(name, *(np.concatenate(parts) for parts in zip(*shards))) for name, shards in events.items()]
