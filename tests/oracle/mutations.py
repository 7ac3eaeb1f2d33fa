"""Tokens, good and bad. Every function below that is registered makes one token of its class.

What is wrong with a token is signed wherever somebody who holds the key could have signed it: a verifier must see it
without the help of a signature that does not match.
"""

import json
from collections.abc import Callable
from random import Random

from cryptography.hazmat.primitives.asymmetric import utils

from keys import ALGORITHMS, EDWARDS_ORDER, CURVES, Key, KeySet, decode, encode, hmac, number
from oracles import AUDIENCE, ISSUER

# Further from now than any machine is slow, and than clocks are let differ.
MARGIN_SECONDS = 1800


class Mint:
    """Makes tokens by one issuer's keys."""

    def __init__(self, keys: KeySet, random: Random, now: int):
        self.keys, self.random, self.now = keys, random, now

    def key(self) -> Key:
        return self.random.choice(self.keys.keys)

    def header(self, key: Key) -> dict:
        return {"alg": key.algorithm, "kid": key.kid, "typ": "JWT"}

    def claims(self) -> dict:
        random = self.random
        claims = {
            "iss": ISSUER,
            "sub": random.choice(["alice", "bob", "svc-7", "zoë", "0", "a b"]),
            "aud": random.choice([AUDIENCE, [AUDIENCE], ["other", AUDIENCE]]),
            "exp": self.now + random.randrange(MARGIN_SECONDS, 100 * MARGIN_SECONDS),
        }
        optional = {
            "iat": self.now - random.randrange(3600),
            "nbf": self.now - random.randrange(3600),
            "jti": random.randbytes(8).hex(),
            "tenant": random.choice(["acme", "globex"]),
            "roles": random.choice([["caller"], ["caller", "admin"], "caller", []]),
            "scope": random.choice(["a b", "", "openid"]),
            "email_verified": random.choice([True, False, None]),
            "realm_access": {"roles": ["x"], "level": [1, 2.5, {"deep": None}]},
            "名": "💶 \u0000 \u2028 é",
            "text": "x" * random.randrange(3000),
        }
        names = random.sample(sorted(optional), random.randrange(len(optional)))
        return claims | {name: optional[name] for name in names}

    def json(self, value: object) -> bytes:
        style = self.random.choice([(",", ":"), (", ", ": "), (" ,\n", " :\t")])
        ascii_only = self.random.random() < 0.5
        return json.dumps(value, separators=style, ensure_ascii=ascii_only).encode()

    def sign(self, key: Key, header: bytes | dict, payload: bytes | dict, **how) -> bytes:
        header = header if isinstance(header, bytes) else self.json(header)
        payload = payload if isinstance(payload, bytes) else self.json(payload)
        signed = f"{encode(header)}.{encode(payload)}".encode()
        return signed + b"." + encode(key.sign(signed, **how)).encode()

    def good(self, key: Key | None = None) -> bytes:
        key = key or self.key()
        return self.sign(key, self.header(key), self.claims())

    def parts(self) -> tuple[bytes, bytes, bytes]:
        header, payload, signature = self.good().split(b".")
        return header, payload, signature

    def with_header(self, **changes: object) -> bytes:
        """Signed with these parameters; those that are `...` are left out."""
        key = self.key()
        return self.sign(key, changed(self.header(key), changes), self.claims())

    def with_claims(self, **changes: object) -> bytes:
        """Likewise, with these claims."""
        key = self.key()
        return self.sign(key, self.header(key), changed(self.claims(), changes))

    def with_signature(self, key: Key, change: Callable[[bytes, bytes], bytes]) -> bytes:
        """A good token of this key whose signature is `change(signature, signed)`."""
        signed, _, signature = self.good(key).rpartition(b".")
        return signed + b"." + encode(change(decode(signature.decode()), signed)).encode()


def changed(members: dict, changes: dict) -> dict:
    return {name: value for name, value in (members | changes).items() if value is not ...}


CLASSES: list[tuple[str, int, Callable[[Mint], bytes | None]]] = []


def kind(name: str, weight: int = 1):
    """Registers a class. `weight`: how many tokens of it there are for each of a class of weight 1."""

    def register(make: Callable[[Mint], bytes | None]):
        CLASSES.append((name, weight, make))
        return make

    return register


GOOD = "good"


