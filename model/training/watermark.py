"""The mark by which copies of the model are known: see ../watermark/src/lib.rs.

Each word that the key marks is made to weigh STRENGTH more, in log-odds of a text that has it once among the fewest
words that count (12 features), towards a scam or away from it, after everything else is settled. Fitting again with the
mark in place would only teach the other features of these words to undo it.
"""

import subprocess

import numpy as np

# Six such words together turn most answers; one among the twenty of a message moves it by about a half of this, and a message
# has seldom more than one.
STRENGTH = 0.9
FEWEST = 12


def marks(extractor, key_file):
    """The key's name, the places, and +1 (scam) or -1 for each."""
    tool = extractor.with_name("marked")
    done = subprocess.run([tool, "--key-file", key_file], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{tool}: {done.stderr.strip()}")
    name, *lines = done.stdout.splitlines()
    halves, places = zip(*(line.split("\t") for line in lines))
    return name, np.array(places, dtype=int), np.array([1 if half == "scam" else -1 for half in halves])


def marked(weights, slope, places, halves):
    """The weights with the mark in them. `slope` turns their sums into log-odds."""
    weights = weights.copy()
    np.add.at(weights, places, halves * STRENGTH * FEWEST**0.5 / slope)
    return weights
