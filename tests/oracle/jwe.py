#!/usr/bin/env python3
"""Whether Portcullis's JSON Web Encryption and that of joserfc, jwcrypto and jose (npm) read each other's messages.

    python3 tests/oracle/jwe.py --command target/debug/examples/jwe --out target/oracle

Each of the others encrypts requests to the function's keys and decrypts what the function answers, for both algorithms and for
both kinds of caller's keys; and each writes messages that the function must refuse. jose runs in node: where there is none, that
is said, and it is left out. OUT/node is where it is looked for (`npm install --prefix OUT/node jose`).
"""

import argparse
import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import joserfc.jwe
import joserfc.jwk
import jwcrypto.jwe
import jwcrypto.jwk
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ALGORITHMS = {"EC": "ECDH-ES+A256KW", "RSA": "RSA-OAEP-256"}
CONTENTS = (b"", b'{"text":"hello"}', "{\"text\":\"Grüße\"}".encode(), bytes(range(256)) * 250)
# What the function takes; by default joserfc takes less.
MAXIMUM_HEADER_BYTES = 8 * 1024
MAXIMUM_BYTES = 96 * 1024


class Function:
    """The example `jwe`: what a function does, by lines of JSON."""

    def __init__(self, command: str, pem: Path):
        self.process = subprocess.Popen(
            [command, pem], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def ask(self, question: dict) -> dict:
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            # A panic would be one, and is what must not happen whatever the message.
            sys.exit(f"✘ the function ended with {self.process.wait()} for {question}")
        return json.loads(line)

    def keys(self) -> dict:
        return by_type(self.ask({"keys": True}))

    def decrypt(self, message: str) -> dict:
        return self.ask({"decrypt": message})


class JoseRfc:
    """https://pypi.org/project/joserfc"""

    name = "joserfc"

    def __init__(self):
        # With more than is recommended: what the function must refuse has to be made first.
        names = [*ALGORITHMS.values(), "RSA-OAEP", "ECDH-ES", "ECDH-ES+A128KW", "A128GCM", "A256GCM", "DEF"]
        self.registry = joserfc.jwe.JWERegistry(algorithms=names, strict_check_header=False)
        self.registry.max_protected_header_length = MAXIMUM_HEADER_BYTES
        self.registry.max_ciphertext_length = MAXIMUM_BYTES
        ec, rsa_key = joserfc.jwk.ECKey.generate_key("P-256"), joserfc.jwk.RSAKey.generate_key(2048)
        self.private = {"EC": ec, "RSA": rsa_key}

    def public(self, kty: str) -> dict:
        return self.private[kty].as_dict(private=False)

    def encrypt(self, header: dict, content: bytes, jwk: dict) -> str:
        key = joserfc.jwk.import_key({name: value for name, value in jwk.items() if name not in ("alg", "use")})
        return joserfc.jwe.encrypt_compact(header, content, key, registry=self.registry)

    def decrypt(self, message: str, kty: str) -> tuple[dict, bytes]:
        read = joserfc.jwe.decrypt_compact(message, self.private[kty], registry=self.registry)
        return read.protected, read.plaintext


class JwCrypto:
    """https://pypi.org/project/jwcrypto"""

    name = "jwcrypto"

    def __init__(self):
        ec = jwcrypto.jwk.JWK.generate(kty="EC", crv="P-256", kid="jwcrypto/ec", use="enc")
        self.private = {"EC": ec, "RSA": jwcrypto.jwk.JWK.generate(kty="RSA", size=2048, alg="RSA-OAEP-256")}

    def public(self, kty: str) -> dict:
        return self.private[kty].export_public(as_dict=True)

    def encrypt(self, header: dict, content: bytes, jwk: dict) -> str:
        algorithms = [header["alg"], header["enc"]]
        message = jwcrypto.jwe.JWE(content, json.dumps(header), algs=algorithms)
        key = {name: value for name, value in jwk.items() if name not in ("alg", "use")}
        message.add_recipient(jwcrypto.jwk.JWK(**key))
        return message.serialize(compact=True)

    def decrypt(self, message: str, kty: str) -> tuple[dict, bytes]:
        read = jwcrypto.jwe.JWE(algs=[*ALGORITHMS.values(), "A256GCM"])
        read.deserialize(message, self.private[kty])
        return read.jose_header, read.payload


class Jose:
    """https://www.npmjs.com/package/jose, by lines of JSON to node."""

    name = "jose"

    def __init__(self, folder: Path):
        script = Path(__file__).with_name("jose.mjs").resolve()
        self.process = subprocess.Popen(
            ["node", script, folder.resolve()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self.keys = self.ask({"keys": True})

    def ask(self, question: dict) -> dict:
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"✘ node ended with {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer

    def public(self, kty: str) -> dict:
        return self.keys[kty]

    def encrypt(self, header: dict, content: bytes, jwk: dict) -> str:
        return self.ask({"encrypt": encode(content), "header": header, "jwk": jwk})["message"]

    def decrypt(self, message: str, kty: str) -> tuple[dict, bytes]:
        read = self.ask({"decrypt": message, "kty": kty})
        return read["header"], decode(read["content"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--command", required=True, help="the example `jwe` of portcullis-function")
    parser.add_argument("--out", required=True, type=Path, help="the folder for keys, with node/ in it")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    function = Function(arguments.command, operators_keys(arguments.out))

    others = [JoseRfc(), JwCrypto()]
    if shutil.which("node") is None:
        print("!! SKIPPED: there is no node, jose (npm) was not tried", file=sys.stderr)
    elif not (arguments.out / "node/node_modules/jose").is_dir():
        print("!! SKIPPED: jose is not installed under OUT/node, it was not tried", file=sys.stderr)
    else:
        others.append(Jose(arguments.out / "node"))

    for other in others:
        count = sum(exchanged(function, other, *kinds) for kinds in ((a, b) for a in ALGORITHMS for b in ALGORITHMS))
        refused = refusals(function, other)
        print(f"  {other.name:8}  {count:3} messages read by each other, {refused} refused that have to be", file=sys.stderr)
    rotated(function, others)
    print("  keys that were replaced still decrypt", file=sys.stderr)
    return 0


def exchanged(function: Function, other, kty: str, reply_kty: str) -> int:
    """Requests to one of the function's keys, answered to one of the caller's."""
    key, reply_jwk = function.keys()[kty], other.public(reply_kty)
    parties = [{}]
    # How apu and apv are handed over differs among the libraries; all of them write them into the header.
    if kty == "EC" and other.name == "jwcrypto":
        parties.append({"apu": encode(b"Alice"), "apv": encode(b"Bob")})
    # jwcrypto takes an empty content for none.
    contents = [content for content in CONTENTS if content or other.name != "jwcrypto"]
    for content in contents:
        for party in parties:
            header = head(key) | {"cty": "json", "reply_jwk": reply_jwk} | party
            answer = function.decrypt(other.encrypt(header, content, key))
            expect("refused" not in answer, f"{other.name}'s message is refused: {answer}")
            expect(decode(answer["content"]) == content, f"{other.name}'s message is read as another")
            expect(answer["content_type"] == "application/json", f"of type {answer['content_type']}")
            protected, read = other.decrypt(answer["answer"], reply_kty)
            expect(read == content, f"the answer is read as another by {other.name}")
            expect(protected["alg"] == ALGORITHMS[reply_kty] and protected["cty"] == "json", f"the answer's header: {protected}")
            expect(protected.get("kid") == reply_jwk.get("kid"), f"the answer's kid: {protected}")
    return 2 * len(contents) * len(parties)


def refusals(function: Function, other) -> int:
    """What is well encrypted and must be refused all the same."""
    keys, problems = function.keys(), set()
    ec, rsa_key = keys["EC"], keys["RSA"]
    bad = [
        ("another algorithm", ec, {"alg": "ECDH-ES"}),
        ("another wrapping", ec, {"alg": "ECDH-ES+A128KW"}),
        ("SHA-1", rsa_key, {"alg": "RSA-OAEP"}),
        ("another content encryption", rsa_key, {"enc": "A128GCM"}),
        ("compression", ec, {"zip": "DEF"}),
        ("another key's kid", ec, {"kid": rsa_key["kid"]}),
        ("an unknown kid", rsa_key, {"kid": "x"}),
        ("a message within the message", ec, {"cty": "JWT"}),
    ]
    count = 0
    for what, key, changed in bad:
        header = head(key) | {"reply_jwk": other.public("EC")} | changed
        try:
            message = other.encrypt(header, b'{"text":"hello"}', key)
        except Exception as error:
            # This one does not write such messages.
            print(f"  {other.name:8}  {what}: not written ({type(error).__name__})", file=sys.stderr)
            continue
        answer = function.decrypt(message)
        expect("refused" in answer, f"{other.name}'s message with {what} is accepted")
        problems.add(json.dumps(answer["problem"], sort_keys=True))
        count += 1
    expect(count >= 4 and len(problems) == 1, f"{count} refused, in {len(problems)} ways: {problems}")
    return count


def rotated(function: Function, others: list):
    old = function.keys()["EC"]
    new = by_type(function.ask({"rotate": 3700}))["EC"]
    expect(old["kid"] != new["kid"], "the key was not replaced")
    for other in others:
        for key in (old, new):
            message = other.encrypt(head(key) | {"reply_jwk": other.public("EC")}, b"{}", key)
            expect("content" in function.decrypt(message), f"{other.name}: a key that was replaced does not decrypt")


def head(key: dict) -> dict:
    return {"alg": key["alg"], "enc": "A256GCM", "kid": key["kid"]}


def by_type(key_set: dict) -> dict:
    return {key["kty"]: key for key in key_set["keys"]}


def operators_keys(out: Path) -> Path:
    """An RSA key as the operator of a function has it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = out / "decryption-keys.pem"
    file.write_bytes(pem)
    return file


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def expect(is_so: bool, otherwise: str):
    if not is_so:
        sys.exit(f"✘ {otherwise}")


if __name__ == "__main__":
    sys.exit(main())
