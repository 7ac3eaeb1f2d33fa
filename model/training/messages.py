"""Writes the project's own training messages from the templates beside this file.

Own work, so there is no question of licence. The same seed gives the same messages, and a template
gives the same ones whatever other templates there are. Names of companies stand in them as they do
in real messages; numbers, links and people are invented.

    python3 messages.py --per-template 40 --seed 7 > messages.tsv
    python3 messages.py --check

A template is a line `category<TAB>text` in templates/LABEL/FILE.txt: `[a|b]` is a choice, which may be
empty and may nest, `{slot}` a value made here or picked from templates/slots.json. What would be read as
a choice or a slot is written {lb} {rb} for braces, {ls} {le} for square brackets, {bar} for `|`.
"""

import argparse
import hashlib
import json
import math
import random
import re
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

TEMPLATES = Path(__file__).parent / "templates"
LABELS = ("scam", "ham", "promo")
SLOT = re.compile(r"\{(\w+)\}")
CHOICE = re.compile(r"\[([^\[\]]*)\]")


class Template(NamedTuple):
    label: str
    category: str
    text: str
    #: The same as long as the template's own words are: what cross-validation groups by.
    id: str
    #: Whether what is English only (greetings, abbreviations) may be added.
    english: bool


class Message(NamedTuple):
    label: str
    text: str
    category: str
    template: str


def messages(per_template, seed):
    """Yields (label, text, category), each text once, in a fixed order."""
    for message in written(per_template, seed):
        yield message.label, message.text, message.category


def written(per_template, seed):
    """Yields each message with the id of its template, each text once, in a fixed order."""
    slots = json.loads((TEMPLATES / "slots.json").read_text("utf-8"))
    seen = set()
    for template in templates():
        # Each template draws from a stream of its own: a new one leaves the others' messages alone.
        writer = Writer(f"{seed}:{template.id}", slots)
        for _ in range(per_template):
            text = writer.message(template)
            if text not in seen:
                seen.add(text)
                yield Message(template.label, text, template.category, template.id)


def templates():
    for label in LABELS:
        for path in sorted((TEMPLATES / label).glob("*.txt")):
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                if not line or line.startswith("#"):
                    continue
                category, tab, text = line.partition("\t")
                if not tab or not category or not text or "\t" in text:
                    raise SystemExit(f"{path}:{number}: expected a category, a tab, and the template")
                digest = hashlib.sha256(text.encode()).hexdigest()[:10]
                yield Template(label, category, text, f"{label}/{path.stem}/{digest}", english(path.stem))


def english(stem):
    """Greetings and abbreviations of English chats suit neither another language nor code."""
    return not stem.endswith("languages") and stem != "code"


# What an amount may look like, by currency. `money` takes any of them; a slot such as {rs} one kind.
CURRENCIES = {
    "rs": ["Rs.{}", "Rs {}", "INR {}", "₹{}", "Rs. {}", "{} rupees"],
    "usd": ["${}", "${}", "USD {}", "{} USD", "US${}", "{} dollars"],
    "gbp": ["£{}", "£{}", "GBP {}", "{} pounds", "GBP{}"],
    "eur": ["€{}", "{} €", "EUR {}", "{} EUR", "{} euros", "{}€"],
    "sgd": ["S${}", "SGD {}", "SGD{}", "${}"],
    "myr": ["RM{}", "RM {}", "MYR {}"],
    "ksh": ["Ksh{}", "KSh {}", "KES {}", "Ksh {}"],
    "naira": ["N{}", "₦{}", "NGN {}", "NGN{}"],
    "zar": ["R{}", "R {}", "ZAR {}"],
    "aed": ["AED {}", "AED{}", "Dhs {}", "SAR {}"],
    "aud": ["A${}", "AUD {}", "${}", "NZ${}"],
    "cad": ["C${}", "CAD {}", "${} CAD"],
    "php": ["PHP {}", "₱{}", "P{}"],
    "tsh": ["TSh {}", "tsh {}", "Tsh{}", "UGX {}", "GHS {}"],
    "brl": ["R$ {}", "R${}"],
    "idr": ["Rp{}", "Rp {}", "IDR {}"],
    "lira": ["{} TL", "₺{}", "{} TRY"],
    "zloty": ["{} zł", "{} PLN"],
    "rouble": ["{} руб", "{} ₽", "{} р."],
    "yuan": ["{}元", "¥{}", "RMB {}"],
}
# How many of each a dollar is, roughly, so that a parking fee in rupees is not 3 rupees.
WORTH = {
    "rs": 40, "ksh": 60, "naira": 300, "zar": 10, "php": 30, "tsh": 500, "idr": 8000, "lira": 20, "rouble": 60,
    "yuan": 5, "myr": 3, "aed": 3, "brl": 4, "zloty": 3,
}  # fmt: skip
# What templates of code need and could not write otherwise.
LITERALS = {"lb": "{", "rb": "}", "ls": "[", "le": "]", "bar": "|"}
MONTHS = ["Jan", "Feb", "March", "Apr", "May", "June", "July", "Aug", "Sept", "Oct", "Nov", "Dec"]
DAYS = [
    "Monday", "Tue", "Wednesday", "Thu", "Friday", "Saturday", "Sunday", "tomorrow", "Fri", "next Monday", "Sat", "tues",
]  # fmt: skip


