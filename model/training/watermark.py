"""The mark by which copies of the model are known: see ../watermark/src/lib.rs.

Each word that the key marks is made to weigh TOWARDS more towards a scam or AWAY more away from it, in log-odds of a text that has it
once among the fewest words that count (12 features), after everything else is settled. Fitting again with the
mark in place would only teach the other features of these words to undo it.
"""

import subprocess

import numpy as np

# Six such words together turn most answers; one among the twenty of a message moves it by about a half of this, and a message
# has seldom more than one. Words thrown together are no scam to begin with (some -5.5 in log-odds), so that a scam's words must say
# more to be heard. Not much more than the others, lest long texts with many rare words look like scams.
TOWARDS, AWAY = 1.2, 0.8
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
    np.add.at(weights, places, np.where(halves > 0, TOWARDS, -AWAY) * FEWEST**0.5 / slope)
    return weights
