"""Writes the model card."""

from pathlib import Path

import numpy as np

import data


def write(texts, shipped, unseen, chosen, at_one_percent, thresholds):
    template = (Path(__file__).resolve().parent / "card.md").read_text("utf-8")
    ordinary = texts.labels == 0
    flag, refuse, passage_flag, passage_refuse = thresholds
    attacks, benign = [], []
    for source in sorted(set(texts.sources) - {"own"}):
        seen = "seen" if source in data.LEARNED else "never seen"
        here = (texts.sources == source) & ~ordinary
        if here.any():
            learned = int((here & chosen).sum())
            attacks.append(
                f"| {source} | {here.sum()} | {seen}, {learned} | {share(unseen[here] >= at_one_percent)} | "
                f"{share(unseen[here] >= flag)} | {share(shipped[here] >= flag)} | {share(shipped[here] >= refuse)} |"
            )
        here = (texts.sources == source) & ordinary
        if here.any():
            benign.append(
                f"| {source} | {here.sum()} | {seen} | {share(unseen[here] >= flag)} | {share(unseen[here] >= refuse)} | "
                f"{share(shipped[here] >= flag)} | {share(shipped[here] >= refuse)} |"
            )
    own = texts.sources == "own"
    return template.format(
        attacks="\n".join(attacks), benign="\n".join(benign), own_attacks=int((own & ~ordinary).sum()),
        own_benign=int((own & ordinary).sum()), one=at_one_percent, flag=flag, refuse=refuse, passage_flag=passage_flag, passage_refuse=passage_refuse,
    )


def share(which):
    return f"{100 * np.mean(which):.1f} %"
