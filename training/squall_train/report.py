"""What a training came to: curves as a picture, numbers in Markdown."""
import pathlib


def curves(history, path):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.8), constrained_layout=True)
    steps = [h["step"] for h in history]
    axes[0].plot(steps, [h["loss"] for h in history])
    axes[0].set(title="training loss (last batch)", xlabel="step")
    axes[1].plot(steps, [h["merit"] for h in history])
    axes[1].axhline(0.0, color="grey", lw=0.8)
    axes[1].set(title="validation: mean log gain over extrapolation", xlabel="step")
    for name, event in history[-1]["scores"].items():
        minutes = range(5, 5 * len(event["model"]["mae"]) + 1, 5)
        line, = axes[2].plot(minutes, event["model"]["csi"]["1.0"], label=name)
        axes[2].plot(minutes, event["extrapolation"]["csi"]["1.0"], ls="--", color=line.get_color())
    axes[2].set(title="CSI at 1 mm/h (dashed: extrapolation)", xlabel="lead time, min")
    axes[2].legend(fontsize=7)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def write(folder, history, settings):
    folder = pathlib.Path(folder)
    curves(history, folder / "curves.png")
    best = max(history, key=lambda h: h["merit"])
    lines = ["# Training report", "", f"Best step {best['step']} of {settings['steps']}, mean log gain {best['merit']:.4f}.", "",
             "| event | lead | CSI 1 mm/h | extrapolation | FSS 1 mm/h | extrapolation | MAE | extrapolation |", "|---|---|---|---|---|---|---|---|"]
    for name, event in best["scores"].items():
        m, e = event["model"], event["extrapolation"]
        for k in (2, 5, 8, 11):
            if k < len(m["mae"]):
                lines.append(f"| {name} | +{5 * (k + 1)} min | {m['csi']['1.0'][k]:.3f} | {e['csi']['1.0'][k]:.3f} | {m['fss'][k]:.3f} | "
                             f"{e['fss'][k]:.3f} | {m['mae'][k]:.3f} | {e['mae'][k]:.3f} |")
    (folder / "report.md").write_text("\n".join(lines) + "\n\n![curves](curves.png)\n")