class Writer:
    def __init__(self, seed, slots):
        self.random = random.Random(seed)
        self.slots = slots
        self.made = self.makers()
        # One message keeps to one currency, and its links to whoever it speaks of, most of the time.
        self.currency = None
        self.sender = None

    def message(self, template):
        self.currency = self.sender = None
        text = self.fill(self.choose(template.text))
        text = re.sub(r"\s+", " ", text).strip()
        text = re.sub(r" ([.,!?])(?=\s|$)", r"\1", text)
        return self.roughen(text, template.english)

    def choose(self, text):
        """Resolves [a|b] from the inside out."""
        while match := CHOICE.search(text):
            choice = self.random.choice(match.group(1).split("|"))
            text = text[: match.start()] + choice + text[match.end() :]
        return text

    def fill(self, text):
        """Fills the slots, and those in what they are filled with; braces that a literal stands for make no slot."""
        return SLOT.sub(lambda match: LITERALS.get(match.group(1)) or self.fill(self.value(match.group(1))), text)

    def value(self, slot):
        if maker := self.made.get(slot):
            return maker()
        if slot == "brand" and self.sender and self.random.random() < 0.7:
            return self.sender
        value = self.random.choice(self.slots[slot])
        if slot in SENDERS and self.sender is None:
            self.sender = re.sub(r"[^a-z0-9]", "", value.lower()) or None
        return value

    def makers(self):
        pick, digits, letters = self.random, self.digits, self.letters
        some = lambda *makers: pick.choice(makers)()
        made = {
            "n": lambda: str(pick.randint(2, 60)),
            "few": lambda: str(pick.randint(2, 9)),
            "percent": lambda: str(pick.choice([5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80])),
            "year": lambda: str(pick.randint(2019, 2027)),
            "hours": lambda: pick.choice(["2", "6", "12", "24", "48", "72"]),
            "age": lambda: pick.choice(["16", "18", "21", "23", "25"]),
            "four": lambda: digits(4),
            "three": lambda: digits(3),
            "code": lambda: some(lambda: digits(4), lambda: digits(6), lambda: digits(6), lambda: digits(5), lambda: digits(8), lambda: f"{digits(3)}-{digits(3)}", lambda: f"{digits(3)} {digits(3)}", lambda: f"G-{digits(6)}"),
            "ref": lambda: some(lambda: letters(2) + digits(6), lambda: digits(7), lambda: letters(6), lambda: f"{letters(3)}-{digits(5)}", lambda: digits(12), lambda: f"#{digits(5)}", lambda: f"{letters(1)}{digits(3)}{letters(2)}{digits(2)}"),
            "order": lambda: some(lambda: f"#{digits(5)}", lambda: f"{digits(3)}-{digits(7)}-{digits(7)}", lambda: f"OD{digits(12)}", lambda: digits(8), lambda: f"{letters(2)}{digits(7)}", lambda: f"no. {digits(6)}"),
            "tracking": lambda: some(lambda: f"{letters(2)}{digits(9)}{pick.choice(['GB', 'US', 'IN', 'SG', 'DE', 'FR'])}", lambda: digits(12), lambda: f"1Z{digits(8)}", lambda: f"94{digits(18)}", lambda: digits(14), lambda: f"JD{digits(12)}"),
            "mask": lambda: some(lambda: f"XX{digits(4)}", lambda: f"X{digits(4)}", lambda: f"XXXXXX{digits(4)}", lambda: f"*{digits(4)}", lambda: f"**{digits(4)}", lambda: f"ending {digits(4)}", lambda: f"ending in {digits(4)}", lambda: f"...{digits(3)}", lambda: f"xxxx{digits(4)}", lambda: f"{digits(3)}XXXX{digits(3)}", lambda: f"no. {digits(2)}*****{digits(3)}"),
            "accountno": lambda: some(lambda: digits(10), lambda: digits(8), lambda: digits(12), lambda: f"{digits(2)}-{digits(2)}-{digits(2)} {digits(8)}", lambda: f"DE{digits(2)} {digits(4)} {digits(4)} {digits(4)} {digits(4)} {digits(2)}", lambda: f"GB{digits(2)} {letters(4)} {digits(14)}"),
            "utr": lambda: digits(12),
            "mpesa": lambda: letters(2) + pick.choice("0123456789") + letters(2) + digits(2) + letters(3),
            "wallethash": lambda: some(lambda: "0x" + "".join(pick.choice("0123456789abcdef") for _ in range(40)), lambda: "bc1q" + "".join(pick.choice("023456789acdefghjklmnpqrstuvwxyz") for _ in range(30))),
            "plate": lambda: some(lambda: f"{letters(2)}{digits(2)} {letters(3)}", lambda: f"{letters(2)}{digits(2)}{letters(2)}{digits(4)}", lambda: f"{letters(3)} {digits(4)}", lambda: f"K{letters(2)} {digits(3)}{letters(1)}"),
            "slug": lambda: "".join(pick.choice("abcdefghjkmnpqrstuvwxyzABCDEFG23456789") for _ in range(pick.randint(4, 8))),
            "promo": lambda: some(lambda: letters(5) + digits(2), lambda: pick.choice(["SAVE", "WELCOME", "GET", "FRIEND", "SUMMER", "VIP"]) + str(pick.choice([5, 10, 15, 20, 25, 50]))),
            "flight": lambda: letters(2) + digits(pick.randint(3, 4)),
            "gate": lambda: pick.choice("ABCDE") + str(pick.randint(1, 60)),
            "ip": lambda: ".".join(str(pick.randint(11, 223)) for _ in range(4)),
            "phonedigits": lambda: pick.choice(["1", "44", "91", "234", "65", "61", "254", "49"]) + digits(9),
            "shortcode": lambda: some(lambda: digits(5), lambda: "8" + digits(4), lambda: digits(4), lambda: digits(6)),
            "premium": lambda: some(lambda: f"090{digits(8)}", lambda: f"0906{digits(7)}", lambda: f"0871{digits(7)}", lambda: f"0870{digits(7)}", lambda: f"09{digits(2)} {digits(3)} {digits(4)}", lambda: f"1-900-{digits(3)}-{digits(4)}"),
            "phone": self.phone,
            "bankphone": lambda: some(lambda: f"1800 {digits(3)} {digits(4)}", lambda: f"0800 {digits(6)}", lambda: f"1-800-{digits(3)}-{digits(4)}", lambda: f"1860{digits(7)}", lambda: f"0{digits(3)} {digits(6)}", lambda: f"+65 6{digits(3)} {digits(4)}", lambda: f"0345 {digits(3)} {digits(4)}", lambda: f"1800{digits(6)}"),
            "smallfee": lambda: self.money(pick.choice([pick.uniform(0.3, 9), pick.uniform(2, 60)])),
            "amount": lambda: self.money(pick.choice([pick.uniform(15, 300), pick.uniform(100, 3000), pick.choice([50, 100, 200, 250, 500, 1000, 2000])])),
            "daily": lambda: self.money(pick.choice([80, 100, 150, 200, 300, 500, 1500, 3000])),
            "bigamount": lambda: self.money(pick.choice([pick.uniform(1000, 90000), pick.choice([1000, 5000, 10000, 25000, 100000])])),
            "fortune": lambda: self.money(pick.choice([1.5, 4.7, 8, 10.5, 18.6, 25]) * 1e6),
            "date": self.date,
            "time": self.time,
        }  # fmt: skip
        for currency in CURRENCIES:
            made[currency] = lambda currency=currency: self.money(math.exp(pick.uniform(0.7, 8.5)), currency)
        return made

    def digits(self, count):
        return "".join(self.random.choice("0123456789") for _ in range(count))

    def letters(self, count):
        return "".join(self.random.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(count))

    def money(self, value, currency=None):
        pick = self.random
        if currency is None:
            if self.currency is None or pick.random() < 0.1:
                common = pick.random() < 0.6
                self.currency = pick.choice(["usd", "gbp", "eur", "rs"] if common else list(CURRENCIES)[:14])
            currency = self.currency
        value *= WORTH.get(currency, 1)
        if value >= 100 and pick.random() < 0.4:
            value = float(f"{value:.2g}")
        number = f"{value:,.2f}" if value < 100 or pick.random() < 0.4 else f"{value:,.0f}"
        if value < 100 and pick.random() < 0.25:
            number = f"{max(value, 1):.0f}"
        if pick.random() < 0.3:
            number = number.replace(",", "")
        elif currency in ("eur", "brl", "idr", "lira") and pick.random() < 0.5:
            number = number.translate(str.maketrans(",.", ".,"))
        if value >= 1e6 and pick.random() < 0.6:
            number = f"{value / 1e6:g} million"
        elif 2000 <= value < 1e6 and value % 1000 == 0 and pick.random() < 0.2:
            number = f"{value / 1000:.0f}k"
        return pick.choice(CURRENCIES[currency]).format(number)

    def phone(self):
        pick, digits = self.random, self.digits
        return pick.choice([
            f"+1 {digits(3)} {digits(3)} {digits(4)}", f"+44 7{digits(9)}", f"0{digits(10)}", f"+91{digits(10)}",
            f"({digits(3)}) {digits(3)}-{digits(4)}", f"1-8{digits(2)}-{digits(3)}-{digits(4)}", f"09{digits(9)}",
            f"+234{digits(10)}", f"{digits(10)}", f"07{digits(3)} {digits(6)}", f"{digits(3)}-{digits(3)}-{digits(4)}",
            f"+65 {digits(4)} {digits(4)}", f"+49 1{digits(2)} {digits(7)}", f"+2547{digits(8)}", f"04{digits(2)} {digits(3)} {digits(3)}",
            f"0800 {digits(3)} {digits(4)}", f"1800{digits(7)}", f"020 {digits(4)} {digits(4)}", f"8{digits(7)}",
        ])  # fmt: skip

    def date(self):
        pick = self.random
        day, month, year = pick.randint(1, 28), pick.randrange(12), pick.randint(2023, 2027)
        return pick.choice([
            f"{day} {MONTHS[month]}", f"{MONTHS[month]} {day}", f"{day:02}/{month + 1:02}", f"{day:02}-{month + 1:02}-{year}",
            f"{year}-{month + 1:02}-{day:02}", f"{day:02}-{MONTHS[month][:3]}-{year % 100}", f"{day:02}{MONTHS[month][:3].upper()}{year % 100}",
            f"{MONTHS[month]} {day}, {year}", f"{day:02}/{month + 1:02}/{year % 100}", pick.choice(DAYS), pick.choice(DAYS), pick.choice(DAYS),
        ])  # fmt: skip

    def time(self):
        pick = self.random
        hour, minute = pick.randint(7, 22), pick.choice([0, 0, 0, 15, 30, 45, pick.randrange(60)])
        half = "am" if hour < 12 else "pm"
        short = (hour - 1) % 12 + 1
        return pick.choice([
            f"{hour}:{minute:02}", f"{hour:02}:{minute:02}", f"{short}:{minute:02}{half}", f"{short}.{minute:02}{half}",
            f"{short}{half}", f"{short} {half}", f"{short}:{minute:02} {half.upper()}", f"{hour:02}{minute:02} hrs",
        ])  # fmt: skip

    def roughen(self, text, english):
        """People and machines of every class write with different care: case, punctuation, mistakes."""
        chance = self.random.random
        if english:
            if chance() < 0.06:
                for long, short in ABBREVIATIONS:
                    text = re.sub(rf"\b{long}\b", short, text, flags=re.IGNORECASE)
            if chance() < 0.06:
                text = self.fill(self.random.choice(OPENINGS)) + text
            if chance() < 0.04:
                text = text + self.fill(self.random.choice(CLOSINGS))
        if chance() < 0.07:
            for _ in range(self.random.randint(1, 1 + len(text) // 120)):
                text = self.mistype(text)
        if chance() < 0.06:
            text = re.sub(r"[,!;'’]", "", text)
        if chance() < 0.02:
            text = re.sub(r"\. ", self.random.choice([".", ".  ", " "]), text)
        if chance() < 0.12:
            text = text.removesuffix(".")
        if chance() < 0.02:
            text = text.replace(" ", "  ", 3)
        case = chance()
        if case < 0.08:
            text = text.lower()
        elif case < 0.115:
            text = text.upper()
        return text

    def mistype(self, text):
        if len(text) < 20:
            return text
        place = self.random.randrange(1, len(text) - 2)
        kind = self.random.randrange(3)
        if kind == 0:
            return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
        return text[:place] + (text[place] * 2 if kind == 1 else "") + text[place + 1 :]


SENDERS = {"bank", "carrier", "shop", "service", "telco", "taxoffice", "toll", "utility", "airline", "exchange", "wallet", "payapp"}
ABBREVIATIONS = [
    ("you are", "ur"), ("you", "u"), ("your", "ur"), ("please", "pls"), ("are", "r"), ("to", "2"), ("for", "4"),
    ("text", "txt"), ("message", "msg"), ("tomorrow", "tmrw"), ("because", "cos"), ("and", "n"), ("thanks", "thx"),
    ("account", "acct"), ("with", "w"), ("have", "hv"), ("that", "dat"), ("be", "b"), ("see", "c"), ("mobile", "mob"),
]  # fmt: skip
OPENINGS = [
    "Hi {name}, ", "Dear {name}, ", "Hello! ", "FYI: ", "[SMS] ", "URGENT: ", "Note: ", "Dear customer, ", "Hello {name}. ",
    "Good morning. ", "Hi there, ", "Fwd: ", "Re: ", "Important: ", "Dear Sir/Madam, ", "hey ", "{name}: ", "Reminder: ", "Dear {surname}, ",
]  # fmt: skip
CLOSINGS = [
    " Thanks", " Regards, {name}", " Thank you.", " - {name}", " Kind regards, {person}", " Cheers", " Sent from my iPhone", " {name} {surname}",
    " Have a nice day.", " Best, {name}", " T&Cs apply.", " Team {shop}", " Thx {name}", " Reply STOP to opt out.",
]  # fmt: skip


def check():
    """Finds what is wrong with the templates; prints how many there are and what they give."""
    slots = json.loads((TEMPLATES / "slots.json").read_text("utf-8"))
    known = set(slots) | set(Writer(0, slots).made) | set(LITERALS)
    problems = [f"slots.json: unknown slot {slot} in {name}" for name, values in slots.items() for slot in unknown(values, known)]
    problems += [f"slots.json: {name} has a value twice" for name, values in slots.items() if name not in WEIGHTED and len(set(values)) < len(values)]
    seen = {}
    used = set()
    for template in templates():
        where = f"{template.id}: {template.text[:60]}"
        if template.text in seen:
            problems.append(f"{where}: the same as {seen[template.text]}")
        seen[template.text] = template.id
        problems += [f"{where}: unknown slot {slot}" for slot in unknown([template.text], known)]
        used |= set(SLOT.findall(template.text))
        if not balanced(template.text):
            problems.append(f"{where}: brackets do not match, or a | outside them")
        elif not (text := Writer(0, slots).choose(template.text)) or re.search(r"[\[\]|]", text):
            problems.append(f"{where}: does not expand")
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        raise SystemExit(f"{len(problems)} problems")

    made = list(written(12, 7))
    counts = Counter((template.label, template.category) for template in templates())
    texts = Counter((message.label, message.category) for message in made)
    for label, category in counts:
        print(f"{label}\t{category}\t{counts[label, category]} templates\t{texts[label, category]} messages")
        samples = [message.text for message in made if (message.label, message.category) == (label, category)]
        for sample in random.Random(7).sample(samples, min(3, len(samples))):
            print(f"    {sample}")
    for label in LABELS:
        lengths = sorted(len(message.text) for message in made if message.label == label)
        total = sum(count for (each, _), count in counts.items() if each == label)
        tenths = [lengths[len(lengths) * tenth // 10] for tenth in (1, 5, 9)] if lengths else []
        print(f"{label}: {total} templates, lengths at 10, 50, 90 %: {tenths}")
    both = {text for text, count in Counter(message.text.lower() for message in made).items() if count > 1}
    print(f"{len(both)} texts differ from another in case alone; slots never named by a template: {sorted(set(slots) - used)}")


# Values that stand in a list several times because they are to be picked more often.
WEIGHTED = {"scheme", "path", "boss", "bang"}


def unknown(texts, known):
    return sorted({slot for text in texts for slot in SLOT.findall(text)} - known)


def balanced(text):
    depth = 0
    for character in SLOT.sub("", text):
        depth += {"[": 1, "]": -1}.get(character, 0)
        if depth < 0 or character in "{}" or (character == "|" and depth == 0):
            return False
    return depth == 0


def main():
    parser = argparse.ArgumentParser(description="Writes the project's own training messages.")
    parser.add_argument("--per-template", type=int, default=40)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--check", action="store_true", help="check the templates and print samples")
    arguments = parser.parse_args()
    if arguments.check:
        check()
        return
    for message in written(arguments.per_template, arguments.seed):
        print(*message, sep="\t")


if __name__ == "__main__":
    main()
