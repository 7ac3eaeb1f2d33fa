#!/usr/bin/env python3
"""Whether `portcullis token verify` ever accepts a token that PyJWT or joserfc does not.

Makes tokens from a seed, good and bad, by keys for every algorithm, and asks all three. What Portcullis calls valid both others
must call valid, and every good token must be valid to all. Where Portcullis is stricter, it is told by class and reason.

    python3 tests/oracle/judge.py --command target/debug/portcullis --out target/oracle

The tokens, the key sets and the verdicts are left in the folder OUT, for whoever wants to see a token that was judged differently.
"""

import argparse
import itertools
import json
import subprocess
import sys
import time
import warnings
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from keys import KeySet, key_sets
from mutations import CLASSES, GOOD, Mint
from oracles import AUDIENCE, ISSUER, LEEWAY_SECONDS, JoseRfc, PyJwt

TOKENS = 10_000


@dataclass
class Case:
    """A token, and why each of the three does not accept it: `None` where it does."""

    key_set: str
    kind: str
    token: str
    portcullis: str | None = None
    pyjwt: str | None = None
    joserfc: str | None = None

    @property
    def is_forgery(self) -> bool:
        """Whether it is accepted although somebody else says that it must not be."""
        return self.portcullis is None and not (self.pyjwt is None and self.joserfc is None)

    @property
    def is_lost(self) -> bool:
        """Whether it is good and somebody does not accept it."""
        return self.kind == GOOD and not (self.portcullis is self.pyjwt is self.joserfc is None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--command", required=True, help="the `portcullis` command")
    parser.add_argument("--out", required=True, type=Path, help="the folder for tokens and verdicts")
    parser.add_argument("--seed", default=20260101, type=int)
    parser.add_argument("--tokens", default=TOKENS, type=int)
    arguments = parser.parse_args()
    # Of short HMAC keys, which are tried here on purpose.
    warnings.simplefilter("ignore")
    arguments.out.mkdir(parents=True, exist_ok=True)

    started = time.monotonic()
    sets = key_sets(Random(arguments.seed))
    cases: list[Case] = []
    for index, keys in enumerate(sets):
        count = arguments.tokens * (index + 1) // len(sets) - len(cases)
        # Each set's own, so that the salts of PSS, which nobody can choose, change nothing elsewhere.
        cases += judged(keys, Random(f"{arguments.seed} {keys.name}"), count, arguments)
        seconds = time.monotonic() - started
        print(f"  {len(cases):6} of {arguments.tokens} tokens judged, {keys.name} ({seconds:.1f} s)", file=sys.stderr)
    with (arguments.out / "verdicts.jsonl").open("w") as file:
        file.writelines(json.dumps(asdict(case)) + "\n" for case in cases)
    return report(cases, arguments.out)


def judged(keys: KeySet, seed: Random, count: int, arguments: argparse.Namespace) -> list[Case]:
    """Tokens by one key set, with the verdicts of all three."""
    mint = Mint(keys, seed, int(time.time()))
    order = [entry for entry in CLASSES for _ in range(entry[1])]
    cases, tokens, pyjwt, joserfc = [], [], PyJwt(keys.jwks), JoseRfc(keys.jwks)
    for name, _, make in itertools.cycle(order):
        if len(cases) == count:
            break
        # Not every class has something for every algorithm.
        if (token := make(mint)) is None:
            continue
        tokens.append(token)
        case = Case(keys.name, name, token.decode("latin-1"))
        case.pyjwt, case.joserfc = pyjwt.verdict(token), joserfc.verdict(token)
        cases.append(case)
    verdicts = asked(arguments.command, keys, tokens, arguments.out)
    for case, verdict in zip(cases, verdicts, strict=True):
        case.portcullis = None if verdict["valid"] is True else verdict["reason"]
    return cases


def asked(command: str, keys: KeySet, tokens: list[bytes], out: Path) -> list[dict]:
    """What Portcullis says of each token: a line of JSON for each line."""
    jwks, lines = out / f"{keys.name}.jwks.json", out / f"{keys.name}.tokens"
    jwks.write_text(json.dumps(keys.jwks))
    lines.write_bytes(b"".join(token + b"\n" for token in tokens))
    arguments = [command, "token", "verify", "--lines", "--jwks", jwks, "--issuer", ISSUER, "--audience", AUDIENCE]
    arguments += ["--leeway", str(LEEWAY_SECONDS)]
    with lines.open("rb") as file:
        answer = subprocess.run(arguments, stdin=file, stdout=subprocess.PIPE, check=False)
    if answer.returncode != 0:
        # A panic would be one, and is what must not happen whatever the token.
        sys.exit(f"✘ {command} token verify ended with {answer.returncode} for the tokens of {lines}")
    return [json.loads(line) for line in answer.stdout.splitlines()]


def report(cases: list[Case], out: Path) -> int:
    counts = Counter((case.portcullis is None, case.pyjwt is None, case.joserfc is None) for case in cases)
    print(f"\n  {len(cases)} tokens, {sum(case.kind == GOOD for case in cases)} of them good\n")
    print("  portcullis  PyJWT    joserfc   tokens")
    say = {True: "valid", False: "invalid"}
    for verdicts, count in sorted(counts.items(), reverse=True):
        ours, one, other = (say[verdict] for verdict in verdicts)
        print(f"  {ours:10}  {one:7}  {other:7}  {count:7}")
    stricter = [case for case in cases if case.portcullis and None in (case.pyjwt, case.joserfc)]
    if stricter:
        print("\n  refused by Portcullis, accepted by one of the others or both:\n")
        reasons = Counter((case.kind, case.portcullis, who_accepts(case)) for case in stricter)
        for (name, reason, who), count in sorted(reasons.items()):
            print(f"  {count:6}  {name}: {reason}  (accepted by {who})")
    accepted = Counter(case.kind for case in cases if case.portcullis is None and case.kind != GOOD)
    if accepted:
        print("\n  accepted by all three although changed, for what was changed does not matter:\n")
        for name, count in sorted(accepted.items()):
            print(f"  {count:6}  {name}")
    wrong = [case for case in cases if case.is_forgery or case.is_lost]
    for case in wrong[:10]:
        what = "ACCEPTED BY PORTCULLIS ALONE" if case.is_forgery else "GOOD AND REFUSED"
        print(f"\n✘ {what}: {case.kind}, keys {case.key_set}.jwks.json: portcullis {case.portcullis or 'valid'},")
        print(f"  PyJWT {case.pyjwt or 'valid'}, joserfc {case.joserfc or 'valid'}: {case.token[:400]!r}")
    if wrong:
        print(f"\n✘ {len(wrong)} tokens judged wrongly; all are in {out / 'verdicts.jsonl'}")
    return 1 if wrong else 0


def who_accepts(case: Case) -> str:
    return " and ".join(name for name, verdict in (("PyJWT", case.pyjwt), ("joserfc", case.joserfc)) if verdict is None)


if __name__ == "__main__":
    sys.exit(main())
