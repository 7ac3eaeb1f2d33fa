"""From a text to the features of its windows: the same steps, bit for bit, as policy/src/screening/prompt.

Every constant here has a twin in the Rust code; `parity.json` keeps the two together.
"""

import unicodedata
from functools import lru_cache
from pathlib import Path

POLICY = Path(__file__).resolve().parents[2] / "policy" / "src" / "screening" / "prompt"
BITS = 16
WINDOW = 64
STRIDE = 32
# What each word takes from a passage.
DRIFT = 4
MASK = (1 << 64) - 1
FNV_OFFSET = 0xCBF29CE484222325
FNV_PRIME = 0x100000001B3
MIX = 0x9E3779B97F4A7C15
CHAIN = 0xD1342543DE82EF95
# What a feature is made of, so that a word and a pair of the same hash do not meet.
WORD, PAIR, TRIPLE, START, GAP, GAP_WORD, CLASS, CLASS_PAIR, CLASS_TRIPLE, TOGETHER, STEM = range(1, 12)
# How far apart two classes may be to be a pair, in words.
REACH = 6
STEM_LETTERS = 6


def fnv(text):
    value = FNV_OFFSET
    for byte in text.encode("utf-8"):
        value = ((value ^ byte) * FNV_PRIME) & MASK
    return value


def bucket(kind, value):
    """The weight that a feature has."""
    return (((value + kind * CHAIN) & MASK) * MIX & MASK) >> (64 - BITS)


def together(first, second):
    return bucket(TOGETHER, first * 64 + second)


# --- Folding ---------------------------------------------------------------------------------------------------

INVISIBLE = [
    (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0), (0xFFF9, 0xFFFB), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
]
PLAIN = [(0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3)]
# Scripts written without spaces, and Hangul whose endings hide the words: each character is a word.
DENSE = [
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
]


def within(ranges, code):
    return any(first <= code <= last for first, last in ranges)


def table(name):
    lines = (POLICY / name).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def lookalikes():
    """Letters that look like a Latin one: (always read as it, only in company of Latin)."""
    always, mixed = {}, {}
    for line in table("lookalikes.txt"):
        into, letters = line.split(":", 1)
        target = mixed if into.endswith("?") else always
        for letter in letters.split():
            target[letter] = into[0]
    return always, mixed


ALWAYS, MIXED = lookalikes()


@lru_cache(maxsize=None)
def fold_character(character):
    code = ord(character)
    if code < 0x80:
        return character.lower()
    if 0xE0020 <= code <= 0xE007E:
        return chr(code - 0xE0000).lower()
    for first in (0x1F150, 0x1F170):
        if first <= code < first + 26:
            return chr(code - first + ord("a"))
    if within(INVISIBLE, code):
        return ""
    if within(PLAIN, code):
        return character
    folded = ""
    for part in unicodedata.normalize("NFKD", character):
        if unicodedata.category(part).startswith("M"):
            continue
        lower = part.lower()
        folded += ALWAYS.get(part, ALWAYS.get(lower[0], lower))
    return folded


def fold(text):
    return "".join(fold_character(character) for character in text)


# --- Words -----------------------------------------------------------------------------------------------------

APOSTROPHES = "'\u2019"
ENDS = ".!?:;\n\"'([{<>*#-\u2022\u3002\uff01\uff1f\u300c\u201c\u00ab\u00bf\u00a1"
USUAL = ".,!?:;\"'()-\u2019\u201c\u201d\u2018\u2013\u2014\u2026\u3002\u3001\u00bf\u00a1\u00ab\u00bb\u060c\u061f\u0964"
# The longest word that is looked at: what is longer is cut here.
LONGEST = 48


@lru_cache(maxsize=None)
def dense(character):
    return within(DENSE, ord(character))


