"""Goes through what an app in Python does with a provider, with Authlib as it comes. See ../doc.go for the protocol."""

import json
import os
import sys
from urllib.parse import parse_qs, urlsplit

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # only for an issuer without https

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwk, jwt

from person import Person

given = json.load(sys.stdin)
provider = requests.get(given["issuer"] + "/.well-known/openid-configuration").json()
person = Person(given["issuer"], given["user"]["email"], given["user"]["password"])


def step(name):
    print(name, flush=True)


def session(client, scope="openid profile email offline_access", **options):
    """A client as Authlib makes one: with a secret, it is client_secret_basic unless the options say otherwise."""
    secret = options.pop("secret", client.get("client_secret"))
    return OAuth2Session(client["client_id"], secret, scope=scope, redirect_uri=client["redirect_uri"],
                         code_challenge_method="S256", **options)


def log_in(oauth, **more):
    verifier, nonce = generate_token(48), generate_token()
    address, state = oauth.create_authorization_url(provider["authorization_endpoint"], code_verifier=verifier, nonce=nonce)
    response = person.open(address)
    answer = parse_qs(urlsplit(response).query)
    assert "error" not in answer, answer
    token = oauth.fetch_token(provider["token_endpoint"], authorization_response=response, code_verifier=verifier, state=state, **more)
    keys = jwk.KeySet.import_key_set(requests.get(provider["jwks_uri"]).json())
    claims = jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims
    assert claims["nonce"] == nonce and claims["iss"] == given["issuer"] and claims["aud"] == oauth.client_id, claims
    user = oauth.get(provider["userinfo_endpoint"]).json()
    assert user["sub"] == claims["sub"] and user["email"] == given["user"]["email"], user
    return token


def refresh(oauth, token):
    fresh = oauth.refresh_token(provider["token_endpoint"], refresh_token=token["refresh_token"])
    assert fresh["access_token"] != token["access_token"] and "id_token" in fresh, fresh.keys()
    return fresh


def assertion(client, **options):
    """private_key_jwt with what Authlib makes by default: an assertion for the token endpoint that is good for an hour."""
    key = next(k for k in client["private_keys"] if k["kty"] == "RSA" and k.get("alg", "RS256") == "RS256")
    oauth = session(client, secret=jwk.import_key(key), token_endpoint_auth_method="private_key_jwt",
                    revocation_endpoint_auth_method="private_key_jwt", **options)
    oauth.register_client_auth_method(PrivateKeyJWT(provider["token_endpoint"]))
    return oauth


step("discovery")

oauth = assertion(given["clients"]["jwt"])
token = log_in(oauth)
step("login with private_key_jwt, whose assertions last an hour")

token = refresh(oauth, token)
step("refresh with private_key_jwt")

answer = oauth.introspect_token(provider["introspection_endpoint"], token["access_token"], token_type_hint="access_token").json()
assert answer["active"] is True and answer["client_id"] == oauth.client_id, answer
answer = oauth.revoke_token(provider["revocation_endpoint"], token["refresh_token"], token_type_hint="refresh_token")
assert answer.status_code == 200, answer.text
assert oauth.get(provider["userinfo_endpoint"]).status_code == 401
step("introspection and revocation with private_key_jwt")

token = assertion(given["clients"]["jwt"], scope="orders:read").fetch_token(
    provider["token_endpoint"], grant_type="client_credentials", resource=given["resource"])
assert token["access_token"] and "refresh_token" not in token, token.keys()
step("client_credentials with private_key_jwt")

refresh(oauth := session(given["clients"]["basic"]), log_in(oauth))
step("client_secret_basic, which is its default")

oauth = session(given["clients"]["post"], token_endpoint_auth_method="client_secret_post")
refresh(oauth, log_in(oauth))
step("client_secret_post")

oauth = session(given["clients"]["post"])
refresh(oauth, log_in(oauth))
step("its default with a client that is registered for client_secret_post")

oauth = session(given["clients"]["basic"], token_endpoint_auth_method="client_secret_post")
refresh(oauth, log_in(oauth))
step("client_secret_post with a client that is registered for client_secret_basic")

for wrong in ({"secret": "wrong"}, {"secret": "wrong", "token_endpoint_auth_method": "client_secret_post"}):
    try:
        log_in(session(given["clients"]["basic"], **wrong))
        raise AssertionError("a wrong secret was accepted")
    except Exception as err:
        assert getattr(err, "error", None) == "invalid_client", err
step("a wrong secret is refused in either place")

oauth = session(given["clients"]["basic"], scope="openid email offline_access https://example.com/unheard-of")
token = log_in(oauth)
assert set(token["scope"].split()) == {"openid", "email", "offline_access"}, token["scope"]
fresh = refresh(oauth, token)
assert set(fresh["scope"].split()) == {"openid", "email", "offline_access"}, fresh["scope"]
step("a scope that nobody knows is dropped, at login and when it is repeated at a refresh")
