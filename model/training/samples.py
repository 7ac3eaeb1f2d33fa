"""What is learned from: the rows, their disguised copies, and stretches of long texts."""

import random
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, vstack

import data
import disguises

SEED = 7
OWN_PER_TEMPLATE = 16
# Templates and advertising mail are many but alike: they count for less than messages people sent. Those of UCI are the only ones
# of private people; by this much they are heard beside the rest, in cross-validation and for the others. Banks' own messages are
# few, and a false alarm on one of them costs trust.
SOURCE_WEIGHT = {
    "bank_sms_finlight": 5.0,
    "portcullis_messages": 0.22,
    "promo_ots": 0.2,
    "promo_spamassassin": 0.1,
    "uci_sms": 33.0,
}
# There is no code but what the templates make, and much of what assistants are asked is code. Genuine notices of renewals, sign-ins,
# credits and offices, and polite calls and letters, are in no other source in any number either, and read most like scams.
GROUP_WEIGHT = {"own: ham/code": 10.0, "own: ham/notices": 3.0, "own: ham/courtesy": 2.0}
# Disguised copies, of so many scams and so many other texts.
COPIES, COPY_WEIGHT = 4000, 0.05
# Stretches of genuine texts, and stretches with a scam in them or beside it. These cost what is not buried: four times as much
# weight is .001 of AUC on the validation rows.
WINDOWS, WINDOW_WEIGHT = 10_000, 0.006
BURIED, BURIED_WEIGHT = 1500, 0.025
SHORT = range(20, 400)


@dataclass
class Samples:
    matrix: csr_matrix
    labels: np.ndarray
    weight: np.ndarray
    #: The row of the training data that a sample was made from.
    owners: np.ndarray

    def where(self, mask):
        return Samples(self.matrix[mask], self.labels[mask], self.weight[mask], self.owners[mask])

    def __add__(self, other):
        return Samples(
            vstack([self.matrix, other.matrix]).tocsr(),
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.weight, other.weight]),
            np.concatenate([self.owners, other.owners]),
        )


def plain(rows, views):
    """The rows themselves, in their normalised spelling."""
    weight = np.array([SOURCE_WEIGHT.get(source, 1.0) for source in rows.sources])
    weight *= [GROUP_WEIGHT.get(group, 1.0) for group in rows.groups]
    return Samples(views.of(data.NORMALISED)[0], rows.labels, weight, np.arange(len(rows)))


def disguised(rows, extractor, copies=COPIES):
    """Disguised copies of as many scams as other texts: a disguise alone is no sign of a scam."""
    dice = random.Random(SEED)
    chosen = []
    for label in (1, 0):
        fitting = [i for i, text in enumerate(rows.texts) if rows.labels[i] == label and len(text) in SHORT]
        chosen += dice.sample(fitting, min(copies, len(fitting)))
    texts = [
        disguises.LEARNED[number % len(disguises.LEARNED)](rows.texts[index], random.Random(f"{SEED}{index}"))
        for number, index in enumerate(chosen)
    ]
    views = data.features(extractor, texts)
    kept = np.flatnonzero(np.isin(views.kinds, [data.NORMALISED, data.RESPELLED]))
    owners = np.array(chosen)[views.owners[kept]]
    return Samples(views.matrix[kept], rows.labels[owners], np.full(len(kept), COPY_WEIGHT), owners)


def stretches(rows, views):
    """Windows of genuine texts."""
    matrix, owners = views.of(data.WINDOW)
    genuine = np.flatnonzero(rows.labels[owners] == 0)
    kept = np.sort(np.random.RandomState(SEED).permutation(genuine)[:WINDOWS])
    owners = owners[kept]
    weight = np.where(rows.kinds[owners] == "promo", WINDOW_WEIGHT / 3, WINDOW_WEIGHT)
    return Samples(matrix[kept], np.zeros(len(kept), dtype=int), weight, owners)


def buried(rows, extractor, count=BURIED):
    """Windows of scams in harmless prose: those that show most of the scam are scams, those that
    show nothing of it are not, and the others say nothing."""
    dice = random.Random(SEED)
    scams = [i for i, text in enumerate(rows.texts) if rows.labels[i] == 1 and len(text) in SHORT]
    prose = prose_of(rows)
    chosen = dice.sample(scams, min(count, len(scams)))
    texts, places = [], []
    for index in chosen:
        filler = ""
        while len(filler) < 1000:
            filler += dice.choice(prose) + " "
        before = dice.randrange(0, 600)
        texts.append(f"{filler[:before]} {rows.texts[index]} {filler[before:800]}")
        places.append((before + 1, before + 1 + len(rows.texts[index])))
    views = data.features(extractor, texts)
    matrix, owners = views.of(data.WINDOW)
    kept, labels = [], []
    number = 0
    for row, owner in enumerate(owners):
        number = number + 1 if row and owners[row - 1] == owner else 0
        start, end = places[owner]
        shown = max(0, min(number * 120 + 240, end) - max(number * 120, start))
        if shown >= min(0.7 * (end - start), 160):
            kept.append(row)
            labels.append(1)
        elif shown == 0 and number % 3 == 0:
            kept.append(row)
            labels.append(0)
    labels = np.array(labels)
    weight = np.where(labels == 1, BURIED_WEIGHT, BURIED_WEIGHT / 3)
    return Samples(matrix[kept], labels, weight, np.array(chosen)[owners[kept]])


def prose_of(rows):
    harmless = np.isin(rows.sources, ["prompts_train", "spamassassin_ham"]) & (rows.labels == 0)
    return [text for text, fits in zip(rows.texts, harmless) if fits and 60 < len(text) < 600]
