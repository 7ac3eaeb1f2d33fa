"""What to expect of texts from elsewhere: models that have not seen a source, or a kind of template.

Each source that is learned from is left out by itself. The project's own templates are left out in
FOLDS parts: all templates on a subject are in one part, but those in other languages, of which each
template is by itself. These models learn from the plain rows alone, without copies and stretches.

The UCI messages are also left out in parts, for their own cross-validation, by which the threshold is chosen: these models
learn from all that the shipped one learns from, except the messages of the part and the copies of them.
"""

from dataclasses import dataclass

import numpy as np

import data
import fit
import slices

FOLDS = 6
SMS_FOLDS = 5
# Coarser than that of the shipped model: there are some twenty of these.
TOLERANCE = 1e-4
OWN = "portcullis_messages"


@dataclass
class Outcome:
    """Scores by models that have not seen the row, before calibration."""

    rows: data.Rows
    #: NaN where no model left the row out.
    by_group: np.ndarray
    by_fold: np.ndarray
    influence: dict

    def sms(self, slope, offset):
        """Labels and log-odds of the UCI messages in cross-validation."""
        seen = np.isfinite(self.by_fold)
        return self.rows.labels[seen], self.by_fold[seen] * slope + offset

    def mark(self, matrix, change):
        """Marks the models that were fitted without a part of the SMS as the shipped one is marked, which changes its weights so:
        else the threshold would be chosen for another. `matrix` are the features of the rows."""
        self.by_fold += matrix @ change

    def sms_scores(self, slope, offset):
        labels, log_odds = self.sms(slope, offset)
        return labels, fit.probability(log_odds)

    def figures(self, slope, offset, threshold):
        return Figures(self, fit.probability(self.by_group * slope + offset), threshold)


class Figures:
    """Quality on what was left out, by group, all together, and by language."""

    def __init__(self, outcome, scores, threshold):
        rows = outcome.rows
        self.influence = outcome.influence
        own = rows.sources == OWN
        quality = lambda mask: slices.quality(rows.labels[mask], scores[mask], threshold)
        self.groups = {group: quality(rows.groups == group) for group in sorted(set(rows.groups))}
        genuine = rows.kinds != "promo"
        self.together = {
            "all that was left out, without advertising": quality(genuine),
            "sources of others": quality(genuine & ~own),
            "own templates": quality(genuine & own),
        }
        languages = {}
        other = np.char.endswith(rows.groups.astype(str), "languages") & genuine
        for kind in sorted(set(rows.kinds[other])):
            languages[kind] = quality(other & (rows.kinds == kind))
        languages["en"] = quality(own & genuine & ~other)
        self.languages = languages
        self.curve = (rows.labels[genuine], scores[genuine])


def run(rows, plain, everything, templates, validation, say):
    """`plain` are samples of the rows, in their order; `everything` are these and the copies and stretches."""
    own = rows.sources == OWN
    parts = {}
    for source in sorted(set(rows.sources) - {OWN}):
        parts[f"without {source}"] = rows.sources == source
    key = [
        template if group.endswith("languages") else group for template, group in zip(templates, rows.groups)
    ]
    fold = np.array([int(data.fraction(each, "left out") * FOLDS) for each in key])
    for number in range(FOLDS):
        parts[f"without part {number + 1} of the own templates"] = own & (fold == number)
    sms = rows.sources == "uci_sms"
    sms_fold = np.array([int(data.fraction(text, "sms") * SMS_FOLDS) for text in rows.texts])

    in_valid = validation.views.of(data.NORMALISED)[0][validation.is_valid]
    labels = validation.rows.labels[validation.is_valid]
    losses = {}
    by_group, by_fold = np.full(len(rows), np.nan), np.full(len(rows), np.nan)

    def without(mask):
        return fit.Linear(plain.labels[~mask], plain.matrix[~mask], plain.weight[~mask], TOLERANCE)

    def loss(model):
        scores = model.score(in_valid)
        slope, offset = fit.platt(scores, labels)
        log_odds = scores * slope + offset
        return float(np.mean(np.logaddexp(0, log_odds) - labels * log_odds))

    base = loss(without(np.zeros(len(rows), dtype=bool)))
    for number, (name, mask) in enumerate(parts.items(), 1):
        model = without(mask)
        by_group[mask] = model.score(plain.matrix[mask])
        losses[name] = loss(model) - base
        say(f"  {number} of {len(parts) + SMS_FOLDS}: {name}")
    for number in range(SMS_FOLDS):
        mask = sms & (sms_fold == number)
        others = everything.where(~mask[everything.owners])
        by_fold[mask] = fit.Linear(others.labels, others.matrix, others.weight).score(plain.matrix[mask])
        say(f"  {len(parts) + number + 1} of {len(parts) + SMS_FOLDS}: without part {number + 1} of the SMS")
    return Outcome(rows, by_group, by_fold, {"held-out loss of all": base} | losses)
