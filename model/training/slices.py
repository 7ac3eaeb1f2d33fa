"""Measures the shipped files, slice by slice of the data that was not learned from."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

import data
import disguises


@dataclass
class Measured:
    #: Slice to figures.
    figures: dict = field(default_factory=dict)
    #: Slice to (labels, probabilities).
    scores: dict = field(default_factory=dict)
    #: Disguise to recall relative to that of the plain scams, and to what it was called.
    relative_recall: dict = field(default_factory=dict)
    called: dict = field(default_factory=dict)


def quality(labels, scores, threshold):
    """The usual figures; those that need both classes are left out where one is absent."""
    labels = np.asarray(labels)
    if not len(labels):
        return {"n": 0, "scam": 0, "ham": 0}
    scam = scores >= threshold
    positives, negatives = int(labels.sum()), int((1 - labels).sum())
    hits = int((scam & (labels == 1)).sum())
    false_alarms = int((scam & (labels == 0)).sum())
    figures = {"n": len(labels), "scam": positives, "ham": negatives}
    figures["accuracy"] = (hits + negatives - false_alarms) / len(labels)
    if positives:
        figures["recall"] = hits / positives
    if negatives:
        figures["fpr"] = false_alarms / negatives
    if positives and negatives:
        precision = hits / max(hits + false_alarms, 1)
        figures["precision"] = precision
        figures["f1"] = 2 * hits / max(2 * hits + false_alarms + positives - hits, 1)
        figures["auc"] = float(roc_auc_score(labels, scores))
        fpr, recall, _ = roc_curve(labels, scores, drop_intermediate=False)
        figures["fpr_at_95_recall"] = float(fpr[recall >= 0.95].min())
        figures["recall_at_1_fpr"] = float(recall[fpr <= 0.01].max())
        figures["recall_at_5_fpr"] = float(recall[fpr <= 0.05].max())
        figures["ece"] = calibration_error(labels, scores)
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}


def calibration_error(labels, scores, bins=10):
    """Expected calibration error over equally wide bins."""
    bin_of = np.minimum((scores * bins).astype(int), bins - 1)
    error = 0.0
    for number in range(bins):
        inside = bin_of == number
        if inside.any():
            error += inside.mean() * abs(labels[inside].mean() - scores[inside].mean())
    return float(error)


def measure(assess, threshold, merged, promo, prose):
    """All slices. `assess` gives the probabilities of texts and how each is adversarial."""
    test = merged["test"]
    held_back = merged["train"].not_permitted() + merged["valid"].not_permitted() + merged["test"].not_permitted()
    named = {
        "sms test": test.where(test.sources == "uci_sms"),
        "permitted test": test.permitted(),
        "merged test": test,
        "prompts test": test.where(test.sources == "prompts_train"),
        "bank messages test": test.where(test.sources == "bank_sms_finlight"),
        "e-mail test": test.where(np.isin(test.sources, ["spamassassin_ham", "spamassassin_419"])),
        "sources never learned from": held_back,
    }
    for source in sorted(set(held_back.sources)):
        rows = held_back.where(held_back.sources == source)
        if len(rows) >= 50:
            named[f"never learned from: {source}"] = rows
    for source in sorted(set(promo.sources)):
        named[f"advertising: {source}"] = promo.where(promo.sources == source)

    measured = Measured()
    for name, rows in named.items():
        scores, kinds = assess(rows.texts)
        measured.figures[name] = quality(rows.labels, scores, threshold)
        genuine = kinds[rows.labels == 0]
        if len(genuine):
            measured.figures[name]["called adversarial"] = round(float((genuine != "-").mean()), 4)
        measured.scores[name] = (rows.labels, scores)
    disguised(measured, assess, threshold, merged, prose)
    return measured


def disguised(measured, assess, threshold, merged, prose):
    """Recall on disguised scams: those of the test and valid splits of what may be learned from."""
    rows = merged["test"].permitted() + merged["valid"].permitted()
    scams = rows.where((rows.labels == 1) & (rows.sources != "synthetic_templates"))
    scores, kinds = assess(scams.texts)
    plain = float((scores >= threshold).mean())
    measured.figures["scams, as they are"] = quality(scams.labels, scores, threshold)
    changes = {name: lambda text, dice, change=change: change(text, dice) for name, (change, _) in disguises.MEASURED.items()}
    changes[disguises.BURIED] = lambda text, dice: disguises.buried(text, dice, prose)
    for name, change in changes.items():
        texts = disguises.changed(scams.texts, change, name)
        scores, kinds = assess(texts)
        measured.figures[f"scams, {name}"] = quality(scams.labels, scores, threshold)
        measured.relative_recall[name] = float((scores >= threshold).mean()) / max(plain, 1e-9)
        found = kinds[scores >= threshold]
        measured.called[name] = dict(sorted(Counter(found).items(), key=lambda item: -item[1]))