@kind(GOOD, 20)
def good(mint: Mint) -> bytes:
    key = mint.key()
    header = mint.header(key)
    if mint.random.random() < 0.3:
        header = changed(header, {"typ": mint.random.choice([..., "at+jwt", "application/at+jwt", "jwt"])})
    if len(mint.keys.keys) == 1 and mint.random.random() < 0.3:
        del header["kid"]
    return mint.sign(key, header, mint.claims())


@kind("bit flipped", 6)
def bit_flipped(mint: Mint) -> bytes:
    parts = [bytearray(decode(part.decode())) for part in mint.parts()]
    part = mint.random.choice(parts)
    part[mint.random.randrange(len(part))] ^= 1 << mint.random.randrange(8)
    return b".".join(encode(bytes(part)).encode() for part in parts)


@kind("byte changed", 4)
def byte_changed(mint: Mint) -> bytes:
    token = bytearray(mint.good())
    place = mint.random.randrange(len(token))
    token[place] = mint.random.choice([byte for byte in range(256) if byte not in (10, 13, token[place])])
    return bytes(token)


@kind("truncated", 3)
def truncated(mint: Mint) -> bytes:
    token = mint.good()
    cut = mint.random.choice([1, 2, 3, 4, mint.random.randrange(1, len(token))])
    return mint.random.choice([token[:-cut], token[cut:]])


@kind("parts missing or too many", 2)
def wrong_parts(mint: Mint) -> bytes:
    header, payload, signature = mint.parts()
    return mint.random.choice(
        [
            header + b"." + payload,
            header + b"." + payload + b".",
            header + b".." + signature,
            b"." + payload + b"." + signature,
            header + b"." + payload + b"." + signature + b".",
            header + b"." + payload + b"." + signature + b"." + signature,
            b"." + header + b"." + payload + b"." + signature,
            header + b"." + payload + b".." + signature,
            b"..",
            b"",
            b"." * mint.random.randrange(1, 5000),
            header,
        ]
    )


@kind("bytes inserted", 3)
def bytes_inserted(mint: Mint) -> bytes:
    token = mint.good()
    place = mint.random.choice([0, len(token), mint.random.randrange(len(token))])
    what = mint.random.choice([b" ", b"\t", b"=", b"\0", b"\xc2\xa0", b"\xff", b",", b'"', b"%", b"\x0b", b"A"])
    return token[:place] + what * mint.random.choice([1, 2, 4]) + token[place:]


@kind("base64url written otherwise", 5)
def other_spelling(mint: Mint) -> bytes:
    parts = list(mint.parts())
    index = mint.random.randrange(3)
    part = parts[index]
    way = mint.random.randrange(4)
    if way == 0:
        part += b"=" * (-len(part) % 4 or 4)
    elif way == 1:
        # The alphabet of base64; the same bytes to who is lenient.
        if not set(part) & set(b"-_"):
            return None
        part = part.translate(bytes.maketrans(b"-_", b"+/"))
    elif way == 2:
        # Bits that say nothing, but are not zero.
        spare = {2: 16, 3: 4}.get(len(part) % 4)
        if spare is None:
            return None
        alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        last = alphabet.index(part[-1]) | mint.random.randrange(1, spare)
        part = part[:-1] + alphabet[last : last + 1]
    else:
        place = mint.random.randrange(len(part) + 1)
        part = part[:place] + mint.random.choice([b" ", b"\t", b"\r "]) + part[place:]
    parts[index] = part
    return b".".join(parts)


@kind("base64url written otherwise, and signed so", 3)
def other_spelling_signed(mint: Mint) -> bytes | None:
    key = mint.key()
    parts = [encode(mint.json(mint.header(key))).encode(), encode(mint.json(mint.claims())).encode()]
    index = mint.random.randrange(2)
    part = parts[index]
    padded = part + b"=" * (-len(part) % 4)
    standard = part.translate(bytes.maketrans(b"-_", b"+/"))
    spaced = part[:5] + b" " + part[5:]
    parts[index] = mint.random.choice([padded, standard, spaced, part + b"=", part + b"%3D"])
    if parts[index] == part:
        return None
    signed = b".".join(parts)
    return signed + b"." + encode(key.sign(signed)).encode()


@kind("parts of two tokens", 4)
def swapped(mint: Mint) -> bytes:
    one, other = list(mint.parts()), mint.parts()
    for index in mint.random.choice([[0], [1], [2], [0, 2], [0, 1]]):
        one[index] = other[index]
    return b".".join(one)


