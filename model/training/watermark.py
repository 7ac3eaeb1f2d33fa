"""A mark in the weights that only those who hold a key can find.

From the key come, by HMAC-SHA-256 in counter mode, MARKS places in the table and a bit for each. The
lowest bit of the step at such a place is made that bit, by one step towards zero: less than rounding
does anyway. In a table without the mark half of the bits agree; that all of them do has a chance of
2 to the power of -MARKS, and copies that were pruned or trained on still agree far more often.

Block n (from 0) is HMAC(key, "portcullis-watermark-1" + n as 32 bits, little-endian); it is read as
eight 32-bit words, little-endian. A word's lowest bit is the bit, the bits above it modulo the size
of the table the place. A place that came before is passed over.
"""

import hashlib
import hmac

import numpy as np

MARKS = 1024
SHORTEST_KEY = 32


def read_key(path):
    key = path.read_bytes().strip()
    if len(key) < SHORTEST_KEY:
        raise SystemExit(f"{path}: expected a key of at least {SHORTEST_KEY} bytes, found {len(key)}")
    return key


def marked(table, key):
    """The table with the mark of the key in it."""
    table = table.copy()
    for place, bit in places(key, len(table)).items():
        value = int(table[place])
        if value & 1 != bit:
            table[place] = value - (1 if value > 0 else -1)
    return table


def agreement(table, key):
    """The share of the marks that are in a table."""
    found = places(key, len(table))
    return float(np.mean([int(table[place]) & 1 == bit for place, bit in found.items()]))


def places(key, size):
    found, block = {}, 0
    while len(found) < MARKS:
        digest = hmac.new(key, b"portcullis-watermark-1" + block.to_bytes(4, "little"), hashlib.sha256).digest()
        block += 1
        for at in range(0, len(digest), 4):
            word = int.from_bytes(digest[at : at + 4], "little")
            if len(found) < MARKS:
                found.setdefault((word >> 1) % size, word & 1)
    return found