def words(folded):
    """[(word, gap, starts)]: `gap` are the unusual symbols before it, `starts` whether a sentence may begin."""
    found, word, gap, starts, run = [], "", "", True, 0
    length = len(folded)
    for position, character in enumerate(folded):
        if character.isalnum():
            if dense(character):
                if word:
                    found.append((word, gap, starts))
                    word, gap, starts = "", "", False
                found.append((character, gap, starts))
                gap, starts, run = "", False, 0
            elif len(word) < LONGEST:
                word += character
                run = 0
            continue
        if (
            character in APOSTROPHES and word and position + 1 < length
            and folded[position + 1].isalnum() and not dense(folded[position + 1])
        ):
            continue
        if word:
            found.append((word, gap, starts))
            word, gap, starts, run = "", "", False, 0
        if character in ENDS:
            starts = True
        if character.isspace() or character in USUAL:
            continue
        run = run + 1 if gap.endswith(character) else 1
        if run <= 3 and len(gap) < 8:
            gap += character
    if word:
        found.append((word, gap, starts))
        gap, starts = "", True
    if gap:
        found.append(("", gap, True))
    return found


def unmask(found, lexicon):
    """Words as they are meant: lookalikes in Latin company, digits for letters, letters set apart, words run together."""
    latin = sum(1 for word, _, _ in found if any(letter.isascii() and letter.isalpha() for letter in word))
    mostly_latin = latin * 2 > len(found)
    plain = []
    for word, gap, starts in found:
        if not word.isascii() and not (len(word) == 1 and dense(word)):
            some = any(letter.isascii() and letter.isalpha() for letter in word)
            if some or (mostly_latin and all(letter in MIXED or letter.isascii() for letter in word)):
                word = "".join(MIXED.get(letter, letter) for letter in word)
        if len(word) > 3 and word.isascii() and any(c.isdigit() for c in word) and any(c.isalpha() for c in word):
            for digits in LEET:
                candidate = "".join(digits.get(letter, letter) for letter in word)
                if lexicon.holds(candidate):
                    word = candidate
                    break
        plain.append((word, gap, starts))
    joined, position = [], 0
    while position < len(plain):
        end = position
        while end < len(plain) and len(plain[end][0]) == 1 and plain[end][0].isascii() and plain[end][0].isalpha():
            end += 1
        if end - position >= 5:
            letters = "".join(word for word, _, _ in plain[position:end])
            _, gap, starts = plain[position]
            for part in lexicon.split(letters):
                joined.append((part, gap, starts))
                gap, starts = "", False
            position = end
            continue
        word, gap, starts = plain[position]
        if len(word) >= 16 and word.isascii() and word.isalpha():
            for part in lexicon.split(word):
                joined.append((part, gap, starts))
                gap, starts = "", False
        else:
            joined.append((word, gap, starts))
        position += 1
    return joined


LEET = [
    {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "9": "g"},
    {"0": "o", "1": "l", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "9": "g"},
]


class Lexicon:
    """Words by what they do."""

    LONGEST_PHRASE = 5

    def __init__(self):
        self.classes, self.phrases, self.stems, self.known = [], {}, {}, set()
        for line in table("lexicon.txt"):
            name, entries = line.split(":", 1)
            number = len(self.classes) + 1
            self.classes.append(name)
            for entry in entries.split():
                if entry.endswith("*"):
                    self.stems.setdefault(fnv(fold(entry[:-1])), number)
                    continue
                parts = [word for word, _, _ in words(fold(entry.replace("_", " ")))]
                self.phrases.setdefault(phrase(parts), number)
                if len(parts) == 1:
                    self.known.add(parts[0])
        assert len(self.classes) < 40

    def number(self, name):
        return self.classes.index(name) + 1

    def holds(self, word):
        return fnv(word) in self.phrases

    def split(self, letters):
        """Cuts letters into known words, the longest first; what is between stays in one piece."""
        parts, rest, position = [], "", 0
        while position < len(letters):
            for size in range(min(14, len(letters) - position), 2, -1):
                candidate = letters[position : position + size]
                if size > 2 and self.holds(candidate):
                    if rest:
                        parts.append(rest)
                        rest = ""
                    parts.append(candidate)
                    position += size
                    break
            else:
                rest += letters[position]
                position += 1
                if len(rest) == LONGEST:
                    parts.append(rest)
                    rest = ""
        return parts + [rest] if rest else parts

    def find(self, hashes, position, word):
        """The class of the longest phrase that ends here."""
        longest = self.LONGEST_PHRASE if len(word) == 1 and dense(word) else 2
        value, factor, best = 0, 1, 0
        for size in range(min(longest, position + 1)):
            value = (value + hashes[position - size] * factor) & MASK
            factor = factor * CHAIN & MASK
            best = self.phrases.get(value, best)
        if not best:
            for letters in (7, 5):
                if len(word) >= letters:
                    best = self.stems.get(fnv(word[:letters]), 0)
                if best:
                    break
        return best


