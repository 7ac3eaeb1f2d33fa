"""The project's own texts, attacks and ordinary ones, from templates with slots."""

import random
import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "texts"
INNERMOST = re.compile(r"\{([^{}]*)\}")


def lines(name):
    for line in (FOLDER / name).read_text("utf-8").splitlines():
        if line and not line.startswith("# "):
            yield line


def split_slots():
    slots = {}
    for line in lines("slots.txt"):
        name, pool = line.split(" = ", 1)
        slots[name] = "|".join(choice.strip() for choice in choices(pool))
    return slots


def choices(text):
    """Splits at the bars outside of braces."""
    parts, depth, part = [], 0, ""
    for character in text:
        depth += (character == "{") - (character == "}")
        if character == "|" and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += character
    return parts + [part]


def closing(text, start):
    depth = 0
    for position in range(start, len(text)):
        depth += (text[position] == "{") - (text[position] == "}")
        if depth == 0:
            return position
    return None


def fill(template, chance, extra=None):
    """One text of a template."""
    done, position = "", 0
    while position < len(template):
        character = template[position]
        end = closing(template, position) if character == "{" else None
        if end is None:
            done += character
            position += 1
            continue
        inner = template[position + 1 : end]
        pool = (extra or {}).get(inner) or SLOTS.get(inner)
        if pool is None and "|" not in inner and not re.search(r"\{|,$", inner):
            done += "{" + inner + "}"
        else:
            done += fill(chance.choice(choices(pool if pool is not None else inner)), chance, extra)
        position = end + 1
    return done


SLOTS = split_slots()


def sections(name):
    """{family: [(language, template)]}"""
    found, family, language = {}, None, "en"
    for line in lines(name):
        if line.startswith("@"):
            family, language = (line[1:].split() + ["en"])[:2]
        else:
            found.setdefault(family, []).append((language, line.replace("\\n", "\n")))
    return found


def sentence_case(text, chance):
    how = chance.random()
    if how < 0.5:
        return text[:1].upper() + text[1:]
    if how < 0.56:
        return text.upper()
    return text.lower() if how < 0.66 else text


def own_texts(seed=7, size=1.0):
    """[(label, text, family)]: label 1 for attacks."""
    chance = random.Random(seed)
    english, foreign = sections("attacks_en.txt"), sections("attacks_languages.txt")
    plain, plain_foreign = sections("benign_en.txt"), sections("benign_languages.txt")
    carriers = [line.replace("\\n", "\n") for line in lines("carriers.txt")]
    bodies = english.pop("harmreq")
    extra = {
        "harmreq": "|".join(template for _, template in bodies),
        "doc_q": "|".join(template for _, template in plain.pop("doc_q")),
    }
    rows = []

    def add(label, text, family):
        rows.append((label, text.strip(), family))

    def attack(pool):
        return sentence_case(fill(chance.choice(pool)[1], chance, extra), chance)

    for family, templates in english.items():
        for _, template in templates:
            for _ in range(round(14 * size)):
                add(1, sentence_case(fill(template, chance, extra), chance), family)
    for family, templates in foreign.items():
        for language, template in templates:
            for _ in range(round(18 * size)):
                add(1, fill(template, chance, extra), f"{family}-{language}")
    for family, templates in plain.items():
        for _, template in templates:
            for _ in range(round((90 if family == "words" else 26) * size)):
                add(0, sentence_case(fill(template, chance, extra), chance), family)
    for family, templates in plain_foreign.items():
        for language, template in templates:
            for _ in range(round(18 * size)):
                add(0, fill(template, chance, extra), f"{family}-{language}")
    # In documents: with an attack, and the same documents with ordinary sentences.
    everything = {family: pool for family, pool in english.items()}
    short = everything["override"] + everything["extraction"] + everything["indirect"] + everything["authority"]
    short += everything["delimiter"] + [row for pool in foreign.values() for row in pool]
    ordinary = [row for pool in plain.values() for row in pool]
    ordinary += [row for pool in plain_foreign.values() for row in pool]
    for _ in range(round(1400 * size)):
        add(1, fill(chance.choice(carriers), chance, extra).replace("<X>", attack(short)), "carried")
    for _ in range(round(2200 * size)):
        carrier = fill(chance.choice(carriers), chance, extra)
        sentence = " ".join(fill(chance.choice(ordinary)[1], chance, extra) for _ in range(chance.choice((1, 1, 2))))
        add(0, carrier.replace("<X>", sentence), "carried")
    # Long jailbreaks are many such sentences, long ordinary prompts as well.
    parts = [everything["role"], everything["role"], everything["refusal"], everything["framed"], everything["override"]]
    for _ in range(round(900 * size)):
        sentences = [attack(chance.choice(parts)) for _ in range(chance.randint(2, 7))]
        add(1, chance.choice((" ", " ", "\n", "\n\n")).join(sentences), "long")
    for _ in range(round(1200 * size)):
        sentences = [fill(chance.choice(plain["trigger"] + plain["plain"])[1], chance, extra) for _ in range(chance.randint(2, 6))]
        add(0, chance.choice((" ", " ", "\n", "\n\n")).join(sentences), "long")
    return rows


if __name__ == "__main__":
    import sys

    texts = own_texts()
    for label, text, family in random.Random(int(sys.argv[1]) if sys.argv[1:] else 1).sample(texts, 40):
        print(label, family, repr(text))
    print(len(texts), sum(label for label, _, _ in texts))
