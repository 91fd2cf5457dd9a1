#!/usr/bin/env python3
"""What each step of --quality does to the scores of extrapolation and S-PROG on real sequences.

    bench/quality.py --data DIR [--json FILE]

squall verify --suite on each event with and without the step: past frames are made fit, observations stay as they are.
"gaps" is scored with every third frame taken away from the archive. CSI at 1 mm/h and MAE at 30 minutes. Needs
build/release/src/squall.
"""
import argparse
import datetime
import json
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
SQUALL = ROOT / "build/release/src/squall"
# Folder, window, seconds between issue times.
EVENTS = {"KNMI": ("knmi_rap", "150,150,400,400", 1800), "FMI": ("fmi_pgm", "150,400,480,480", 1800),
          "BoM": ("bom_prcp_c10", "50,50,400,400", 7200), "ODYSSEY": ("opera_odyssey_rate", "700,900,400,400", 1800),
          "MRMS": ("mrms_preciprate", "5200,1200,480,480", 900)}
STEPS = ("", "speckle", "spokes", "speckle,spokes", "mask", "instant")


def score(folder, window, every, quality):
    """{method: (issue times, CSI, MAE)}; None where no forecast could be made."""
    command = [SQUALL, "verify", "--suite", "--json", "--every", str(every), "--leads", "30", "--tolerance", "120", "--methods", "sprog",
               "--resamples", "1", *(["--quality", quality] if quality else []), f"{folder}@{window}"]
    ran = subprocess.run(command, capture_output=True)
    if ran.returncode != 0:
        return None
    methods = json.loads(ran.stdout)["groups"][0]["methods"]
    return {name: {"issue_times": rows[0]["issue_times"], "csi": rows[0]["scores"]["csi_1"][0], "mae": rows[0]["scores"]["mae"][0]}
            for name, rows in methods.items() if rows}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=pathlib.Path, required=True, help="folder of the real-data pack")
    options.add_argument("--json", type=pathlib.Path, help="write the results")
    args = options.parse_args()
    results = {}
    for name, (folder, window, every) in EVENTS.items():
        files = sorted((args.data / folder).iterdir())
        results[name] = {step or "as it is": score(args.data / folder, window, every, step) for step in STEPS}
        with tempfile.TemporaryDirectory() as kept:
            for i, file in enumerate(files):
                if i % 3 != 1:
                    (pathlib.Path(kept) / file.name).symlink_to(file)
            for step in ("", "gaps"):
                results[name][f"a third missing{', gaps filled' if step else ''}"] = score(kept, window, every, step)
        for step, row in results[name].items():
            print(f"{name:8s} {step:30s} " + ("no forecast" if row is None else ", ".join(
                f"{method} CSI {r['csi']:.4f} MAE {r['mae']:.4f} ({r['issue_times']})" for method, r in row.items())), flush=True)
    if args.json:
        args.json.write_text(json.dumps({"date": datetime.date.today().isoformat(), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
