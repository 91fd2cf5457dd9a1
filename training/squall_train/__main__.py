"""Train squall's default model.

  train dataset   pack the events in training/events.json as sequences (needs the built `squall`)
  train fit       train a teacher and its student on them: teacher.pt, student.pt, history.json, then what `export` writes
  train cross     the same, leaving out a provider a time, and without distillation, augmentation, moving frame: one process each
  train export    model.onnx, probability.onnx, report.md and curves.png from student.pt and history.json (PyTorch may run elsewhere)
  train --smoke   dataset, fit and export, tiny, from the data shipped with squall: does the road hold? (one minute on two cores)
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

SHARES = {"event": 1.0, "bias": 0.2, "fraction": 1.0, "error": 0.1, "sharp": 0.1}
ROOT = pathlib.Path(__file__).resolve().parents[2]
# What `cross` trains: the shipped model, which leaves out KNMI and BoM; one for each other provider; and the shipped one without ...
ALONE = ["--leave-out", "knmi", "bom"]
RUNS = {"default": ALONE, "without-fmi": ["--leave-out", "fmi"], "without-odyssey": ["--leave-out", "odyssey"],
        "without-mrms": ["--leave-out", "mrms"], "without-openmrg": ["--leave-out", "openmrg"],
        "no-distillation": ALONE + ["--no-distil"], "no-augmentation": ALONE + ["--no-distil", "--no-augment"],
        "no-moving-frame": ALONE + ["--no-distil", "--fixed-frame"]}


def fit_arguments(run):
    run.add_argument("--dataset", type=pathlib.Path, default=ROOT / "build/dataset")
    run.add_argument("--out", type=pathlib.Path, default=ROOT / "build/training")
    length = run.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, help="of each phase (teacher, student); default 6000")
    length.add_argument("--seconds", type=float, default=0.0, help="of each phase, in place of steps")
    run.add_argument("--batch", type=int, default=16)
    run.add_argument("--crop", type=int, default=192)
    run.add_argument("--test-crop", type=int, default=256)
    run.add_argument("--checks", type=int, default=128, help="crops that are scored")
    run.add_argument("--learning-rate", type=float, default=1.5e-3)
    run.add_argument("--trust", type=float, default=0.5, help="weight of the teacher beside the truth")
    run.add_argument("--chance-share", type=float, default=2.0, help="weight of the probabilities' loss")
    run.add_argument("--feature-share", type=float, default=0.005, help="weight of the likeness to the teacher's coarsest features")
    for share, default in SHARES.items():
        run.add_argument(f"--{share}-share", type=float, default=default, help=f"weight of the loss's {share} term (default {default})")
    run.add_argument("--device", default=None, help="cuda or cpu (default: cuda where there is one)")
    run.add_argument("--quiet", action="store_true", help="no progress bar")


def arguments():
    top = argparse.ArgumentParser(prog="training/train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--smoke", action="store_true", help="a tiny run of everything")
    top.add_argument("--recipe", type=pathlib.Path, default=ROOT / "models/default/recipe.json")
    top.add_argument("--squall", type=pathlib.Path, default=ROOT / "build/release/src/squall", help="the squall program")
    top.add_argument("--seed", type=int, default=1)
    verbs = top.add_subparsers(dest="verb")
    make = verbs.add_parser("dataset", help="pack the sequences")
    make.add_argument("--data", type=pathlib.Path, required=True, help="folder that the events' paths are in")
    make.add_argument("--events", type=pathlib.Path, default=ROOT / "training/events.json")
    make.add_argument("--only", nargs="*", help="names of events")
    make.add_argument("--out", type=pathlib.Path, default=ROOT / "build/dataset")
    run = verbs.add_parser("fit", help="train and export")
    fit_arguments(run)
    run.add_argument("--leave-out", nargs="*", default=["knmi", "bom"], help="providers that score and do not train")
    run.add_argument("--no-distil", action="store_true", help="a student without a teacher")
    run.add_argument("--no-augment", action="store_true", help="crops as they are")
    run.add_argument("--fixed-frame", action="store_true", help="nothing is carried along the motion")
    run.add_argument("--start", type=pathlib.Path, help="weights (student.pt) that the student starts from")
    run.add_argument("--no-export", action="store_true", help="only the weights and history.json")
    cross = verbs.add_parser("cross", help="cross-validation and ablations")
    fit_arguments(cross)
    cross.add_argument("--only", nargs="*", choices=RUNS, help="some of the runs")
    end = verbs.add_parser("export", help="export what was trained")
    end.add_argument("--out", type=pathlib.Path, default=ROOT / "build/training")
    args = top.parse_args()
    if not args.smoke and args.verb is None:
        top.error("name a verb: dataset, fit, cross or export; or --smoke")
    return args


def options_of(args):
    import torch
    return {"name": args.out.name, "leave_out": args.leave_out, "distil": not args.no_distil, "augment": not args.no_augment,
            "moving": not args.fixed_frame, "steps": args.steps if args.steps or args.seconds else 6000, "seconds": args.seconds, "batch": args.batch,
            "crop": args.crop, "test_crop": args.test_crop, "checks": args.checks, "learning_rate": args.learning_rate, "trust": args.trust,
            "chance_share": args.chance_share, "feature_share": args.feature_share, "shares": {k: getattr(args, f"{k}_share") for k in SHARES},
            "device": args.device or ("cuda" if torch.cuda.is_available() else "cpu"), "seed": args.seed, "quiet": args.quiet,
            "start": str(args.start) if getattr(args, "start", None) else None}


def train(args):
    from . import fit
    fit.fit(args.dataset, json.loads(args.recipe.read_text()), args.out, options_of(args), lambda text: print(text, flush=True))


def export_model(out):
    import torch
    from . import export, report
    state = torch.load(out / "student.pt", map_location="cpu", weights_only=True)
    sizes = [export.export(state, out / "model.onnx"), export.export(state, out / "probability.onnx", probabilities=True)]
    report.write(out)
    print(f"{out}: model.onnx of {sizes[0]} bytes, probability.onnx of {sizes[1]}, see report.md")


def cross(args):
    """One process a run, on the GPUs in turn; small networks leave a GPU idle when alone."""
    import torch
    gpus = max(torch.cuda.device_count(), 1)
    passed = ["--dataset", args.dataset, "--batch", args.batch, "--crop", args.crop, "--test-crop", args.test_crop, "--checks", args.checks,
              "--learning-rate", args.learning_rate, "--trust", args.trust, "--chance-share", args.chance_share, "--feature-share", args.feature_share]
    passed += [part for share in SHARES for part in (f"--{share}-share", getattr(args, f"{share}_share"))]
    passed += (["--steps", args.steps] if args.steps else ["--seconds", args.seconds]) + (["--device", args.device] if args.device else [])
    running = {}
    for number, name in enumerate(args.only or RUNS):
        command = [sys.executable, "-m", "squall_train", "--recipe", args.recipe, "--seed", args.seed, "fit", "--quiet", "--no-export",
                   "--out", args.out / name] + passed + RUNS[name]
        running[name] = subprocess.Popen([str(part) for part in command], env=dict(os.environ, CUDA_VISIBLE_DEVICES=str(number % gpus)))
    failed = [name for name, process in running.items() if process.wait() != 0]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def smoke(args):
    """The events here test the default model; this model is thrown away."""
    from . import dataset
    start = time.time()
    event = {"paths": ["data/knmi"], "provider": "knmi", "to": "2010-08-26T03:30:00Z"}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, bounds in (("first", {"to": "2010-08-26T01:30:00Z"}), ("second", {"from": "2010-08-26T01:00:00Z", "to": "2010-08-26T03:00:00Z"})):
            dataset.make([dict(event, name=f"{name}-smoke", provider=name, **bounds)], ROOT, args.squall, args.recipe, folder)
        small = argparse.Namespace(**vars(args), dataset=folder, out=folder / "model", steps=3, seconds=0.0, batch=2, crop=48, test_crop=64, checks=4,
                                   learning_rate=1e-3, trust=0.5, chance_share=1.0, feature_share=0.02, device="cpu", quiet=True,
                                   leave_out=["second"], no_distil=False, no_augment=False, fixed_frame=False,
                                   **{f"{share}_share": value for share, value in SHARES.items()})
        train(small)
        export_model(folder / "model")
        for name in ("model.onnx", "probability.onnx", "report.md", "curves.png", "history.json", "teacher.pt"):
            if not (folder / "model" / name).stat().st_size:
                sys.exit(f"{name} is empty")
    print(f"smoke run in {time.time() - start:.0f} s")


def main():
    args = arguments()
    if args.smoke:
        smoke(args)
    elif args.verb == "dataset":
        from . import dataset
        events = [e for e in json.loads(args.events.read_text())["events"] if e["role"] != "test"]
        if args.only:
            events = [e for e in events if e["name"] in args.only]
        dataset.make(events, args.data, args.squall, args.recipe, args.out)
    elif args.verb == "export":
        export_model(args.out)
    elif args.verb == "cross":
        cross(args)
    else:
        train(args)
        if not args.no_export:
            export_model(args.out)


if __name__ == "__main__":
    main()
