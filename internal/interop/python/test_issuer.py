"""A test in another language with `signet serve --test` as its issuer. PyJWT verifies what the issuer mints, before and after
the clock moves, the keys rotate and a key is revoked. Prints the name of each step that went as it must. See ../issuer_for_tests_test.go."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

import jwt

AUDIENCE = "https://api.example.com"

signet = subprocess.Popen(
    [sys.argv[1], "serve", "--test", "--until-eof"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    env=os.environ | {"SIGNET_TOKENS_AUDIENCE": AUDIENCE},
)
issuer = json.loads(signet.stdout.readline())


def control(path, body=None, token=issuer["control_token"]):
    request = urllib.request.Request(issuer["control"] + path, headers={"Authorization": "Bearer " + token})
    if body is not None:
        request.data = json.dumps(body).encode()
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def mint(**recipe):
    return control("/mint", recipe)["token"]


def verify(token):
    """Returns what is wrong with a token, by a client that has no key set yet."""
    keys = jwt.PyJWKClient(issuer["jwks_uri"])
    try:
        jwt.decode(token, keys.get_signing_key_from_jwt(token), algorithms=["RS256", "EdDSA"], issuer=issuer["issuer"], audience=AUDIENCE)
        return None
    except (jwt.InvalidTokenError, jwt.PyJWKClientError) as error:
        return type(error).__name__


def step(name, ok):
    if not ok:
        raise SystemExit(f"{name} went wrong")
    print(name, flush=True)


def signing():
    return next(key["kid"] for key in control("/")["keys"] if key["alg"] == "RS256" and key["state"] == "active")


token = mint(claims={"scope": "notes:read"})
step("mint", verify(token) is None)
step("EdDSA", verify(mint(alg="EdDSA")) is None)
step("audience", verify(mint(claims={"aud": "https://other.example.com"})) == "InvalidAudienceError")
step("none", verify(mint(alg="none")) is not None)
step("HS256", verify(mint(alg="HS256")) is not None)

# PyJWT has a clock of its own, so the issuer's goes back: what it signs now has expired.
before = control("/")["now"]
now = control("/clock", {"advance": "-1h"})["now"]
step("clock", now < before and verify(mint()) == "ExpiredSignatureError")
control("/clock", {"advance": "1h"})

kid = signing()
control("/rotate", {})
step("rotate", signing() != kid and verify(token) is None and verify(mint()) is None)
revoked = signing()
last = mint()
control("/revoke", {"kids": [revoked]})
step("revoke", verify(last) == "PyJWKClientError" and verify(mint()) is None)

try:
    control("/", token="a guess")
    step("control", False)
except urllib.error.HTTPError as error:
    step("control", error.code == 401)

signet.stdin.close()  # as when this program dies
step("end", signet.wait(30) == 0)
