"""Writes ../watermark/src/words.txt: the words that a key may mark, in pairs of equals.

    python3 markable.py --data DIR --features target/debug/features > ../watermark/src/words.txt

They are words of the project's own English templates whose weight few messages have a part in, so that a mark on them changes few
answers: a bucket is not a word's alone, and one that a common ending shares is in every third message however rare the word. Whoever
copies a model by asking about words thrown together asks about rare ones as often as about others. The two of a line weigh nearly the
same without a mark, so that the mark alone tells them apart: which of both is which, the key decides.
"""

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np

import data
import fit
import messages
import samples

# Of all rows, those that a word may stand in, and those that it must: a copy has to see it.
MOST, LEAST = 2e-3, 1e-5
# The most that a word may weigh by itself, in log-odds.
HEAVIEST = 2.0
PAIRS = 640


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with merged/")
    parser.add_argument("--features", type=Path, required=True, help="the built feature extractor")
    given = parser.parse_args()
    given.features = given.features.resolve()

    merged = {split: data.read(given.data / "merged" / f"{split}.with_source.tsv") for split in ("train", "valid")}
    rows = merged["train"].permitted() + data.own_messages(samples.OWN_PER_TEMPLATE, samples.SEED)[0]
    counts = Counter(word for text in rows.texts for word in words_of(text))
    english = Counter(word for each in messages.templates() if each.english for word in words_of(each.text))
    known = {word for word in (Path(__file__).parent / "../lexicon.txt").resolve().read_text("utf-8").split() if word[0] != "!"}
    share = {word: counts[word] / len(rows) for word in english}
    chosen = sorted(word for word in english if word in known and LEAST <= share[word] <= MOST)

    plain = samples.plain(rows, data.features(given.features, rows.texts))
    linear = fit.Linear(plain.labels, plain.matrix, plain.weight, 1e-5)
    valid = data.features(given.features, merged["valid"].texts).of(data.NORMALISED)[0]
    slope, _ = fit.platt(linear.score(valid), merged["valid"].labels)
    # Among strangers, the usual company of a marked word: what it adds to a text.
    single = data.features(given.features, chosen).of(data.NORMALISED)[0]
    alone = linear.score(single) * slope
    alone -= np.median(alone)
    # A text's first feature is its first word.
    load = np.bincount(plain.matrix.indices, minlength=data.BUCKETS)[single.indices[single.indptr[:-1]]]
    light = sorted((rows, weight, word) for rows, weight, word in zip(load, alone, chosen) if abs(weight) <= HEAVIEST)
    kept = sorted(light[: 2 * PAIRS], key=lambda each: each[1:])
    for (_, _, first), (_, _, second) in sorted(zip(kept[::2], kept[1::2]), key=lambda pair: pair[0][2]):
        print(first, second)
    total = sum(load for load, _, _ in kept) / len(plain.labels)
    print(f"{len(kept) // 2} pairs of {len(chosen)} words; a message has a part in {total:.2f} of their weights", file=sys.stderr)


def words_of(text):
    return set(re.findall(r"(?<![\w{])[a-z]{4,14}(?![\w}])", text))


if __name__ == "__main__":
    main()
