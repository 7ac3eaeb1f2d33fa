"""Writes the project's own training messages from the templates beside this file.

Own work, so there is no question of licence. The same seed gives the same messages. Names of
companies stand in them as they do in real messages; numbers, links and people are invented.

    python3 messages.py --per-template 40 --seed 7 > messages.tsv
"""

import argparse
import json
import random
import re
from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
CURRENCIES = [
    "${}", "£{}", "€{}", "{} €", "Rs.{}", "Rs {}", "INR {}", "₹{}", "USD {}", "{} USD", "GBP {}", "EUR {}",
    "A${}", "S${}", "C${}", "RM{}", "R{}", "KSh {}", "NGN {}", "₦{}", "AED {}", "{} dollars", "{} euros", "PHP {}",
]  # fmt: skip
MONTHS = ["Jan", "Feb", "March", "Apr", "May", "June", "July", "Aug", "Sept", "Oct", "Nov", "Dec"]
DAYS = ["Monday", "Tue", "Wednesday", "Thu", "Friday", "Saturday", "Sunday", "tomorrow"]


class Writer:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.slots = json.loads((TEMPLATES / "slots.json").read_text("utf-8"))

    def message(self, template):
        text = self.fill(self.choose(template))
        text = re.sub(r"\s+", " ", text).strip()
        return self.roughen(text)

    def choose(self, template):
        """Resolves [a|b] from the inside out."""
        while match := re.search(r"\[([^\[\]]*)\]", template):
            choice = self.random.choice(match.group(1).split("|"))
            template = template[: match.start()] + choice + template[match.end() :]
        return template

    def fill(self, text):
        while match := re.search(r"\{(\w+)\}", text):
            value = self.value(match.group(1))
            text = text[: match.start()] + value + text[match.end() :]
        return text

    def value(self, slot):
        pick = self.random
        digits = lambda count: "".join(pick.choice("0123456789") for _ in range(count))
        letters = lambda count: "".join(pick.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(count))
        made = {
            "n": lambda: str(pick.randint(2, 60)),
            "hours": lambda: pick.choice(["6", "12", "24", "48", "72"]),
            "age": lambda: pick.choice(["18", "21", "23", "25"]),
            "four": lambda: digits(4),
            "code": lambda: pick.choice([digits(4), digits(6), digits(6), digits(8), f"{digits(3)}-{digits(3)}"]),
            "ref": lambda: pick.choice([letters(2) + digits(6), digits(7), letters(6), f"{letters(3)}-{digits(5)}"]),
            "tracking": lambda: pick.choice([letters(2) + digits(9) + "GB", digits(12), f"1Z{digits(8)}"]),
            "plate": lambda: f"{letters(2)}{digits(2)} {letters(3)}",
            "slug": lambda: "".join(pick.choice("abcdefghjkmnpqrstuvwxyzABCDEFG23456789") for _ in range(pick.randint(4, 8))),
            "promo": lambda: letters(5) + digits(2),
            "flight": lambda: letters(2) + digits(pick.randint(3, 4)),
            "gate": lambda: pick.choice("ABCDE") + str(pick.randint(1, 60)),
            "ip": lambda: ".".join(str(pick.randint(11, 223)) for _ in range(4)),
            "phonedigits": lambda: pick.choice(["1", "44", "91", "234", "65", "61"]) + digits(9),
            "phone": self.phone,
            "bankphone": lambda: pick.choice([f"1800 {digits(3)} {digits(4)}", f"0800 {digits(6)}", f"1-800-{digits(3)}-{digits(4)}", f"1860{digits(7)}", f"0{digits(3)} {digits(6)}"]),
            "smallfee": lambda: self.money(pick.choice([pick.uniform(0.3, 9), pick.uniform(2, 60)])),
            "amount": lambda: self.money(pick.choice([pick.uniform(15, 300), pick.uniform(100, 3000), pick.choice([50, 100, 200, 250, 500, 1000, 2000])])),
            "daily": lambda: self.money(pick.choice([80, 100, 150, 200, 300, 500, 1500, 3000])),
            "bigamount": lambda: self.money(pick.choice([pick.uniform(1000, 90000), pick.choice([1000, 5000, 10000, 25000, 100000])])),
            "fortune": lambda: self.money(pick.choice([1.5, 4.7, 8, 10.5, 18.6, 25]) * 1e6),
            "date": self.date,
        }  # fmt: skip
        return made[slot]() if slot in made else pick.choice(self.slots[slot])

    def money(self, value):
        pick = self.random
        number = f"{value:,.2f}" if value < 100 or pick.random() < 0.4 else f"{value:,.0f}"
        if pick.random() < 0.3:
            number = number.replace(",", "")
        if value >= 1e6 and pick.random() < 0.6:
            number = f"{value / 1e6:g} million"
        return pick.choice(CURRENCIES).format(number)

    def phone(self):
        pick = self.random
        digits = lambda count: "".join(pick.choice("0123456789") for _ in range(count))
        return pick.choice([
            f"+1 {digits(3)} {digits(3)} {digits(4)}", f"+44 7{digits(9)}", f"0{digits(10)}", f"+91{digits(10)}",
            f"({digits(3)}) {digits(3)}-{digits(4)}", f"1-8{digits(2)}-{digits(3)}-{digits(4)}", f"09{digits(9)}",
            f"+234{digits(10)}", f"{digits(10)}",
        ])  # fmt: skip

    def date(self):
        pick = self.random
        day, month = pick.randint(1, 28), pick.randrange(12)
        return pick.choice([
            f"{day} {MONTHS[month]}", f"{MONTHS[month]} {day}", f"{day:02}/{month + 1:02}", f"{day:02}-{month + 1:02}-2026",
            f"2026-{month + 1:02}-{day:02}", f"{day:02}-{MONTHS[month][:3]}-26", pick.choice(DAYS), pick.choice(DAYS),
        ])  # fmt: skip

    def roughen(self, text):
        """People and machines write with different care: case, punctuation, typing mistakes."""
        chance = self.random.random()
        if chance < 0.10:
            text = text.lower()
        elif chance < 0.14:
            text = text.upper()
        elif chance < 0.20:
            text = re.sub(r"[,!]", "", text)
        elif chance < 0.26:
            for long, short in [("you", "u"), ("your", "ur"), ("please", "pls"), ("are", "r"), ("to", "2")]:
                text = re.sub(rf"\b{long}\b", short, text, flags=re.IGNORECASE)
        elif chance < 0.34 and len(text) > 20:
            place = self.random.randrange(1, len(text) - 2)
            text = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
        if self.random.random() < 0.08:
            text = self.random.choice(["Hi {name}, ", "Dear {name}, ", "Hello! ", "FYI: ", "[SMS] ", "URGENT: ", "Note: "]).replace(
                "{name}", self.random.choice(self.slots["name"])
            ) + text
        return text


def templates(name):
    for line in (TEMPLATES / f"{name}.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            category, template = line.split("\t")
            yield category, template


def messages(per_template, seed):
    """Yields (label, text, category), each text once, in a fixed order."""
    writer = Writer(seed)
    seen = set()
    for label in ("scam", "ham"):
        for category, template in templates(label):
            for _ in range(per_template):
                text = writer.message(template)
                if text not in seen:
                    seen.add(text)
                    yield label, text, category


def main():
    parser = argparse.ArgumentParser(description="Writes the project's own training messages.")
    parser.add_argument("--per-template", type=int, default=40)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    for label, text, category in messages(arguments.per_template, arguments.seed):
        print(label, text, category, sep="\t")


if __name__ == "__main__":
    main()
