"""Verifies tokens with PyJWT. See ../doc.go for the protocol."""

import json
import sys
import urllib.request

import jwt

issuer = sys.argv[1]
with urllib.request.urlopen(issuer + "/.well-known/openid-configuration") as answer:
    discovery = json.load(answer)
keys = jwt.PyJWKClient(discovery["jwks_uri"], cooldown_duration=0)


def verify(token, audience, typ):
    key = keys.get_signing_key_from_jwt(token)
    verified = jwt.decode_complete(
        token,
        key,
        algorithms=["RS256", "PS256", "ES256", "EdDSA"],
        issuer=issuer,
        audience=audience,
        options={"require": ["exp", "iss", "aud", "sub"]},
    )
    if verified["header"].get("typ", "").lower() != typ.lower():
        raise jwt.InvalidTokenError(f"typ is not {typ}")
    return verified["payload"]


for line in sys.stdin:
    try:
        request = json.loads(line)
        if request.pop("reload", False):
            keys.get_jwk_set(refresh=True)
            response = {}
        else:
            response = {"claims": verify(**request)}
    except jwt.PyJWTError as err:
        response = {"error": f"{type(err).__name__}: {err}"}
    print(json.dumps(response), flush=True)