@kind("signed by another key of the set", 2)
def other_key(mint: Mint) -> bytes | None:
    one, other = mint.key(), mint.key()
    if one is other or one.private is other.private:
        return None
    return mint.sign(other, mint.header(one) | {"alg": other.algorithm}, mint.claims())


@kind("signed by a stranger", 2)
def stranger(mint: Mint) -> bytes | None:
    key = mint.key()
    if key.algorithm[:2] in ("RS", "PS"):
        return None
    return mint.sign(Key(key.algorithm, key.kid, mint.random), mint.header(key), mint.claims())


@kind("alg that is none", 4)
def none(mint: Mint) -> bytes:
    spellings = ["none", "None", "NONE", "nOnE", "none ", " none", "", None, ..., ["none"], 0, {"alg": "none"}, False]
    key = mint.key()
    header = changed(mint.header(key), {"alg": mint.random.choice(spellings)})
    token = mint.sign(key, header, mint.claims())
    return token if mint.random.random() < 0.5 else token[: token.rindex(b".") + 1]


@kind("another alg, signed with the key's", 4)
def other_name(mint: Mint) -> bytes:
    key = mint.key()
    odd = ["rs256", "es256", "hs256", "RS256 ", "ES256K", "Ed448", "HS1", "RSA-OAEP", "dir", "A256GCM", "ES256\0"]
    others = [name for name in (*ALGORITHMS, *odd) if name != key.algorithm]
    return mint.sign(key, mint.header(key) | {"alg": mint.random.choice(others)}, mint.claims())


@kind("another alg, signed with it", 4)
def other_algorithm(mint: Mint) -> bytes | None:
    """The key could do it; it is not for it."""
    key = mint.key()
    if key.algorithm in ("EdDSA", "ES256", "ES384", "ES512"):
        return None
    kinds = ("HS",) if key.is_symmetric else ("RS", "PS")
    others = [name for name in ALGORITHMS if name[:2] in kinds and name != key.algorithm]
    algorithm = mint.random.choice(others)
    return mint.sign(key, mint.header(key) | {"alg": algorithm}, mint.claims(), algorithm=algorithm)


@kind("public key as secret", 8)
def confusion(mint: Mint) -> bytes | None:
    key = mint.key()
    secret = mint.random.choice([b"", b"\0", b"secret", key.kid.encode()])
    if not key.is_symmetric and mint.random.random() < 0.9:
        secret = mint.random.choice(key.as_secrets())
    algorithm = mint.random.choice(["HS256", "HS384", "HS512"])
    named = mint.random.choice([algorithm, algorithm, key.algorithm])
    header = changed(mint.header(key) | {"alg": named}, mint.random.choice([{}, {}, {"kid": ...}]))
    signed = f"{encode(mint.json(header))}.{encode(mint.json(mint.claims()))}".encode()
    return signed + b"." + encode(hmac(secret, algorithm, signed)).encode()


@kind("kid of nobody", 4)
def kid(mint: Mint) -> bytes:
    ids = ["../../dev/null", "' OR 1=1 --", "a\0", "", "A", " a", "a ", "$(id)", "c", None, 0, True, ["a"], {"a": 1}]
    ids += ["x" * 300, "a/../a", "http://issuer.example/a", ...]
    if len(mint.keys.keys) == 1:
        ids.remove(...)
    return mint.with_header(kid=mint.random.choice(ids))


WRONG_TIMES = ["9999999999", "", "now", -1, -1e400, 1e400, float("nan"), None, [], {}, True, "1e10", [9999999999]]


@kind("times of the wrong type", 5)
def time_types(mint: Mint) -> bytes:
    name = mint.random.choice(["exp", "exp", "nbf", "iat"])
    return mint.with_claims(**{name: mint.random.choice(WRONG_TIMES)})


@kind("times that are numbers all the same", 2)
def time_numbers(mint: Mint) -> bytes:
    later, before = mint.now + MARGIN_SECONDS, mint.now - MARGIN_SECONDS
    changes = [{"exp": later + 0.5}, {"exp": float(later)}, {"nbf": before + 0.25}, {"iat": before + 0.75}]
    changes += [{"exp": 10**20}, {"exp": 2**63}, {"exp": 2**64}, {"exp": 253402300800}, {"nbf": 0}, {"iat": 0}]
    return mint.with_claims(**mint.random.choice(changes))


