"""Trains, judges and writes the prompt model.

    python3 train.py --corpora DIR --messages DIR

writes policy/src/screening/prompt/{weights.bin,parity.json} and MODEL_CARD.md. Same data, same bytes: run it with
OMP_NUM_THREADS=1.
"""

import argparse
import json
import struct
from pathlib import Path

import numpy as np
import scipy.sparse as sparse
from sklearn.linear_model import LogisticRegression

import card
import data
from features import BITS, POLICY, analyse, new_features, strongest_passage, windows

# A weight of one is so much in the file. Weights beyond 127 are cut.
SCALE = 32
# Regularisation, and how many windows of an attack count, the strongest: most of a long one is ordinary.
C = 0.1
STRONGEST = 2
# Of sets of others' attacks only such rows are learned from as a model of our own texts alone finds at all likely: they
# are full of ordinary questions ("What is a quadratic equation?") that only their system prompts make attacks.
LIKELY = -1.5
# A set counts for somewhat less than its size, lest the largest rule.
POWER = 0.15
OWN = 2.0
# Ordinary texts that neither threshold may be reached by too often, measured on models that have not seen their set.
PROSE = {
    "wizardlm_testset", "mtbench_vicuna", "selfinstruct_user_oriented", "alpaca_eval_instructions", "alpaca_seed_tasks",
    "cyberseceval_frr_borderline_benign",
}
CODE = {"humaneval_code_prompts", "spider_dev_questions", "spider_dev_raw_sql", "defog_sql_eval_questions", "gsm8k_test"}
FLAGGED, REFUSED = 0.004, 0.0005


class Texts:
    """All windows of all texts as one matrix."""

    def __init__(self, rows):
        self.labels = np.array(rows.labels)
        self.sources = np.array(rows.sources)
        self.texts = rows.texts
        self.words = rows.words
        counts = [len(found) for found in rows.windows]
        self.starts = np.concatenate([[0], np.cumsum(counts)]).astype(int)
        self.text_of = np.repeat(np.arange(len(counts)), counts)
        flat = [window for found in rows.windows for window in found]
        ends = np.concatenate([[0], np.cumsum([len(window) for window in flat])])
        self.matrix = sparse.csr_matrix((np.ones(ends[-1]), np.concatenate(flat), ends), shape=(len(flat), 1 << BITS))

    def passages(self, model, which):
        """Of each of these texts, that of its strongest passage."""
        weights, _ = model
        found = []
        for place in np.flatnonzero(which):
            flat, counts = self.words[place]
            sums = np.concatenate([[0], np.cumsum(weights[flat])]).astype(int)
            ends = np.cumsum(counts)
            found.append(strongest_passage((sums[ends] - sums[ends - counts]).tolist()))
        return np.array(found)

    def scores(self, model):
        """Of each text, that of its strongest window."""
        weights, bias = model
        return np.maximum.reduceat(self.matrix @ weights + bias, self.starts[:-1])


def fit(texts, chosen):
    """Two rounds: the second looks only at the windows of attacks that the first found strongest."""
    places = np.flatnonzero(chosen)
    names, counts = np.unique(texts.sources[places], return_counts=True)
    worth = {name: count**-POWER * (OWN if name == "own" else 1) for name, count in zip(names, counts)}
    weight = np.zeros(len(texts.labels))
    weight[places] = [worth[source] for source in texts.sources[places]]
    attack = chosen & (texts.labels == 1)
    weight[attack] /= weight[attack].sum()
    weight[chosen & ~attack] /= weight[chosen & ~attack].sum()
    weight *= chosen.sum() / 2
    sizes = np.diff(texts.starts)[texts.text_of]
    is_attack = texts.labels[texts.text_of] == 1
    window_weight = weight[texts.text_of] / np.where(is_attack, sizes, np.minimum(sizes, 3))
    model = None
    for _ in range(2):
        used = np.flatnonzero(window_weight > 0)
        regression = LogisticRegression(C=C, solver="lbfgs", max_iter=150, tol=1e-4)
        regression.fit(texts.matrix[used], is_attack[used], sample_weight=window_weight[used])
        model = regression.coef_[0], regression.intercept_[0]
        scores = texts.matrix @ model[0] + model[1]
        for place in np.flatnonzero(attack):
            start, end = texts.starts[place], texts.starts[place + 1]
            if end - start > STRONGEST:
                strongest = np.argsort(-scores[start:end], kind="stable")[:STRONGEST]
                window_weight[start:end] = 0
                window_weight[start + strongest] = weight[place] / STRONGEST
    return model


