"""What PyJWT and joserfc say of a token. Each chooses the key, verifies and reads the claims by itself."""

import json

import joserfc.errors
import joserfc.jwk
import joserfc.jwt
import jwt

ISSUER = "https://issuer.example"
AUDIENCE = "scam-detector"
LEEWAY_SECONDS = 30

# What a caller may get to see of them for a bad token. Whatever else is raised is no verdict of theirs, and counts as "not
# valid" all the same: who cannot read a token does not accept it.
VALID = None


class PyJwt:
    """https://pypi.org/project/PyJWT"""

    def __init__(self, jwks: dict):
        self.keys = {jwk["kid"]: jwt.PyJWK(jwk) for jwk in jwks["keys"]}

    def verdict(self, token: bytes) -> str | None:
        """None if it is valid, else why not."""
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            if kid is None and len(self.keys) == 1:
                (key,) = self.keys.values()
            else:
                key = self.keys[kid]
            jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=ISSUER,
                audience=AUDIENCE,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            return VALID
        except Exception as error:
            return type(error).__name__


class JoseRfc:
    """https://pypi.org/project/joserfc"""

    def __init__(self, jwks: dict):
        self.keys = joserfc.jwk.KeySet.import_key_set(json.loads(json.dumps(jwks)))
        self.algorithms = sorted({jwk["alg"] for jwk in jwks["keys"]})
        self.claims = joserfc.jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": ISSUER},
            aud={"essential": True, "value": AUDIENCE},
            sub={"essential": True},
            exp={"essential": True},
        )

    def verdict(self, token: bytes) -> str | None:
        """None if it is valid, else why not."""
        try:
            decoded = joserfc.jwt.decode(token, self.keys, algorithms=self.algorithms)
            self.claims.validate(decoded.claims)
            return VALID
        except Exception as error:
            return type(error).__name__
