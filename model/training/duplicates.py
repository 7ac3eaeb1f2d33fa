"""Near-duplicates in the training data, and those whose labels contradict one another.

A row that says the opposite of its near-duplicates is either a mistake or was put there to make a
wording pass: both are worth a look before a model is shipped. MinHash over character 5-shingles
with locality-sensitive hashing (Broder 1997); candidates are checked by their exact Jaccard index.
"""

import re
import unicodedata
import zlib
from collections import defaultdict

import numpy as np

SHINGLE = 5
BANDS, ROWS_IN_BAND = 16, 4
SIMILAR = 0.7
# A bucket with more rows than this is a template: it is compared to its first ones.
WIDEST = 60
PRIME = (1 << 31) - 1


def conflicts(rows):
    """Pairs of near-duplicates with different labels, as (row, row, similarity)."""
    shingles = [shingles_of(text) for text in rows.texts]
    signatures = signatures_of(shingles)
    pairs = set()
    for band in range(BANDS):
        buckets = defaultdict(list)
        part = signatures[:, band * ROWS_IN_BAND : (band + 1) * ROWS_IN_BAND]
        for index, key in enumerate(map(bytes, np.ascontiguousarray(part))):
            buckets[key].append(index)
        for inside in buckets.values():
            if len(inside) > 1 and len(set(rows.labels[inside])) > 1:
                scams = [index for index in inside if rows.labels[index] == 1][:WIDEST]
                others = [index for index in inside if rows.labels[index] == 0][:WIDEST]
                pairs.update((scam, other) for scam in scams for other in others)
    found = []
    for scam, other in sorted(pairs):
        first, second = shingles[scam], shingles[other]
        similarity = len(first & second) / max(len(first | second), 1)
        if similarity >= SIMILAR:
            found.append((scam, other, similarity))
    return found


def shingles_of(text):
    plain = unicodedata.normalize("NFKC", text).lower()
    plain = re.sub(r"(https?://|www\.)\S+", "u", plain)
    plain = re.sub(r"\d+", "0", plain)
    plain = re.sub(r"\W+", " ", plain).strip()
    encoded = plain[:2000].encode()
    return frozenset(zlib.crc32(encoded[at : at + SHINGLE]) for at in range(max(1, len(encoded) - SHINGLE + 1)))


def signatures_of(shingles):
    dice = np.random.RandomState(1)
    count = BANDS * ROWS_IN_BAND
    factor = dice.randint(1, PRIME, count).astype(np.uint64)
    summand = dice.randint(0, PRIME, count).astype(np.uint64)
    signatures = np.zeros((len(shingles), count), dtype=np.uint32)
    for index, inside in enumerate(shingles):
        values = (np.fromiter(inside, dtype=np.uint64, count=len(inside)) % np.uint64(PRIME))[:, None]
        signatures[index] = ((values * factor + summand) % np.uint64(PRIME)).min(axis=0)
    return signatures