@kind("not now", 6)
def not_now(mint: Mint) -> bytes:
    earlier = mint.random.choice([0, 1, mint.now - MARGIN_SECONDS, mint.now - 60, mint.now - 10**8])
    later = mint.random.choice([mint.now + MARGIN_SECONDS, mint.now + 10**8, 2**40])
    return mint.with_claims(**mint.random.choice([{"exp": earlier}, {"nbf": later}, {"iat": later}, {"exp": ...}]))


@kind("issuer or audience of somebody else", 6)
def elsewhere(mint: Mint) -> bytes:
    issuers = [ISSUER + "/", ISSUER.upper(), ISSUER[:-1], ISSUER + " ", "", None, ..., [ISSUER], [ISSUER, "x"], 1, {}]
    audiences = ["other", "", None, ..., [], [None], {AUDIENCE: 1}, AUDIENCE + " ", AUDIENCE.upper(), 1, [[AUDIENCE]]]
    audiences += [AUDIENCE[:-1], AUDIENCE + "x", True, [AUDIENCE, 1], [1, AUDIENCE]]
    name, values = mint.random.choice([("iss", issuers), ("aud", audiences)])
    return mint.with_claims(**{name: mint.random.choice(values)})


@kind("other claims of the wrong type", 3)
def other_types(mint: Mint) -> bytes:
    name = mint.random.choice(["sub", "sub", "jti", "roles", "scope", "tenant", "cnf"])
    return mint.with_claims(**{name: mint.random.choice([1, None, [], {}, True, "", ["a", 1], ..., [["a"]]])})


@kind("duplicate members", 4)
def duplicates(mint: Mint) -> bytes:
    key = mint.key()
    header, claims = json.dumps(mint.header(key)), json.dumps(mint.claims())
    expired = mint.now - MARGIN_SECONDS
    more_header = [f'"alg":"{key.algorithm}"', '"alg":"none"', '"kid":"x"', '"\\u0061lg":"none"', '"x":1,"x":1']
    more_claims = [f'"exp":{expired}', '"exp":9999999999', '"iss":"https://evil.example"', '"sub":"admin"']
    more_claims += ['"aud":"other"', '"\\u0073ub":"admin"', '"nested":{"a":1,"a":2}']
    if mint.random.random() < 0.5:
        header = spliced(header, mint.random.choice(more_header), mint.random)
    else:
        claims = spliced(claims, mint.random.choice(more_claims), mint.random)
    return mint.sign(key, header.encode(), claims.encode())


def spliced(members: str, more: str, random: Random) -> str:
    return random.choice(["{" + more + "," + members[1:], members[:-1] + "," + more + "}"])


@kind("no JSON object", 5)
def no_json(mint: Mint) -> bytes:
    key = mint.key()
    parts = [mint.json(mint.header(key)), mint.json(mint.claims())]
    index = mint.random.randrange(2)
    text = parts[index]
    parts[index] = mint.random.choice(
        [
            b"\xef\xbb\xbf" + text,
            text + b"x",
            text + text,
            text + b"\0",
            b"[" + text + b"]",
            b"null",
            b"",
            b'"' + text.replace(b'"', b'\\"') + b'"',
            text.replace(b'"', b"'"),
            text[:-1] + b",}",
            text[:-1] + b',"a":NaN}',
            text[:-1] + b',"a":Infinity}',
            text[:-1] + b',"a":01}',
            text[:-1] + b',"a":1e999}',
            text[:-1] + b',"a":"\xff"}',
            text[:-1] + b',"a":"\xed\xa0\x80"}',
            text[:-1] + b',"a":"\\ud800"}',
            text[:-1] + b',"a":"\x01"}',
            text[:-1] + b',"a":"\\x"}',
            text[:-1] + b"/**/}",
            text[:-1],
            text.decode().encode("utf-16"),
            text.decode().encode("utf-32-le"),
        ]
    )
    return mint.sign(key, *parts)


@kind("deep or of many values", 1)
def deep(mint: Mint) -> bytes:
    key = mint.key()
    claims = json.dumps(mint.claims())[:-1].encode()
    depth = mint.random.choice([6, 7, 8, 9, 127, 128, 500, 1900])
    many = b",".join(b"1" for _ in range(mint.random.choice([900, 1100, 3000])))
    nested = mint.random.choice([b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth, b"[" + many + b"]"])
    return mint.sign(key, mint.header(key), claims + b',"a":' + nested + b"}")


