"""Writes ../lexicon.txt: the words that obfuscated spellings are brought back to.

    python3 lexicon.py --data DIR > ../lexicon.txt

A word is in it that stands in several of the texts that may be learned from, the most frequent
first; `!` marks those that stand in scams much more often than elsewhere. The feature extractor is
compiled with this list: train anew after a change.
"""

import argparse
import math
import re
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import data

LONGEST = 16
# Rarer words are often names of people or misspellings.
LEAST_TEXTS = 4
MOST_WORDS = 12_000
# How much more often, in log-odds, a word that weighs must stand in scams, and in how many.
SALIENT = 0.8
LEAST_SCAMS = 6


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with merged/ and promo.tsv")
    given = parser.parse_args()

    rows = data.read(given.data / "merged" / "train.with_source.tsv").permitted()
    rows = rows + data.own_messages(8, 1)[0]
    inside = {0: Counter(), 1: Counter()}
    for label, text in zip(rows.labels, rows.texts):
        inside[int(label)].update(words_of(text))
    texts = {label: int((rows.labels == label).sum()) for label in (0, 1)}

    total = inside[0] + inside[1]
    known = [word for word, count in total.items() if count >= LEAST_TEXTS]
    known.sort(key=lambda word: (-total[word], word))
    for word in known[:MOST_WORDS]:
        odds = [math.log((inside[label][word] + 1) / (texts[label] + 2)) for label in (0, 1)]
        salient = len(word) >= 3 and inside[1][word] >= LEAST_SCAMS and odds[1] - odds[0] >= SALIENT
        print("!" + word if salient else word)
    print(f"{min(len(known), MOST_WORDS)} words", file=sys.stderr)


def words_of(text):
    plain = unicodedata.normalize("NFKD", text).lower()
    plain = "".join(letter for letter in plain if unicodedata.category(letter) != "Mn")
    plain = re.sub(r"\S*(://|www\.|@)\S*", " ", plain).replace("’", "'").replace("'", "")
    found = set(re.findall(r"(?<![\w])[a-z]{2,16}(?![\w])", plain))
    return found | {word for word in ("a", "i") if re.search(rf"\b{word}\b", plain)}


if __name__ == "__main__":
    main()
