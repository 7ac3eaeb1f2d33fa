"""The report's pictures, as SVG files that are the same for the same figures."""

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from sklearn.metrics import roc_curve  # noqa: E402

matplotlib.rcParams.update({"svg.hashsalt": "portcullis", "svg.fonttype": "none", "font.size": 9})


def save(figure, path):
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    # No blanks at the ends of lines.
    path.write_text("\n".join(line.rstrip() for line in path.read_text("utf-8").splitlines()) + "\n", "utf-8")


def roc(curves, path):
    """`curves`: name to (labels, scores)."""
    figure, axes = plt.subplots(figsize=(5, 4))
    for name, (labels, scores) in curves.items():
        fpr, recall, _ = roc_curve(labels, scores)
        axes.plot(np.maximum(fpr, 1e-4), recall, label=name, linewidth=1.2)
    axes.set(xscale="log", xlim=(1e-4, 1), ylim=(0.5, 1.005), xlabel="false alarms (share, logarithmic)", ylabel="recall")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    save(figure, path)


def calibration(curves, path, bins=10):
    figure, axes = plt.subplots(figsize=(4.5, 4))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    for name, (labels, scores) in curves.items():
        bin_of = np.minimum((scores * bins).astype(int), bins - 1)
        filled = [number for number in range(bins) if (bin_of == number).sum() >= 5]
        means = [scores[bin_of == number].mean() for number in filled]
        shares = [labels[bin_of == number].mean() for number in filled]
        axes.plot(means, shares, marker="o", markersize=4, linewidth=1, label=name)
    axes.set(xlabel="stated probability", ylabel="share of scams")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", fontsize=8)
    save(figure, path)


def confusion(tables, path):
    """`tables`: name to (labels, flags)."""
    figure, panels = plt.subplots(1, len(tables), figsize=(3.2 * len(tables), 2.8), squeeze=False)
    for axes, (name, (labels, flags)) in zip(panels[0], tables.items()):
        counts = np.array([[int(((labels == actual) & (flags == said)).sum()) for said in (0, 1)] for actual in (0, 1)])
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.4)
        for actual in (0, 1):
            for said in (0, 1):
                text = f"{counts[actual, said]:,}\n{shares[actual, said]:.1%}"
                axes.text(said, actual, text, ha="center", va="center")
        axes.set(xticks=[0, 1], xticklabels=["ham", "scam"], yticks=[0, 1], yticklabels=["ham", "scam"], title=name)
        axes.set(xlabel="said", ylabel="is")
    save(figure, path)


def bars(values, targets, path):
    """`values`: name to a share of 1; `targets`: name to the least that is aimed at."""
    figure, axes = plt.subplots(figsize=(6, 0.26 * len(values) + 0.8))
    names = list(values)[::-1]
    axes.barh(names, [values[name] for name in names], color="steelblue", height=0.6)
    for place, name in enumerate(names):
        if name in targets:
            axes.plot([targets[name]] * 2, [place - 0.4, place + 0.4], color="black", linewidth=1.4)
    axes.set(xlim=(0.5, 1.1), xlabel="recall relative to that of plain texts; the mark is the aim")
    save(figure, path)