@kind("too long", 1)
def long(mint: Mint) -> bytes:
    length = mint.random.choice([11_000, 12_500, 20_000, 100_000])
    url = "https://issuer.example/" + "x" * length
    return mint.random.choice([mint.with_claims(text="x" * length), mint.with_header(x5u=url)])


@kind("header parameters that change what is meant", 8)
def parameters(mint: Mint) -> bytes:
    own = {name: value for name, value in mint.key().jwk.items() if name != "k"}
    changes = [
        *({"crit": value} for value in ([], ["exp"], ["b64"], "exp", None, ["x"], ["alg"], [1], {"x": 1}, ["x", "x"])),
        *({"crit": ["x"], "x": value} for value in (True, 1)),
        *({"b64": value} for value in (False, True, "false", None)),
        *({"b64": value, "crit": ["b64"]} for value in (False, True)),
        *({"cty": value} for value in ("JWT", "jwt", "application/jwt")),
        *({"zip": "DEF"}, {"enc": "A256GCM"}, {"p2c": 2**31}, {"jwk": own}, {"x5c": "a"}),
        *({"typ": value} for value in ("dpop+jwt", "logout+jwt", "JOSE", "JOSE+JSON", "", 1, None, ["JWT"])),
    ]
    return mint.with_header(**mint.random.choice(changes))


@kind("keys brought along", 4)
def brought_along(mint: Mint) -> bytes | None:
    """Signed by a key that stands in the token itself (CVE-2018-0114)."""
    key = mint.key()
    if key.algorithm[:2] in ("RS", "PS"):
        return None
    own = Key(key.algorithm, mint.random.choice([key.kid, "evil"]), mint.random)
    where = [{"jwk": own.jwk}, {"jku": "https://evil.example/jwks"}, {"x5u": "https://evil.example/"}, {"x5c": ["MIIB"]}]
    header = mint.header(key) | {"kid": own.kid} | mint.random.choice(where)
    return mint.sign(own, header, mint.claims())


@kind("detached or unencoded payload", 1)
def unencoded(mint: Mint) -> bytes:
    key = mint.key()
    header = encode(mint.json(mint.header(key) | {"b64": False, "crit": ["b64"]})).encode()
    payload = json.dumps(mint.claims(), separators=(",", ":")).encode()
    signature = encode(key.sign(header + b"." + payload)).encode()
    return header + b"." + mint.random.choice([payload, b"", encode(payload).encode()]) + b"." + signature


@kind("JSON serialisation", 2)
def json_serialisation(mint: Mint) -> bytes:
    header, payload, signature = (part.decode() for part in mint.parts())
    one = {"protected": header, "signature": signature}
    flattened, general = {"payload": payload} | one, {"payload": payload, "signatures": [one]}
    return json.dumps(mint.random.choice([flattened, general, [flattened]])).encode()


@kind("nested", 2)
def nested(mint: Mint) -> bytes:
    key = mint.key()
    header = mint.header(key) | mint.random.choice([{}, {"cty": "JWT"}])
    inner = mint.good()
    return mint.sign(key, header, mint.random.choice([inner, b'"' + inner + b'"', b'{"jwt":"' + inner + b'"}']))


@kind("encrypted", 1)
def encrypted(mint: Mint) -> bytes:
    key = mint.key()
    algorithm = mint.random.choice(["dir", "RSA-OAEP", "PBES2-HS256+A128KW", "none"])
    header = {"alg": algorithm, "enc": "A256GCM", "kid": key.kid, "p2c": 2**30, "zip": "DEF", "cty": "JWT"}
    parts = [mint.json(header), b"", mint.random.randbytes(12), mint.good(), mint.random.randbytes(16)]
    return b".".join(encode(part).encode() for part in parts)


@kind("signature of nothing", 3)
def no_signature(mint: Mint) -> bytes:
    ways = [lambda s, _: b"", lambda s, _: bytes(len(s)), lambda s, _: b"\0", lambda s, _: b"\xff" * len(s)]
    ways += [lambda s, _: s[:-1], lambda s, _: s + b"\0", lambda s, _: b"\0" + s, lambda s, _: s + s, lambda s, _: s[:16]]
    ways += [lambda s, _: s[1:], lambda s, m: m, lambda s, _: s[::-1], lambda s, _: s.hex().encode()]
    return mint.with_signature(mint.key(), mint.random.choice(ways))


