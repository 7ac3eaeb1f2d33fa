"""Texts as they arrive after others have handled them: words in their base forms, marks lost, an end missing.

Reports of scams pass through recognition of screenshots, through tools that bring words to their base forms, through
fields that are too short; and many who write English as a foreign language write like that in the first place. Scams and
other texts wear out alike, so both are copied.
"""

import re

IRREGULAR = {
    "is": "be", "are": "be", "was": "be", "were": "be", "been": "be", "being": "be", "am": "be", "has": "have", "had": "have",
    "having": "have", "does": "do", "did": "do", "done": "do", "sent": "send", "got": "get", "won": "win", "paid": "pay",
    "bought": "buy", "made": "make", "making": "make", "held": "hold", "lost": "lose", "went": "go", "gone": "go", "came": "come",
    "took": "take", "taken": "take", "gave": "give", "given": "give", "said": "say", "told": "tell", "left": "leave",
    "found": "find", "spent": "spend", "chosen": "choose", "chose": "choose", "thought": "think", "knew": "know", "known": "know",
    "saw": "see", "seen": "see", "wrote": "write", "written": "write", "stolen": "steal", "frozen": "freeze",
    "children": "child", "men": "man", "women": "woman", "won't": "will not", "can't": "can not", "don't": "do not",
    "didn't": "do not", "isn't": "be not", "it's": "it be", "i'm": "i be", "you're": "you be", "we're": "we be",
    "you've": "you have", "we've": "we have",
}  # fmt: skip
WORD = re.compile(r"[A-Za-z][A-Za-z'’]*")
# What is left of a link, an address or a number without its marks would be another one.
WHOLE = re.compile(r"://|www\.|@|\w\.\w|\d")
# Behind these a silent e is missing once the ending is gone: "receiv", "updat", "charg".
WANTS_E = tuple("at iv uir ir v u c dg ng rg rs ur id ev ag iz is as us in ar os et ut".split())
WANTS_NONE = tuple("ain een oin ear air ait eat oat ner".split())


def base_forms(text, dice):
    """Without endings and marks. Crude, as such tools are."""
    words = []
    for chunk in text.split(" "):
        if WHOLE.search(chunk):
            words.append(chunk.rstrip(".,!?;:"))
        else:
            letters = re.sub(r"[^\w' -]", " ", chunk.replace("’", "'"))
            words += WORD.sub(lambda word: base(word.group()), letters).split()
    return " ".join(word for word in words if word)


def base(word):
    lower = word.lower()
    if lower in IRREGULAR:
        form = IRREGULAR[lower]
    elif len(lower) > 5 and lower.endswith("ing") and re.search("[aeiouy]", lower[:-3]):
        form = stem(lower[:-3])
    elif len(lower) > 4 and lower.endswith(("ied", "ies")):
        form = lower[:-3] + "y"
    elif len(lower) > 4 and lower.endswith("ed") and re.search("[aeiouy]", lower[:-2]):
        form = stem(lower[:-2])
    elif len(lower) > 4 and lower.endswith(("ches", "shes", "xes", "sses")):
        form = lower[:-2]
    elif len(lower) > 3 and lower.endswith("s") and not lower.endswith(("ss", "us", "is", "as")):
        form = lower[:-1]
    else:
        return word
    return form.capitalize() if word[0].isupper() else form


def stem(rest):
    if len(rest) > 2 and rest[-1] == rest[-2] and rest[-1] not in "lsz":
        return rest[:-1]
    return rest + "e" if rest.endswith(WANTS_E) and not rest.endswith(WANTS_NONE) else rest


def cut(text, dice):
    """Without the end, or without the beginning."""
    words = text.split(" ")
    if len(words) < 8:
        return text
    kept = dice.randint(max(5, len(words) * 2 // 5), len(words) - 1)
    return " ".join(words[:kept] if dice.random() < 0.65 else words[-kept:])


def base_forms_cut(text, dice):
    return cut(base_forms(text, dice), dice)


WAYS = [base_forms, cut, base_forms_cut]
