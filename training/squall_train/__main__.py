"""Train squall's default model.

  train dataset   make shards of crops from the events in training/events.json (needs the built `squall`)
  train fit       train on the shards, write model.pt and history.json, then what `export` writes
  train export    model.onnx, report.md and curves.png from model.pt and history.json (PyTorch may run elsewhere)
  train --smoke   both, tiny, from the data shipped with squall: does the road hold? (one minute on two cores)
"""
import argparse
import json
import pathlib
import sys
import tempfile
import time

SHARES = {"event": 0.5, "bias": 0.1, "sharp": 0.1}
ROOT = pathlib.Path(__file__).resolve().parents[2]


def arguments():
    top = argparse.ArgumentParser(prog="training/train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--smoke", action="store_true", help="a tiny run of everything")
    top.add_argument("--recipe", type=pathlib.Path, default=ROOT / "models/default/recipe.json")
    top.add_argument("--squall", type=pathlib.Path, default=ROOT / "build/release/src/squall", help="the squall program")
    top.add_argument("--seed", type=int, default=1)
    verbs = top.add_subparsers(dest="verb")
    make = verbs.add_parser("dataset", help="make the shards")
    make.add_argument("--data", type=pathlib.Path, required=True, help="folder that the events' paths are in")
    make.add_argument("--events", type=pathlib.Path, default=ROOT / "training/events.json")
    make.add_argument("--only", nargs="*", help="names of events")
    make.add_argument("--out", type=pathlib.Path, default=ROOT / "build/dataset")
    make.add_argument("--size", type=int, default=256, help="side of a crop, cells")
    run = verbs.add_parser("fit", help="train and export")
    run.add_argument("--dataset", type=pathlib.Path, default=ROOT / "build/dataset")
    run.add_argument("--out", type=pathlib.Path, default=ROOT / "build/training")
    run.add_argument("--steps", type=int, default=20000)
    run.add_argument("--batch", type=int, default=32)
    run.add_argument("--crop", type=int, default=192)
    run.add_argument("--every", type=int, default=1000, help="steps between validations")
    run.add_argument("--learning-rate", type=float, default=2e-3)
    for share, default in SHARES.items():
        run.add_argument(f"--{share}-share", type=float, default=default, help=f"weight of the loss's {share} term (default {default})")
    run.add_argument("--device", default=None, help="cuda or cpu (default: cuda where there is one)")
    run.add_argument("--no-export", action="store_true", help="only model.pt and history.json")
    end = verbs.add_parser("export", help="export what was trained")
    end.add_argument("--out", type=pathlib.Path, default=ROOT / "build/training")
    args = top.parse_args()
    if not args.smoke and args.verb is None:
        top.error("name a verb: dataset, fit or export, or --smoke")
    return args


def train(dataset, out, recipe_path, steps, batch, crop, every, device, seed, learning_rate=2e-3, shares=None):
    import torch
    from . import fit
    recipe = json.loads(recipe_path.read_text())
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    shares = shares or SHARES
    settings = dict(shares=shares, steps=steps, batch=batch, crop=crop, seed=seed, learning_rate=learning_rate, device=device, torch=torch.__version__)
    out.mkdir(parents=True, exist_ok=True)

    def keep(state, history):
        torch.save(state, out / "model.pt")
        (out / "history.json").write_text(json.dumps({"settings": settings, "history": history}, indent=1))

    fit.fit(dataset, recipe, steps, batch, crop, device, seed, every, learning_rate, shares, keep)


def export_model(out):
    import torch
    from . import export, report
    from .network import RainUNet
    state = torch.load(out / "model.pt", map_location="cpu", weights_only=True)
    leads, inputs = state["stay.weight"].shape[:2]
    network = RainUNet(inputs, leads)
    network.load_state_dict(state)
    trained = json.loads((out / "history.json").read_text())
    size = export.export(network, inputs, out / "model.onnx")
    report.write(out, trained["history"], trained["settings"])
    print(f"{out}: model.onnx of {size} bytes, merit {max(h['merit'] for h in trained['history']):.4f}, see report.md")


def smoke(args):
    """The events here test the default model; this model is thrown away."""
    from . import dataset
    start = time.time()
    event = {"paths": ["data/knmi"], "every_s": 1800, "crops": 2, "to": "2010-08-26T03:30:00Z"}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for role, first in (("train", "2010-08-26T00:00:00Z"), ("validation", "2010-08-26T01:30:00Z")):
            dataset.make([dict(event, role=role, name=f"smoke-{role}", **{"from": first})], [role], ROOT, args.squall, args.recipe, folder, size=64)
        train(folder, folder / "model", args.recipe, steps=6, batch=4, crop=48, every=3, device="cpu", seed=args.seed)
        export_model(folder / "model")
        for name in ("model.onnx", "report.md", "curves.png", "history.json"):
            if not (folder / "model" / name).stat().st_size:
                sys.exit(f"{name} is empty")
    print(f"smoke run in {time.time() - start:.0f} s")


def main():
    args = arguments()
    if args.smoke:
        smoke(args)
    elif args.verb == "dataset":
        from . import dataset
        events = json.loads(args.events.read_text())["events"]
        if args.only:
            events = [e for e in events if e["name"] in args.only]
        dataset.make(events, ("train", "validation"), args.data, args.squall, args.recipe, args.out, args.size, args.seed)
    elif args.verb == "export":
        export_model(args.out)
    else:
        train(args.dataset, args.out, args.recipe, args.steps, args.batch, args.crop, args.every, args.device, args.seed, args.learning_rate,
              {share: getattr(args, f"{share}_share") for share in SHARES})
        if not args.no_export:
            export_model(args.out)


if __name__ == "__main__":
    main()
