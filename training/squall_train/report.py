"""What a training came to: curves as a picture, numbers in Markdown."""
import json
import pathlib


def curves(history, path):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.8), constrained_layout=True)
    for phase in dict.fromkeys(h["phase"] for h in history):
        mine = [h for h in history if h["phase"] == phase]
        axes[0].plot([h["step"] for h in mine], [h["loss"] for h in mine], label=phase)
        axes[1].plot([h["step"] for h in mine], [h["merit"] for h in mine], label=phase)
    axes[0].set(title="training loss (last batch)", xlabel="step")
    axes[0].legend(fontsize=7)
    axes[1].axhline(0.0, color="grey", lw=0.8)
    axes[1].set(title="left out: mean log gain over extrapolation", xlabel="step")
    for name, event in history[-1]["scores"].items():
        minutes = range(5, 5 * len(event["model"]["mae"]) + 1, 5)
        line, = axes[2].plot(minutes, event["model"]["csi"]["1.0"], label=name)
        axes[2].plot(minutes, event["extrapolation"]["csi"]["1.0"], ls="--", color=line.get_color())
    axes[2].set(title="CSI at 1 mm/h (dashed: extrapolation)", xlabel="lead time, min")
    axes[2].legend(fontsize=7)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def table(history):
    """The last scores of each phase, in the moving frame, beside those of extrapolation."""
    lines = ["| network | left out | lead | CSI 0.5 | CSI 1 | CSI 5 | FSS 1 | MAE | rain / seen | Brier 1 |", "|---|---|---|---|---|---|---|---|---|---|"]
    for phase in dict.fromkeys(h["phase"] for h in history):
        last = [h for h in history if h["phase"] == phase][-1]
        for name, event in last["scores"].items():
            for k in (2, 5, 11):
                if k < len(event["model"]["mae"]) and event["model"]["mae"][k] == event["model"]["mae"][k]:  # NaN: no frames at that lead
                    pair = lambda get: f"{get(event['model'])[k]:.3f} / {get(event['extrapolation'])[k]:.3f}"
                    cells = [pair(lambda e: e["csi"]["0.5"]), pair(lambda e: e["csi"]["1.0"]), pair(lambda e: e["csi"]["5.0"]),
                             pair(lambda e: e["fss"]["1.0"]), pair(lambda e: e["mae"]), pair(lambda e: e["bias"]), pair(lambda e: e["brier"]["1.0"])]
                    lines.append(f"| {phase} | {name} | +{5 * (k + 1)} min | " + " | ".join(cells) + " |")
    return lines


def write(folder):
    folder = pathlib.Path(folder)
    trained = json.loads((folder / "history.json").read_text())
    curves(trained["history"], folder / "curves.png")
    last = trained["history"][-1]
    text = ["# Training report", "", f"{last['phase']}: {last['step']} steps in {last['seconds']:.0f} s, mean log gain over extrapolation on what was "
            f"left out {last['merit']:.4f}. Network / extrapolation, in the moving frame.", ""] + table(trained["history"])
    (folder / "report.md").write_text("\n".join(text) + "\n\n![curves](curves.png)\n")
