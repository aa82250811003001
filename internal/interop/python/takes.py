"""Says which of these libraries take an access token, and which refuse it. See ../node/takes.js."""

import json
import sys
import urllib.request

import jwt
from joserfc import jwk
from joserfc import jwt as joserfc_jwt
from jose import jwt as jose_jwt

told = json.load(sys.stdin)
issuer = told["issuer"]
url = issuer + "/.well-known/jwks.json"
with urllib.request.urlopen(url) as answer:
    keys = json.load(answer)


def pyjwt(token, audience, alg):
    jwt.decode(token, jwt.PyJWKClient(url).get_signing_key_from_jwt(token), algorithms=[alg], audience=audience, issuer=issuer)


def joserfc(token, audience, alg):
    claims = joserfc_jwt.decode(token, jwk.KeySet.import_key_set(keys), algorithms=[alg]).claims
    joserfc_jwt.JWTClaimsRegistry(iss={"essential": True, "value": issuer}, aud={"essential": True, "value": audience}).validate(claims)


def python_jose(token, audience, alg):
    jose_jwt.decode(token, keys, algorithms=[alg], audience=audience, issuer=issuer)


for library, verify in {"PyJWT": pyjwt, "joserfc (Authlib's)": joserfc, "python-jose": python_jose}.items():
    for t in told["tokens"]:
        error = ""
        try:
            verify(t["token"], t["audience"], t["alg"])
        except Exception as err:
            error = f"{type(err).__name__}: {err}"
        print(json.dumps({"library": library, "alg": t["alg"], "error": error}))
