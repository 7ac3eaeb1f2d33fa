"""Reads the data sets and has the product's own code turn them into features."""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

import messages

BUCKETS = 1 << 17

# The kinds of view that the feature extractor writes (`View` in src/features.rs).
NORMALISED, WRITTEN, RESPELLED, WINDOW = range(4)
# Those that a text need not have, by the name of their margin in model.json.
KINDS = {"written": WRITTEN, "respelled": RESPELLED, "window": WINDOW}

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
    """Texts with their labels (1 scam, 0 not), sources, and groups.

    A group is what is left out at once when a model is measured on what it has not seen: a source,
    or the project's own templates on one subject. `kinds` are rows of advertising ("promo") and, of
    the project's own messages, the category of the template.
    """

    labels: np.ndarray
    texts: list
    sources: np.ndarray
    groups: np.ndarray
    kinds: np.ndarray

    def __len__(self):
        return len(self.texts)

    def where(self, mask):
        mask = np.asarray(mask)
        texts = [text for text, kept in zip(self.texts, mask) if kept]
        return Rows(self.labels[mask], texts, self.sources[mask], self.groups[mask], self.kinds[mask])

    def permitted(self):
        return self.where(np.isin(self.sources, sorted(TRAINING_SOURCES)))

    def not_permitted(self):
        return self.where(~np.isin(self.sources, sorted(TRAINING_SOURCES)))

    def with_texts(self, texts):
        return Rows(self.labels, texts, self.sources, self.groups, self.kinds)

    def __add__(self, other):
        return Rows(
            np.concatenate([self.labels, other.labels]),
            self.texts + other.texts,
            np.concatenate([self.sources, other.sources]),
            np.concatenate([self.groups, other.groups]),
            np.concatenate([self.kinds, other.kinds]),
        )


def make(rows):
    """From (label, text, source, group, kind)."""
    labels, texts, sources, groups, kinds = zip(*rows)
    return Rows(
        np.array([1 if label == "scam" else 0 for label in labels]),
        list(texts),
        np.array(sources, dtype=object),
        np.array(groups, dtype=object),
        np.array(kinds, dtype=object),
    )


def read(path):
    """Reads `label<TAB>text<TAB>source`; `promo` counts as not scam."""
    rows = []
    for number, line in enumerate(Path(path).read_text("utf-8").split("\n"), 1):
        if not line:
            continue
        fields = line.rstrip("\r").split("\t")
        if len(fields) < 3 or fields[0] not in ("scam", "ham", "promo"):
            raise SystemExit(f"{path}:{number}: expected scam, ham or promo, a tab, the text, a tab, and the source")
        label, text, source = fields[:3]
        rows.append((label, text, source, source, "promo" if label == "promo" else ""))
    return make(rows)


def own_messages(per_template, seed):
    """The project's own messages; also the id of each one's template."""
    written = list(messages.written(per_template, seed))
    rows = make(
        (each.label, each.text, "portcullis_messages", f"own: {each.template.rpartition('/')[0]}", each.category)
        for each in written
    )
    return rows, np.array([each.template for each in written], dtype=object)


def fraction(text, salt):
    """A number in [0, 1) that depends on the text alone: a split that survives reordering."""
    digest = hashlib.sha256(f"{salt}\0{text}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


@dataclass
class Views:
    """The views of texts: a feature row for each, its kind, and the number of its text."""

    matrix: csr_matrix
    kinds: np.ndarray
    owners: np.ndarray
    texts: int

    def of(self, kind):
        """The feature rows of one kind, and the numbers of their texts."""
        chosen = np.flatnonzero(self.kinds == kind)
        return self.matrix[chosen], self.owners[chosen]


def features(extractor, texts):
    """All views of the texts; each has exactly one NORMALISED view, in the order of the texts."""
    words = np.frombuffer(run([extractor], texts), dtype="<u4")
    floats = words.view("<f4")
    kinds, owners, rows = [], [], []
    at = 0
    for index in range(len(texts)):
        views = int(words[at])
        at += 1
        for _ in range(views):
            kind, count = int(words[at]), int(words[at + 1])
            at += 2
            rows.append((words[at : at + count], floats[at + count : at + 2 * count]))
            at += 2 * count
            kinds.append(kind)
            owners.append(index)
    return Views(sparse(rows), np.array(kinds), np.array(owners, dtype=int), len(texts))


def assessments(extractor, model, texts):
    """What the product's own code says of the texts with a model file: the probabilities, and how
    each text is adversarial (`-` where it is not)."""
    lines = run([extractor, "--model", str(model)], texts).decode().splitlines()
    fields = [line.split("\t") for line in lines]
    return np.array([float(field[0]) for field in fields]), np.array([field[1] for field in fields], dtype=object)


def run(command, texts):
    lines = "".join(f"-\t{clean(text)}\n" for text in texts)
    done = subprocess.run(command, input=lines.encode("utf-8", "replace"), capture_output=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]}: {done.stderr.decode().strip()}")
    return done.stdout


def clean(text):
    return text.replace("\t", " ").replace("\n", " ").replace("\r", " ")


def sparse(rows):
    lengths = [len(ids) for ids, _ in rows]
    pointers = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = np.concatenate([ids for ids, _ in rows]) if rows else np.zeros(0)
    values = np.concatenate([values for _, values in rows]) if rows else np.zeros(0)
    return csr_matrix((values.astype(np.float32), ids.astype(np.int32), pointers), shape=(len(rows), BUCKETS))