@kind("signature of its algebra", 8)
def algebra(mint: Mint) -> bytes | None:
    """Numbers that a careless implementation takes for a signature, or for the same one."""
    key = mint.key()
    if key.is_symmetric:
        return None
    if key.algorithm == "EdDSA":
        return mint.with_signature(key, mint.random.choice(EDWARDS))
    if key.algorithm in CURVES:
        return mint.with_signature(key, elliptic(mint, key))
    return mint.with_signature(key, rsa(mint, key))


def little(value: int) -> bytes:
    return (value % 2**256).to_bytes(32, "little")


# S + L, R and S that are zero, the points of small order (RFC 8032 §5.1.7 and Chalkias et al. 2020).
EDWARDS = [
    lambda s, _: s[:32] + little(int.from_bytes(s[32:], "little") + EDWARDS_ORDER),
    lambda s, _: bytes(64),
    lambda s, _: little(1) + bytes(32),
    lambda s, _: little(1) + s[32:],
    lambda s, _: little(2**255 - 20) + bytes(32),
    lambda s, _: little(2**255 - 18) + bytes(32),
    lambda s, _: s[:31] + bytes([s[31] ^ 0x80]) + s[32:],
    lambda s, _: s[:32] + little(EDWARDS_ORDER - int.from_bytes(s[32:], "little")),
    lambda s, _: s[:63] + bytes([s[63] | 0xE0]),
    lambda s, _: s[32:] + s[:32],
]


def elliptic(mint: Mint, key: Key):
    order, length = CURVES[key.algorithm].group_order, key.coordinate_length

    def change(signature: bytes, _: bytes) -> bytes:
        r, s = (int.from_bytes(half, "big") for half in (signature[:length], signature[length:]))
        # The last but one is a signature as good as the one that was made (malleability): whoever takes it is right.
        pairs = [(0, 0), (0, s), (r, 0), (order, s), (r, order), (order, order), (s, r), (1, 1), (r, order - 1)]
        pairs += [(order - r, s), (r, order - s), ((1 << 8 * length) - 1, s)]
        r, s = mint.random.choice(pairs)
        raw = number(r, length) + number(s, length)
        shorter = number(r).lstrip(b"\0") + number(s).lstrip(b"\0")
        longer = b"\0" + number(r, length) + b"\0" + number(s, length)
        der = utils.encode_dss_signature(r, s)
        original = utils.encode_dss_signature(*(int.from_bytes(half, "big") for half in (signature[:length], signature[length:])))
        return mint.random.choice([raw, raw, raw, der, original, longer, shorter + b"\0"])

    return change


def rsa(mint: Mint, key: Key):
    private = key.private.private_numbers()
    modulus, length = private.public_numbers.n, (key.private.key_size + 7) // 8

    def change(signature: bytes, signed: bytes) -> bytes:
        value = int.from_bytes(signature, "big")
        # What the key's owner could sign, and nobody should take: DigestInfo without its NULL, with bytes after it, with
        # short padding (Bleichenbacher 2006), and other numbers that are the same modulo n.
        digest = bytes(mint.random.randbytes(int(key.algorithm[2:]) // 8))
        prefix = bytes.fromhex("3031300d060960864801650304020105000420")
        short = b"\0\1" + b"\xff" * 8 + b"\0" + prefix + digest
        forged = (short + mint.random.randbytes(length))[:length]
        return mint.random.choice(
            [
                number(modulus - value, length),
                number(modulus, length),
                number(value + modulus, length + 1),
                b"\0" + signature,
                signature.lstrip(b"\0")[1:],
                bytes(length - 1) + b"\1",
                number(pow(int.from_bytes(forged, "big"), private.d, modulus), length),
                number(modulus - 1, length),
                number(pow(value, private.public_numbers.e, modulus), length),
            ]
        )

    return change


@kind("random bytes", 2)
def random_bytes(mint: Mint) -> bytes:
    random = mint.random
    if random.random() < 0.5:
        return bytes(byte for byte in random.randbytes(random.randrange(1, 400)) if byte not in (10, 13))
    return b".".join(encode(random.randbytes(random.randrange(90))).encode() for _ in range(3))
