"""Writes MODEL_CARD.md from the facts of a training run."""

from pathlib import Path

COLUMNS = ["n", "scam", "ham", "accuracy", "precision", "recall", "f1", "auc", "fpr", "ece"]


def write(facts, size):
    template = (Path(__file__).parent / "card.md").read_text("utf-8")
    return (
        template.replace("@NAME@", facts["name"])
        .replace("@VERSION@", facts["version"])
        .replace("@SHA256@", facts["sha256"])
        .replace("@THRESHOLD@", f"{facts['threshold']:.2f}")
        .replace("@MARGIN@", f"{facts['margins']['window']:.1f}")
        .replace("@BUCKETS@", f"{facts['buckets']:,}")
        .replace("@SIZE@", f"{size:,}")
        .replace("@TRAINING@", rows_by_source(facts["training"]))
        .replace("@METRICS@", table(facts["metrics"]))
    )


def rows_by_source(training):
    lines = [f"| {source} | {count:,} |" for source, count in training.items()]
    return "\n".join(["| source | rows |", "|---|---:|", *lines])


def table(metrics):
    lines = ["| slice | " + " | ".join(COLUMNS) + " |", "|---|" + "---:|" * len(COLUMNS)]
    for name, figures in metrics.items():
        cells = [shown(figures.get(column)) for column in COLUMNS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def shown(value):
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
