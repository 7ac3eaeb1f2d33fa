"""Keys for every algorithm, the same for the same seed, and what can be signed with them.

Nothing here knows of JSON Web Tokens' rules: a token is signed as it is asked for, however wrong it is.
"""

import base64
import json
from random import Random

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.hmac import HMAC

ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"),
    *("HS256", "HS384", "HS512"),
)
HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
CURVE_NAMES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
# The order of the group of Ed25519 (RFC 8032 §5.1).
EDWARDS_ORDER = 2**252 + 27742317777372353535851937790883648493


def encode(data: bytes) -> str:
    """base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(value: int, length: int | None = None) -> bytes:
    return value.to_bytes(length or (value.bit_length() + 7) // 8, "big")


class Key:
    """A key for one algorithm."""

    def __init__(self, algorithm: str, kid: str, seed: Random):
        self.algorithm, self.kid = algorithm, kid
        if algorithm == "EdDSA":
            self.private = ed25519.Ed25519PrivateKey.from_private_bytes(seed.randbytes(32))
            raw = self.private.public_key().public_bytes_raw()
            members = {"kty": "OKP", "crv": "Ed25519", "x": encode(raw)}
        elif algorithm in CURVES:
            scalar = seed.randrange(1, CURVES[algorithm].group_order)
            self.private = ec.derive_private_key(scalar, CURVES[algorithm]())
            point = self.private.public_key().public_numbers()
            length = self.coordinate_length
            x, y = encode(number(point.x, length)), encode(number(point.y, length))
            members = {"kty": "EC", "crv": CURVE_NAMES[algorithm], "x": x, "y": y}
        elif algorithm.startswith("HS"):
            self.private = seed.randbytes(int(algorithm[2:]) // 8 + seed.randrange(20))
            members = {"kty": "oct", "k": encode(self.private)}
        else:
            self.private = rsa_key(seed)
            public = self.private.public_key().public_numbers()
            members = {"kty": "RSA", "n": encode(number(public.n)), "e": encode(number(public.e))}
        self.jwk = members | {"kid": kid, "alg": algorithm, "use": "sig"}

    @property
    def coordinate_length(self) -> int:
        return (CURVES[self.algorithm].key_size + 7) // 8

    @property
    def is_symmetric(self) -> bool:
        return isinstance(self.private, bytes)

    def sign(self, message: bytes, algorithm: str | None = None) -> bytes:
        """Signs, with another algorithm of the same kind of key if one is named."""
        algorithm = algorithm or self.algorithm
        if self.is_symmetric:
            return hmac(self.private, algorithm, message)
        if algorithm == "EdDSA":
            return self.private.sign(message)
        digest = HASHES[algorithm[2:]]()
        if algorithm.startswith("ES"):
            r, s = utils.decode_dss_signature(self.private.sign(message, ec.ECDSA(digest, deterministic_signing=True)))
            return number(r, self.coordinate_length) + number(s, self.coordinate_length)
        scheme = padding.PKCS1v15()
        if algorithm.startswith("PS"):
            scheme = padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH)
        return self.private.sign(message, scheme, digest)

    def as_secrets(self) -> list[bytes]:
        """What a lax verifier could take for an HMAC secret: the public key in every form in which it is passed around."""
        public = self.private.public_key()
        form, of = serialization.PublicFormat, serialization.Encoding
        pem = public.public_bytes(of.PEM, form.SubjectPublicKeyInfo)
        der = public.public_bytes(of.DER, form.SubjectPublicKeyInfo)
        jwk = json.dumps(self.jwk, separators=(",", ":")).encode()
        secrets = [pem, pem.strip(), b" " + pem, pem.replace(b"\n", b"\r\n"), der]
        secrets += [base64.b64encode(der), jwk, json.dumps(self.jwk).encode()]
        secrets += [decode(self.jwk[name]) for name in ("n", "x") if name in self.jwk]
        if "n" in self.jwk:
            secrets.append(public.public_bytes(of.PEM, form.PKCS1))
            secrets.append(public.public_bytes(of.DER, form.PKCS1))
        return secrets


class SameRsa(Key):
    """Another algorithm's key made of the same RSA key, which is slow to find."""

    def __init__(self, algorithm: str, other: Key):
        self.algorithm, self.kid, self.private = algorithm, other.kid, other.private
        self.jwk = other.jwk | {"alg": algorithm}


def hmac(secret: bytes, algorithm: str, message: bytes) -> bytes:
    code = HMAC(secret, HASHES[algorithm[2:]]())
    code.update(message)
    return code.finalize()


def rsa_key(seed: Random) -> rsa.RSAPrivateKey:
    """2048 bits from a seed, which no library offers, for good reason."""
    exponent = 65537
    while True:
        p, q = prime(seed), prime(seed)
        if p != q and (p - 1) % exponent and (q - 1) % exponent:
            break
    d = pow(exponent, -1, (p - 1) * (q - 1))
    dmp1, dmq1 = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q)
    public = rsa.RSAPublicNumbers(exponent, p * q)
    return rsa.RSAPrivateNumbers(p, q, d, dmp1, dmq1, rsa.rsa_crt_iqmp(p, q), public).private_key()


def prime(seed: Random) -> int:
    """1024 bits, the two highest set, so that the product of two has 2048 (Miller and Rabin 1980)."""
    while True:
        candidate = seed.getrandbits(1024) | 3 << 1022 | 1
        if all(candidate % small for small in SMALL_PRIMES) and all(
            is_probably_prime(candidate, seed.randrange(2, candidate - 1)) for _ in range(8)
        ):
            return candidate


def is_probably_prime(candidate: int, base: int) -> bool:
    odd, twos = candidate - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    power = pow(base, odd, candidate)
    if power in (1, candidate - 1):
        return True
    for _ in range(twos - 1):
        power = power * power % candidate
        if power == candidate - 1:
            return True
    return False


SMALL_PRIMES = [n for n in range(3, 2000, 2) if all(n % m for m in range(3, int(n**0.5) + 1, 2))]


class KeySet:
    """The keys that one issuer publishes, two for each algorithm, so that a `kid` is needed."""

    def __init__(self, name: str, keys: list[Key]):
        self.name, self.keys = name, keys
        self.jwks = {"keys": [key.jwk for key in keys]}


def key_sets(seed: Random) -> list[KeySet]:
    """A set for every algorithm, one with all public keys in it, and one with a single key, which needs no `kid`."""
    sets, rsa_keys = [], [Key("RS256", kid, seed) for kid in ("a", "b")]
    for algorithm in ALGORITHMS:
        if algorithm[:2] in ("RS", "PS"):
            keys = [SameRsa(algorithm, key) for key in rsa_keys]
        else:
            keys = [Key(algorithm, kid, seed) for kid in ("a", "b")]
        sets.append(KeySet(algorithm, keys))
    mixed = [SameRsa(name, rsa_keys[0]) for name in ALGORITHMS[:6]]
    mixed += [Key(name, name, seed) for name in ALGORITHMS[6:10]]
    for key in mixed:
        key.kid = key.jwk["kid"] = key.algorithm
    sets.append(KeySet("mixed", mixed))
    sets.append(KeySet("single", [Key("ES256", "a", seed)]))
    return sets
