"""Fitting: from feature rows to weights, and from scores to probabilities."""

import numpy as np
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

import data

# Settled by the valid split, by cross-validation and by left-out groups; see the report.
INVERSE_PENALTY = 0.02
RARITY_POWER = 2.0
# How freely words, characters and shapes may be weighted, against one another: what a link or a number looks like, and which
# words stand together, is learned by heart sooner than how a language is written.
FREEDOM = np.array([0.7, 1.0, 0.5], dtype=np.float32)
TOLERANCE = 1e-6


class Linear:
    """Logistic regression over features weighted by their rarity."""

    def __init__(self, labels, matrix, weight, tolerance=TOLERANCE):
        # Every feature has a value of its own in a row, so that rows are counted by entries.
        counts = np.bincount(matrix.indices, minlength=data.BUCKETS)
        freedom = ((np.log((matrix.shape[0] + 1) / (counts + 1)) + 1) ** RARITY_POWER).astype(np.float32)
        freedom *= FREEDOM[groups(matrix)]
        scaled = matrix.copy()
        scaled.data *= freedom[scaled.indices]
        fitted = LogisticRegression(C=INVERSE_PENALTY, tol=tolerance, max_iter=500)
        fitted.fit(scaled, labels, (weight * len(weight) / weight.sum()).astype(np.float32))
        self.weights = (fitted.coef_.ravel() * freedom).astype(np.float64)
        self.bias = float(fitted.intercept_[0])

    def score(self, matrix):
        return matrix @ self.weights + self.bias


def groups(matrix):
    """Whether a bucket is mostly a word (0), characters (1) or a shape (2). The extractor writes the features of a text in this
    order, and those of one group have one value."""
    starts, ends = matrix.indptr[:-1], matrix.indptr[1:]
    changes = np.concatenate([[False], np.diff(matrix.data) != 0])
    changes[starts] = False
    number = np.cumsum(changes)
    # Where two groups happen to have the same value, nothing can be told.
    telling = np.repeat(number[ends - 1] - number[starts] == len(FREEDOM) - 1, ends - starts)
    number -= np.repeat(number[starts], ends - starts)
    votes = [np.bincount(matrix.indices[telling & (number == group)], minlength=data.BUCKETS) for group in range(len(FREEDOM))]
    # Characters where nobody votes: most buckets are.
    return np.where(np.any(votes, axis=0), np.argmax(votes, axis=0), 1)


def platt(scores, labels, weight=None):
    """The slope and offset that make a score calibrated log-odds (Platt 1999, smoothed targets)."""
    weight = np.ones(len(scores)) if weight is None else weight
    positive, negative = weight[labels == 1].sum(), weight[labels == 0].sum()
    target = np.where(labels == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))

    # In steps of the scores' own spread: some are in the hundredths, some in the tens.
    spread = max(float(np.sqrt(np.average((scores - np.average(scores, weights=weight)) ** 2, weights=weight))), 1e-9)
    centre = float(np.average(scores, weights=weight))
    steps = (scores - centre) / spread

    def loss(parameters):
        log_odds = parameters[0] * steps + parameters[1]
        error = weight / weight.sum() * (1 / (1 + np.exp(-log_odds)) - target)
        value = np.average(np.logaddexp(0, log_odds) - target * log_odds, weights=weight)
        return value, np.array([error @ steps, error.sum()])

    slope, offset = minimize(loss, np.array([1.0, 0.0]), method="BFGS", jac=True, options={"gtol": 1e-9}).x
    return slope / spread, offset - slope * centre / spread


def log_odds_of(views, score, margins, threshold):
    """The most suspicious view of each text, by the margins of `data.KINDS`, as `Detector` has it."""
    best = score(views.of(data.NORMALISED)[0])
    for name, kind in data.KINDS.items():
        matrix, owners = views.of(kind)
        if not len(owners):
            continue
        counted = score(matrix) - margins[name]
        if kind == data.WINDOW:
            counted = np.where(counted >= threshold, counted, -np.inf)
        np.maximum.at(best, owners, counted)
    return best


def margin_for(views, score, genuine, kind, threshold, allowed):
    """What a view of this kind must have more than the text itself, so that it makes at most the share
    `allowed` of the genuine texts scams that are none without it."""
    plain = score(views.of(data.NORMALISED)[0])
    matrix, owners = views.of(kind)
    best = np.full(views.texts, -np.inf)
    np.maximum.at(best, owners, score(matrix))
    candidates = genuine & (plain < threshold)
    excess = np.sort(best[candidates & np.isfinite(best)] - threshold)[::-1]
    tolerated = int(candidates.sum() * allowed)
    if len(excess) <= tolerated:
        return 0.0
    return max(0.0, float(np.ceil(excess[tolerated] * 20) / 20))


def probability(log_odds):
    return 1 / (1 + np.exp(-log_odds))


def logit(probability):
    return float(np.log(probability / (1 - probability)))
