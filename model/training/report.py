"""Writes REPORT.md and the pictures under report/ from what a training run measured."""

from collections import Counter

import numpy as np

import disguises
import plots
from card import shown, table

COLUMNS = ["n", "scam", "ham", "recall", "fpr", "precision", "f1", "auc", "fpr_at_95_recall", "recall_at_1_fpr", "ece"]
GROUP_COLUMNS = ["n", "scam", "ham", "recall", "fpr", "auc"]
CURVES = ["sms test", "merged test"]


def write(out, facts, measured, left_out, train, conflicts):
    folder = out / "report"
    folder.mkdir(exist_ok=True)
    curves = {name: measured.scores[name] for name in CURVES}
    curves["left-out groups"] = left_out.curve
    plots.roc(curves, folder / "roc.svg")
    plots.calibration(curves, folder / "calibration.svg")
    flags = {name: (labels, (scores >= facts["threshold"]).astype(int)) for name, (labels, scores) in curves.items()}
    plots.confusion(flags, folder / "confusion.svg")
    plots.bars(measured.relative_recall, disguises.AIMS, folder / "disguises.svg")
    (out / "REPORT.md").write_text(text(facts, measured, left_out, train, conflicts), "utf-8")


def text(facts, measured, left_out, train, conflicts):
    parts = [
        f"# Training report: {facts['name']} {facts['version']}",
        "Written by the training run. The slices, the disguises and the pictures of the test splits are measured on the very "
        "files that are shipped, with the product's own code; what is said of left-out groups is measured on models of the "
        "same kind that have not seen the group, without disguised copies and stretches, at the shipped threshold.",
        f"Threshold {facts['threshold']:.2f}; margins in log-odds: "
        + ", ".join(f"{name} {margin:.2f}" for name, margin in facts["margins"].items())
        + f"; a text is called adversarial from {facts['disagreement']:.1f} in log-odds.",
        "## Test splits\n\n![ROC](report/roc.svg) ![Calibration](report/calibration.svg)\n\n![Confusion](report/confusion.svg)",
        table({name: figures for name, figures in measured.figures.items() if not name.startswith("scams, ")}, COLUMNS),
        "## Disguises\n\nThe same scams, written so that a filter does not read what a person reads; recall relative to that of "
        "the plain texts, and what the flagged ones were called. Disguises are in `training/disguises.py`.\n\n"
        "![Disguises](report/disguises.svg)",
        disguise_table(measured),
        "## Genuine texts called adversarial",
        adversarial_table(measured),
        "## Groups left out\n\nEach source, and each subject of the project's own templates, scored by a model that has learned "
        "nothing of it. These say most of what to expect of texts from elsewhere.",
        table(left_out.together, COLUMNS),
        table(left_out.groups, GROUP_COLUMNS),
        "### Languages\n\nThe project's own templates, each scored by a model that has not learned from it (`multi` are short "
        "ones of several languages). There is no other data in these languages: genuine messages by other authors will do worse.",
        table(left_out.languages, GROUP_COLUMNS),
        "## What each source adds\n\nThe change of the loss (log-loss on the valid split, calibrated anew) when a source is left "
        "out: above 0 it helps, below 0 it harms. The last lines are parts of the project's own templates.",
        influence(left_out.influence),
        "## Labels that contradict one another\n\nNear-duplicates (5-shingles, Jaccard index from 0.7 up, links and digits "
        "unified) of which one is a scam and the other is not. They are mistakes, or were put there to make a wording pass. "
        "Rows are named by their place in the training data; no row is printed.",
        conflict_table(train, conflicts),
    ]
    return "\n\n".join(parts) + "\n"


def disguise_table(measured):
    lines = ["| disguise | aim | relative recall | called |", "|---|---:|---:|---|"]
    for name, recall in measured.relative_recall.items():
        total = max(sum(measured.called[name].values()), 1)
        called = ", ".join(
            f"{kind.replace('-', ' ')} {count / total:.0%}" for kind, count in measured.called[name].items() if kind != "-"
        )
        lines.append(f"| {name} | {disguises.AIMS[name]:.2f} | {recall:.3f} | {called or '–'} |")
    return "\n".join(lines)


def adversarial_table(measured):
    lines = ["| slice | genuine texts | share called adversarial |", "|---|---:|---:|"]
    for name, figures in measured.figures.items():
        if "called adversarial" in figures:
            lines.append(f"| {name} | {figures['ham']:,} | {shown(figures['called adversarial'])} |")
    return "\n".join(lines)


def influence(losses):
    (base_name, base), *others = losses.items()
    lines = ["| left out | change of loss |", "|---|---:|", f"| nothing: {base_name} | {base:.4f} |"]
    return "\n".join(lines + [f"| {name.removeprefix('without ')} | {change:+.4f} |" for name, change in others])


def conflict_table(train, conflicts):
    counts = Counter((train.sources[scam], train.sources[other]) for scam, other, _ in conflicts)
    if not counts:
        return "None found."
    lines = [f"{len(conflicts)} pairs.", "", "| scam in | other in | pairs | most alike | rows |", "|---|---|---:|---:|---|"]
    for (first, second), count in counts.most_common():
        pairs = [pair for pair in conflicts if (train.sources[pair[0]], train.sources[pair[1]]) == (first, second)]
        pairs.sort(key=lambda pair: (-pair[2], pair[0], pair[1]))
        rows = ", ".join(f"{scam}/{other}" for scam, other, _ in pairs[:6])
        lines.append(f"| {first} | {second} | {count} | {np.max([pair[2] for pair in pairs]):.2f} | {rows} |")
    return "\n".join(lines)
