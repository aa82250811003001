"""Logs a person in to a public client with Authlib, and prints the token response. Told on standard input what there is."""

import json
import sys

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session

from person import Person

given = json.load(sys.stdin)
provider = requests.get(given["issuer"] + "/.well-known/openid-configuration").json()
person = Person(given["issuer"], given["user"]["email"], given["user"]["password"])
oauth = OAuth2Session(given["client_id"], scope=given["scope"], redirect_uri=given["redirect_uri"], code_challenge_method="S256",
                      token_endpoint_auth_method="none")
verifier = generate_token(48)
address, state = oauth.create_authorization_url(provider["authorization_endpoint"], code_verifier=verifier)
response = person.open(address).replace("http://", "https://", 1)  # or the library refuses it
print(json.dumps(oauth.fetch_token(provider["token_endpoint"], authorization_response=response, code_verifier=verifier, state=state)))
