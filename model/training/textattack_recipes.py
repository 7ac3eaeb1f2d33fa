"""Attacks the shipped model with recipes of TextAttack (Morris et al. 2020) that need no download.

    python3 -m venv DIR
    DIR/bin/pip install -r requirements-textattack.txt
    DIR/bin/pip install --no-deps textattack==0.3.11
    DIR/bin/python textattack_recipes.py --data DATA --features target/debug/features --model model

It attacks scams of the UCI test split that the model finds, with QUERIES questions each, once with the text's own view alone and once
with all views, and prints how many of them pass. The recipes see the exact probability, which is more than a gate that rounds it shows.

DeepWordBug (Gao et al. 2018) and Pruthi et al. (2019) are TextAttack's, but for the list of stop words, which it would download.
"TextBugger, letters" are those changes of Li et al. (2019) that need no word vectors, without its sentence encoder.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import MagicMock

# TextAttack downloads corpora when it is first used, unless it finds this note that it has done so.
CACHE = Path(tempfile.gettempdir()) / "portcullis-textattack"
CACHE.mkdir(exist_ok=True)
(CACHE / "post_install_check_3").touch()
os.environ["TA_CACHE_DIR"] = str(CACHE)

import nltk  # noqa: E402
import numpy as np  # noqa: E402
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS  # noqa: E402

import disguises  # noqa: E402


# Imported with TextAttack and not used by these recipes: taggers, similarity by a language model, data sets.
for name in ("bert_score", "datasets", "flair", "flair.data", "flair.models"):
    sys.modules[name] = MagicMock()


class StopWords:
    def words(self, _language):
        return sorted(ENGLISH_STOP_WORDS)


nltk.corpus.stopwords = StopWords()

import textattack  # noqa: E402
from textattack import Attack, transformations  # noqa: E402
from textattack.attack_recipes import DeepWordBugGao2018, Pruthi2019  # noqa: E402
from textattack.attack_results import SuccessfulAttackResult  # noqa: E402
from textattack.constraints.pre_transformation import RepeatModification, StopwordModification  # noqa: E402
from textattack.goal_functions import UntargetedClassification  # noqa: E402
from textattack.models.wrappers import ModelWrapper  # noqa: E402
from textattack.search_methods import GreedyWordSwapWIR  # noqa: E402

QUERIES = 500
SCAMS = 50
SEED = 7
SURE = 1e-7


class Detector(ModelWrapper):
    """The product's own code. Its threshold is moved to a half, which is where TextAttack has it."""

    def __init__(self, extractor, folder):
        self.command = [extractor, "--model", folder / "scam-detector.onnx"]
        threshold = json.loads((folder / "model.json").read_text("utf-8"))["threshold"]
        self.level = np.log(threshold / (1 - threshold))
        self.model = self

    def __call__(self, texts):
        lines = "".join("-\t" + " ".join(text.split()) + "\n" for text in texts)
        done = subprocess.run(self.command, input=lines.encode("utf-8", "replace"), capture_output=True, check=True)
        scam = np.array([float(line.split("\t")[0]) for line in done.stdout.decode().splitlines()])
        scam = np.clip(scam, SURE, 1 - SURE)
        scam = 1 / (1 + np.exp(self.level - np.log(scam / (1 - scam))))
        return np.stack([1 - scam, scam], axis=1)

    def finds(self, texts):
        return self(texts)[:, 1] >= 0.5


class LookAlikes(transformations.WordSwap):
    """Instead of TextAttack's own, whose table is not in its package."""

    def _get_replacement_words(self, word):
        places = [place for place, letter in enumerate(word) if letter in disguises.MIXED]
        return [word[:place] + disguises.MIXED[word[place]] + word[place + 1 :] for place in places]


def textbugger(detector):
    changes = transformations.CompositeTransformation([
        transformations.WordSwapRandomCharacterInsertion(random_one=True, letters_to_insert=" ", skip_first_char=True, skip_last_char=True),
        transformations.WordSwapRandomCharacterDeletion(random_one=True, skip_first_char=True, skip_last_char=True),
        transformations.WordSwapNeighboringCharacterSwap(random_one=True, skip_first_char=True, skip_last_char=True),
        LookAlikes(),
    ])  # fmt: skip
    constraints = [RepeatModification(), StopwordModification()]
    return Attack(UntargetedClassification(detector), constraints, changes, GreedyWordSwapWIR(wir_method="delete"))


RECIPES = {
    "DeepWordBug": DeepWordBugGao2018.build,
    "TextBugger, letters": textbugger,
    "Pruthi, one word": Pruthi2019.build,
}


def passed(recipe, detector, scams):
    """How many of the scams pass once the recipe has had its way with them."""
    random.seed(SEED)
    np.random.seed(SEED)
    attack = recipe(detector)
    attack.goal_function.query_budget = QUERIES
    results = [attack.attack(text, 1) for text in scams]
    return sum(isinstance(result, SuccessfulAttackResult) for result in results)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with sms/test.tsv")
    parser.add_argument("--features", type=Path, required=True, help="the built feature extractor")
    parser.add_argument("--model", type=Path, required=True, help="folder with scam-detector.onnx and model.json")
    given = parser.parse_args()
    given.features = given.features.resolve()

    rows = [line.split("\t") for line in (given.data / "sms" / "test.tsv").read_text("utf-8").splitlines()]
    scams = [row[1] for row in rows if row[0] == "scam"]
    facts = json.loads((given.model / "model.json").read_text("utf-8"))
    facts["margins"] = dict.fromkeys(facts["margins"], 1e9)
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder)
        (alone / "model.json").write_text(json.dumps(facts), "utf-8")
        (alone / "scam-detector.onnx").write_bytes((given.model / "scam-detector.onnx").read_bytes())
        views = {"the plain view alone": Detector(given.features, alone), "all views": Detector(given.features, given.model)}
        # What both find, so that both are asked about the same.
        found = np.logical_and.reduce([detector.finds(scams) for detector in views.values()])
        scams = [text for text, seen in zip(scams, found) if seen][:SCAMS]
        print(f"TextAttack {textattack_version()}, {len(scams)} scams, {QUERIES} questions each")
        for name, recipe in RECIPES.items():
            for view, detector in views.items():
                count = passed(recipe, detector, scams)
                print(f"{name}, {view}: {count} of {len(scams)} pass ({count / len(scams):.0%})", flush=True)


def textattack_version():
    from importlib.metadata import version

    return version(textattack.name)


if __name__ == "__main__":
    sys.exit(main())
