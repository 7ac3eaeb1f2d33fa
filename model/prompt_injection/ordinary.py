"""Ordinary text that comes with pinned packages: prose on code (docstrings, BSD) and words of many languages (Faker, MIT)."""

import ast
import random
from pathlib import Path

import numpy
import scipy
import sklearn
from faker import Faker

LOCALES = (
    "ar_AA az_AZ bn_BD cs_CZ da_DK de_AT de_DE el_GR en_US es_ES es_MX fa_IR fr_FR he_IL hy_AM it_IT ja_JP la nl_BE nl_NL "
    "pl_PL ru_RU th_TH tl_PH uk_UA vi_VN zh_CN zh_TW mk_MK"
).split()


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