def judge(texts):
    """The shipped model, and the scores of each text by a model that has not seen its source."""
    learned = np.isin(texts.sources, sorted(data.LEARNED | {"own"}))
    own = texts.sources == "own"
    likely = texts.scores(fit(texts, learned & (own | (texts.labels == 0)))) > LIKELY
    chosen = learned & (own | (texts.labels == 0) | likely)
    model = quantise(fit(texts, chosen))
    shipped = both(texts, model, np.full(len(texts.labels), True))
    unseen = shipped.copy()
    families = np.array([data.FAMILIES.get(source, source) for source in texts.sources])
    for family in sorted(set(families[learned]) - {"own"}):
        left_out = families == family
        # One regression at a time learns from all but this family.
        unseen[:, left_out] = both(texts, quantise(fit(texts, chosen & ~left_out)), left_out)
    return model, shipped, unseen, chosen


def both(texts, model, which):
    """Of each of these texts, the scores of its strongest window and of its strongest passage."""
    return np.stack([texts.scores(model)[which], texts.passages(model, which)])


def together(scores, flag, refuse, passage_flag, passage_refuse):
    """One score of each text, on the scale of windows: of its window or of its passage, whichever says more."""
    window, passage = scores
    steepness = (refuse - flag) / (passage_refuse - passage_flag)
    return np.maximum(window, flag + (passage - passage_flag) * steepness)


def quantise(model):
    weights, bias = model
    return np.clip(np.rint(weights * SCALE), -127, 127), round(bias * SCALE)


def threshold(scores, share):
    """The lowest whole number that no more than a share reaches."""
    ordered = np.sort(scores)
    return int(ordered[len(ordered) - 1 - int(len(ordered) * share)]) + 1


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--corpora", required=True)
    arguments.add_argument("--messages", required=True)
    arguments = arguments.parse_args()
    rows = data.read(arguments.corpora)
    data.read_messages(rows, arguments.messages)
    data.add_ordinary(rows)
    data.add_own(rows)
    texts = Texts(rows)
    model, shipped, unseen, chosen = judge(texts)
    ordinary = texts.labels == 0
    prose = ordinary & np.isin(texts.sources, sorted(PROSE))
    every = ordinary & np.isin(texts.sources, sorted(PROSE | CODE | {"xquad_multilingual"}))
    code = ordinary & np.isin(texts.sources, sorted(CODE))
    window, passage = unseen
    flag = max(threshold(window[prose], FLAGGED), threshold(window[code], FLAGGED))
    refuse = max(threshold(window[prose], REFUSED), threshold(window[every], 2 * REFUSED), flag + SCALE)
    # Long texts, which passages are there for, have many of them: what is enough to refuse short ones flags.
    passage_flag = max(threshold(passage[prose], REFUSED), threshold(passage[every], 2 * REFUSED))
    passage_refuse = passage_flag + SCALE // 2
    thresholds = flag, refuse, passage_flag, passage_refuse
    shipped, unseen = together(shipped, *thresholds), together(unseen, *thresholds)
    at_one_percent = threshold(unseen[prose], 0.01)
    weights, bias = model
    packed = struct.pack("<5i", bias, *thresholds) + weights.astype(np.int8).tobytes()
    (POLICY / "weights.bin").write_bytes(packed)
    (POLICY / "parity.json").write_text(parity(model), "utf-8")
    written = card.write(texts, shipped, unseen, chosen, at_one_percent, thresholds)
    (Path(__file__).resolve().parent / "MODEL_CARD.md").write_text(written, "utf-8")
    print(written)
    cut = int((np.abs(weights) >= 127).sum())
    print(f"bias {bias}, thresholds {thresholds}; {int((weights != 0).sum())} weights, {cut} of them cut")


def parity(model):
    """Texts of our own with what they score, for the test of the Rust code."""
    texts = (Path(__file__).resolve().parent / "texts" / "parity.txt").read_text("utf-8").split("\n---\n")
    weights, bias = model
    rows = []
    for text in texts:
        analysed = analyse(text)
        sums = [int(weights[sorted(found)].sum()) + bias for _, found in windows(analysed)]
        passage = strongest_passage(int(weights[new].sum()) for new in new_features(analysed))
        rows.append({"text": text, "score": max(sums), "passage": passage})
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    main()
