"""Measures a model, slice by slice of the data that it has not learned from."""

import random

import numpy as np
from sklearn.metrics import roc_auc_score

import data


def quality(labels, scores, threshold):
    """The usual figures; those that need both classes are left out where one is absent."""
    labels = np.asarray(labels)
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
        figures["auc"] = roc_auc_score(labels, scores)
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


def measure(assess, threshold, merged, promo):
    """All slices: name to figures."""
    test = merged["test"]
    held_back = sum_rows([rows.where(~permitted(rows)) for rows in merged.values()])
    named = {
        "sms test": test.where(test.sources == "uci_sms"),
        "permitted test": test.permitted(),
        "merged test": test,
        "prompts test": test.where(test.sources == "prompts_train"),
        "bank messages test": test.where(test.sources == "bank_sms_finlight"),
        "e-mail test": test.where(np.isin(test.sources, ["spamassassin_ham", "spamassassin_419"])),
        "unseen sources": held_back,
    }
    for source in sorted(set(held_back.sources)):
        rows = held_back.where(held_back.sources == source)
        if len(rows) >= 50:
            named[f"unseen: {source}"] = rows
    for source in sorted(set(promo.sources)):
        named[f"advertising: {source}"] = promo.where(promo.sources == source)
    real = test.permitted()
    scams = real.where((real.labels == 1) & (real.sources != "synthetic_templates"))
    named["scams, as they are"] = scams
    for name, change in DISGUISES.items():
        named[f"scams, {name}"] = changed(scams, change)
    prose = [text for text in real.where(real.sources == "prompts_train").texts if len(text) > 400]
    named["scams, inside 800 characters of prose"] = changed(scams, lambda text, dice: buried(text, dice, prose))

    measured = {}
    for name, rows in named.items():
        scores = assess(rows.texts)
        measured[name] = quality(rows.labels, scores, threshold)
    return measured


def permitted(rows):
    return np.isin(rows.sources, sorted(data.TRAINING_SOURCES))


def sum_rows(parts):
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def changed(rows, change):
    dice = random.Random(7)
    return data.Rows(rows.labels, [change(text, dice) for text in rows.texts], rows.sources)


def zero_width(text, dice):
    return "".join(letter + ("\u200b" if dice.random() < 0.3 else "") for letter in text)


def full_width(text, _):
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text)


def diacritics(text, dice):
    return "".join(letter + ("\u0301" if letter.isalpha() and dice.random() < 0.3 else "") for letter in text)


def look_alikes(text, dice):
    table = dict(zip("aceopxyijs", "асеорхуіјѕ"))
    return "".join(table.get(letter, letter) if dice.random() < 0.5 else letter for letter in text)


def leet(text, dice):
    table = dict(zip("oieast", "013457"))
    return "".join(table.get(letter, letter) if dice.random() < 0.25 else letter for letter in text)


def buried(text, dice, prose):
    filler = " ".join(dice.choice(prose) for _ in range(3))
    return f"{filler[:400]} {text} {filler[400:800]}"


DISGUISES = {
    "zero-width characters": zero_width,
    "full-width letters": full_width,
    "diacritics": diacritics,
    "Cyrillic look-alikes": look_alikes,
    "digits for letters": leet,
    "upper case": lambda text, _: text.upper(),
}
