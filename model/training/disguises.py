"""Ways to write a message so that a filter does not read what a person reads.

Some make copies for training (`LEARNED`), all of them measure (`MEASURED`), on other texts.
"""

import random
import unicodedata

SEED = 7

CYRILLIC = dict(zip("aceopxyijsABCEHKMOPTXy", "асеорхуіјѕАВСЕНКМОРТХу"))
GREEK = dict(zip("aoveinpuxABEHIKMNOPTXYZ", "αονεινρυχΑΒΕΗΙΚΜΝΟΡΤΧΥΖ"))
MIXED = dict(zip("abcdeghijklmnopqrstuvwxyz", "ɑЬϲԁеɡһіјκⅼmոοрԛгѕтυνԝхуᴢ"))
LEET = dict(zip("oieastb", "0134578"))
LEET_SIGNS = dict(zip("aisolet", "@!$0|3+"))
MARKS = ["\u0301", "\u0300", "\u0308", "\u0303", "\u0304", "\u0327", "\u0336", "\u0332"]
HIDDEN = ["\u200b", "\u200c", "\u200d", "\u2060", "\u00ad", "\ufeff", "\u034f", "\ufe0f", "\U000e0061", "\U000e0101", "\u202c"]
NEIGHBOURS = {
    "q": "wa", "w": "qes", "e": "wrd", "r": "etf", "t": "ryg", "y": "tuh", "u": "yij", "i": "uok", "o": "ipl", "p": "ol",
    "a": "qsz", "s": "adwx", "d": "sfec", "f": "dgrv", "g": "fhtb", "h": "gjyn", "j": "hkum", "k": "jlim", "l": "kop",
    "z": "asx", "x": "zsdc", "c": "xdfv", "v": "cfgb", "b": "vghn", "n": "bhjm", "m": "njk",
}  # fmt: skip


def letters(text, share, dice, change):
    return "".join(change(letter) if letter.isalpha() and dice.random() < share else letter for letter in text)


def words(text, share, dice, change, shortest=4):
    """Changes some of the words of letters alone; links and numbers stay, or they would not work."""
    return " ".join(
        change(word) if len(word) >= shortest and word.strip(".,!?:").isalpha() and dice.random() < share else word
        for word in text.split(" ")
    )


def invisible(text, dice):
    return "".join(letter + (dice.choice(HIDDEN) if dice.random() < 0.3 else "") for letter in text)


def full_width(text, dice):
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text)


def mathematical(text, dice):
    start = dice.choice([0x1D400, 0x1D5D4, 0x1D670])
    return "".join(
        chr(start + ord(letter) - 65) if "A" <= letter <= "Z" else chr(start + 26 + ord(letter) - 97) if "a" <= letter <= "z" else letter
        for letter in text
    )


def any_case(text, dice):
    return dice.choice([str.upper, str.lower, str.swapcase, str.title])(text)


def diacritics(text, dice):
    return unicodedata.normalize("NFC", letters(text, 0.4, dice, lambda letter: letter + dice.choice(MARKS)))


def look_alikes(text, dice):
    table = dice.choice([CYRILLIC, CYRILLIC, GREEK, MIXED])
    return letters(text, 0.5, dice, lambda letter: table.get(letter, letter))


def spaced(text, dice):
    return words(text, 0.4, dice, " ".join)


def spaced_all(text, dice):
    return "  ".join(" ".join(word) for word in text.split(" "))


def split_words(text, dice):
    def split(word):
        place = dice.randrange(2, len(word) - 1)
        return f"{word[:place]} {word[place:]}"

    return words(text, 0.4, dice, split, 5)


def joined(text, dice):
    parts = text.split(" ")
    out = parts[0]
    for before, part in zip(parts, parts[1:]):
        plain = before.isalpha() and part.isalpha()
        out += ("" if plain and dice.random() < 0.5 else " ") + part
    return out


def joined_all(text, dice):
    return text.replace(" ", "")


def leet(text, dice):
    return words(text, 0.7, dice, lambda word: letters(word, 0.5, dice, lambda letter: LEET.get(letter.lower(), letter)), 3)


def leet_signs(text, dice):
    return words(text, 0.7, dice, lambda word: letters(word, 0.5, dice, lambda letter: LEET_SIGNS.get(letter.lower(), letter)), 3)


def punctuated(text, dice):
    mark = dice.choice(".-_*~")
    return words(text, 0.5, dice, lambda word: mark.join(word.rstrip(".,!?:")))


def hyphenated(text, dice):
    def split(word):
        place = dice.randrange(2, len(word) - 1)
        return word[:place] + dice.choice("-.'_/") + word[place:]

    return words(text, 0.5, dice, split, 5)


def mistyped(text, dice):
    def mistype(word):
        place = dice.randrange(1, len(word) - 1)
        kind = dice.randrange(4)
        if kind == 0:
            return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
        if kind == 1:
            return word[:place] + word[place + 1 :]
        if kind == 2:
            return word[:place] + word[place] + word[place:]
        near = NEIGHBOURS.get(word[place].lower(), word[place])
        return word[:place] + dice.choice(near) + word[place + 1 :]

    return words(text, 0.35, dice, mistype, 4)


def combined(text, dice):
    for change in dice.sample([leet, punctuated, mistyped, look_alikes, invisible, diacritics, any_case], 3):
        text = change(text, dice)
    return text


def buried(text, dice, prose):
    """In the middle of harmless sentences, 800 characters in all."""
    filler = ""
    while len(filler) < 900:
        filler += dice.choice(prose).strip() + " "
    before = dice.randrange(200, 600)
    return f"{filler[:before]} {text} {filler[before:800]}"


# Name to function and the least recall that is aimed at, relative to recall on the plain texts.
MEASURED = {
    "invisible characters": (invisible, 1.0),
    "full-width letters": (full_width, 1.0),
    "mathematical letters": (mathematical, 1.0),
    "case": (any_case, 1.0),
    "diacritics": (diacritics, 1.0),
    "look-alikes": (look_alikes, 0.95),
    "spaced words": (spaced, 0.95),
    "every word spaced": (spaced_all, 0.95),
    "split words": (split_words, 0.95),
    "joined words": (joined, 0.95),
    "all words joined": (joined_all, 0.95),
    "digits for letters": (leet, 0.90),
    "signs for letters": (leet_signs, 0.90),
    "marks between letters": (punctuated, 0.90),
    "marks in words": (hyphenated, 0.90),
    "typing mistakes": (mistyped, 0.85),
    "three at once": (combined, 0.85),
}
BURIED = "inside 800 characters of prose"
AIMS = {name: aim for name, (_, aim) in MEASURED.items()} | {BURIED: 0.75}
# Copies for training are made with these: what normalising does not undo completely.
LEARNED = [spaced, split_words, joined, joined_all, leet, leet_signs, punctuated, hyphenated, mistyped, combined, mistyped]


def changed(texts, change, salt=""):
    return [change(text, random.Random(f"{SEED}{salt}{index}")) for index, text in enumerate(texts)]