def phrase(parts):
    value = 0
    for part in parts:
        value = (value * CHAIN + fnv(part)) & MASK
    return value


@lru_cache(maxsize=1 << 18)
def cached_fnv(word):
    return fnv(word)


LEXICON = Lexicon()


def analyse(text):
    """[(features, class)] of each word."""
    found = unmask(words(fold(text)), LEXICON)
    hashes = [cached_fnv(word) for word, _, _ in found]
    stems = [cached_fnv(word[:STEM_LETTERS]) for word, _, _ in found]
    rows, chain = [], []
    for position, (word, gap, starts) in enumerate(found):
        features = []
        if gap:
            gap_hash = cached_fnv(gap)
            features.append(bucket(GAP, gap_hash))
            features.append(bucket(GAP_WORD, (gap_hash * CHAIN + stems[position]) & MASK))
        if not word:
            rows.append((features, 0))
            continue
        features.append(bucket(WORD, hashes[position]))
        if len(word) > STEM_LETTERS:
            features.append(bucket(STEM, stems[position]))
        if starts:
            features.append(bucket(START, stems[position]))
        if position:
            pair = (stems[position - 1] * CHAIN + stems[position]) & MASK
            features.append(bucket(PAIR, pair))
            if position > 1 and len(word) == 1 and dense(word):
                features.append(bucket(TRIPLE, (stems[position - 2] * CHAIN * CHAIN + pair) & MASK))
        kind = LEXICON.find(hashes, position, word)
        if kind:
            features.append(bucket(CLASS, kind * 2 + starts))
            if chain and position - chain[-1][1] <= REACH:
                features.append(bucket(CLASS_PAIR, chain[-1][0] * 64 + kind))
                if len(chain) > 1 and chain[-1][1] - chain[-2][1] <= REACH:
                    features.append(bucket(CLASS_TRIPLE, (chain[-2][0] * 64 + chain[-1][0]) * 64 + kind))
            chain.append((kind, position))
        rows.append((features, kind))
    return rows


def windows(rows):
    """The distinct features of each window."""
    start = 0
    while True:
        part = rows[start : start + WINDOW]
        features, kinds = set(), set()
        for found, kind in part:
            features.update(found)
            if kind:
                kinds.add(kind)
        kinds = sorted(kinds)
        for index, first in enumerate(kinds):
            for second in kinds[index + 1 :]:
                features.add(together(first, second))
        yield start, features
        if start + WINDOW >= len(rows):
            return
        start += STRIDE


def new_features(rows):
    """The features of each word that neither its stride nor the one before it has had."""
    before, here = set(), set()
    for position, (found, _) in enumerate(rows):
        if position % STRIDE == 0:
            before, here = here, set()
        new = []
        for feature in found:
            if feature not in here and feature not in before:
                new.append(feature)
            here.add(feature)
        yield new


def strongest_passage(sums):
    """The highest that a sum over the words gets which never falls below nothing."""
    now = best = 0
    for value in sums:
        now = max(0, now + value - DRIFT)
        best = max(best, now)
    return best
