"""Reads the data sets and has the product's own code turn them into features."""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from messages import messages

BUCKETS = 1 << 16

# Only these sources may train the shipped weights: their licences are clear and permissive
# (CC BY 4.0, MIT, Apache-2.0, PDDL/CC0, own work). Everything else only measures.
TRAINING_SOURCES = {
    "uci_sms",
    "mendeley_smishing",
    "ots_synthetic",
    "ots_subset",
    "spamassassin_ham",
    "spamassassin_419",
    "bank_sms_finlight",
    "prompts_train",
    "synthetic_templates",
    "promo_ots",
    "promo_spamassassin",
    "portcullis_messages",
}


@dataclass
class Rows:
    """Texts with their labels (1 scam, 0 not) and sources."""

    labels: np.ndarray
    texts: list
    sources: np.ndarray

    def __len__(self):
        return len(self.texts)

    def where(self, mask):
        mask = np.asarray(mask)
        return Rows(self.labels[mask], [text for text, kept in zip(self.texts, mask) if kept], self.sources[mask])

    def permitted(self):
        return self.where(np.isin(self.sources, sorted(TRAINING_SOURCES)))

    def __add__(self, other):
        return Rows(
            np.concatenate([self.labels, other.labels]),
            self.texts + other.texts,
            np.concatenate([self.sources, other.sources]),
        )


def make(rows):
    labels, texts, sources = zip(*rows)
    return Rows(
        np.array([1 if label == "scam" else 0 for label in labels]),
        list(texts),
        np.array(sources, dtype=object),
    )


def read(path, source=None):
    """Reads `label<TAB>text[<TAB>source]`; `promo` counts as not scam."""
    rows = []
    for number, line in enumerate(Path(path).read_text("utf-8").split("\n"), 1):
        if not line:
            continue
        fields = line.rstrip("\r").split("\t")
        if len(fields) < 2 or fields[0] not in ("scam", "ham", "promo"):
            raise SystemExit(f"{path}:{number}: expected scam, ham or promo, a tab, and the text")
        rows.append((fields[0], fields[1], source or fields[2]))
    return make(rows)


def own_messages(per_template, seed):
    return make((label, text, "portcullis_messages") for label, text, _ in messages(per_template, seed))


def fraction(text, salt):
    """A number in [0, 1) that depends on the text alone: a split that survives reordering."""
    digest = hashlib.sha256(f"{salt}\0{text}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def features(extractor, texts):
    """The feature rows of each whole text, the rows of all windows, and each window's text."""
    lines = "".join(f"-\t{clean(text)}\n" for text in texts)
    done = subprocess.run([extractor], input=lines.encode("utf-8", "replace"), capture_output=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{extractor}: {done.stderr.decode().strip()}")
    words = np.frombuffer(done.stdout, dtype="<u4")
    floats = np.frombuffer(done.stdout, dtype="<f4")

    whole, windows, owner = [], [], []
    at = 0
    for index in range(len(texts)):
        segments = words[at]
        at += 1
        for segment in range(segments):
            count = int(words[at])
            at += 1
            row = (words[at : at + count], floats[at + count : at + 2 * count])
            at += 2 * count
            if segment == 0:
                whole.append(row)
            else:
                windows.append(row)
                owner.append(index)
    return sparse(whole), sparse(windows), np.array(owner, dtype=int)


def clean(text):
    return text.replace("\t", " ").replace("\n", " ").replace("\r", " ")


def sparse(rows):
    lengths = [len(ids) for ids, _ in rows]
    pointers = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = np.concatenate([ids for ids, _ in rows]) if rows else np.zeros(0)
    values = np.concatenate([values for _, values in rows]) if rows else np.zeros(0)
    return csr_matrix((values.astype(np.float64), ids.astype(np.int64), pointers), shape=(len(rows), BUCKETS))
