"""Ordinary text that comes with pinned packages: prose on code (docstrings, BSD), words of many
languages (Faker, MIT), and what a program says to its users in many languages (Django, BSD)."""

import ast
import gettext
import random
import re
from pathlib import Path

import django
import numpy
import scipy
import sklearn
from faker import Faker

LOCALES = (
    "ar_AA az_AZ bn_BD cs_CZ da_DK de_AT de_DE el_GR en_US es_ES es_MX fa_IR fr_FR he_IL hy_AM it_IT ja_JP la nl_BE nl_NL "
    "pl_PL ru_RU th_TH tl_PH uk_UA vi_VN zh_CN zh_TW mk_MK"
).split()

PLACEHOLDER = re.compile(r"%(\(\w+\))?[sd]|\{\w*\}")


def docstrings(count, seed=11):
    found = []
    for package in (numpy, scipy, sklearn):
        for path in sorted(Path(package.__file__).parent.rglob("*.py")):
            if "tests" in path.parts:
                continue
            try:
                tree = ast.parse(path.read_text("utf-8"))
            except (SyntaxError, UnicodeDecodeError):
                continue
            for node in ast.walk(tree):
                if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)):
                    text = ast.get_docstring(node)
                    if text and len(text) > 60:
                        found.append(text[:3000])
    return random.Random(seed).sample(sorted(set(found)), count)


def languages(count, seed=13):
    found = []
    for locale in LOCALES:
        faker = Faker(locale)
        faker.seed_instance(seed)
        for index in range(count):
            found.append(faker.paragraph(nb_sentences=1 + index % 6))
    return found


def translations(count, seed=17):
    """What Django (BSD) says to its users, in all its languages; a few messages together make a text."""
    chance = random.Random(seed)
    found = []
    catalogues = {}
    for path in sorted(Path(django.__file__).parent.rglob("LC_MESSAGES/*.mo")):
        with path.open("rb") as file:
            catalogue = gettext.GNUTranslations(file)._catalog
        messages = [text for text in catalogue.values() if isinstance(text, str) and " " in text.strip() and "Project-Id" not in text]
        catalogues.setdefault(path.parent.parent.name, set()).update(messages)
    for language in sorted(catalogues):
        messages = sorted(catalogues[language])
        for index in range(min(count, len(messages))):
            chosen = chance.sample(messages, min(len(messages), 1 + index % 5))
            found.append(" ".join(PLACEHOLDER.sub("7", text) for text in chosen))
    return found
