"""Writes MODEL_CARD.md from the facts of a training run."""

import json
from pathlib import Path

COLUMNS = ["n", "scam", "ham", "accuracy", "precision", "recall", "f1", "auc", "fpr", "ece"]


def statement():
    """What the model is for and what it cannot do: in the card, and served with it."""
    return json.loads((Path(__file__).parent / "statement.json").read_text("utf-8"))


def write(facts, size, measured, left_out):
    template = (Path(__file__).parent / "card.md").read_text("utf-8")
    margins = ", ".join(f"{name} {margin:.2f}" for name, margin in facts["margins"].items())
    plain = {name: figures for name, figures in measured.figures.items() if not name.startswith("scams, ")}
    return (
        template.replace("@NAME@", facts["name"])
        .replace("@VERSION@", facts["version"])
        .replace("@SHA256@", facts["sha256"])
        .replace("@THRESHOLD@", f"{facts['threshold']:.2f}")
        .replace("@MARGINS@", margins)
        .replace("@INTENDED_USE@", facts["intended_use"])
        .replace("@OUT_OF_SCOPE@", facts["out_of_scope"])
        .replace("@SPOKEN@", facts["languages"])
        .replace("@LIMITS@", "\n".join(f"- {limit}" for limit in facts["limits"]))
        .replace("@BUCKETS@", f"{facts['buckets']:,}")
        .replace("@SIZE@", f"{size:,}")
        .replace("@TRAINING@", rows_by_source(facts["training"]))
        .replace("@METRICS@", table(plain, COLUMNS))
        .replace("@LEFTOUT@", table(left_out.together, COLUMNS))
        .replace("@LANGUAGES@", table(left_out.languages, ["n", "scam", "ham", "recall", "fpr", "auc"]))
        .replace("@DISGUISES@", disguises(measured.relative_recall))
    )


def rows_by_source(training):
    lines = [f"| {source} | {count:,} |" for source, count in training.items()]
    return "\n".join(["| source | rows |", "|---|---:|", *lines])


def disguises(relative_recall):
    lines = [f"| {name} | {recall:.3f} |" for name, recall in relative_recall.items()]
    return "\n".join(["| disguise | relative recall |", "|---|---:|", *lines])


def table(metrics, columns):
    lines = ["| slice | " + " | ".join(columns).replace("_", " ") + " |", "|---|" + "---:|" * len(columns)]
    for name, figures in metrics.items():
        cells = [shown(figures.get(column)) for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def shown(value):
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
