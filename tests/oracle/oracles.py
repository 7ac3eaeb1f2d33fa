"""What PyJWT and joserfc say of a token. Each chooses the key, verifies and reads the claims by itself."""

import json

import joserfc.errors
import joserfc.jwk
import joserfc.jws
import joserfc.jwt
import jwt

ISSUER = "https://issuer.example"
AUDIENCE = "scam-detector"
LEEWAY_SECONDS = 30
# The longest token that Portcullis looks at.
MAXIMUM_TOKEN_BYTES = 16 * 1024

# Whatever is raised for a token, of the libraries' own errors or not, counts as "not valid": who cannot read a token does
# not accept it.
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
        # Bounds of its own say nothing of whether a token is valid: by default it takes headers of at most 512 bytes, where a
        # chain of certificates does not fit, and none with a parameter that it does not know, which are to be ignored
        # (RFC 7515 §4). What is critical it checks all the same.
        self.registry = joserfc.jws.JWSRegistry(algorithms=self.algorithms, strict_check_header=False)
        self.registry.max_header_length = MAXIMUM_TOKEN_BYTES
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
            decoded = joserfc.jwt.decode(token, self.keys, algorithms=self.algorithms, registry=self.registry)
            self.claims.validate(decoded.claims)
            return VALID
        except Exception as error:
            return type(error).__name__
