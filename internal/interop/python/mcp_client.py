"""Lets a person log in to an MCP server with the OAuth client of the official Python SDK. See node/mcp.js, which does the same."""

import asyncio
import json
import sys
import time
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, quote, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata

from person import Person

given = json.load(sys.stdin)


def step(name):
    print(name, flush=True)


class Kept:
    """What the client keeps of a login."""

    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class User:
    """The person, and how the client sends them to the issuer and gets the response."""

    def __init__(self):
        self.person = Person(given["issuer"], given["user"]["email"], given["user"]["password"])
        self.asked, self.response = None, None

    async def visit(self, address):
        self.asked = query(address)
        self.response = query(self.person.open(address))

    async def answer(self):
        r = self.response
        return AuthorizationCodeResult(code=r.get("code", ""), state=r.get("state"), iss=r.get("iss"))


def query(address):
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def provider(kept, user):
    metadata = OAuthClientMetadata(client_name=given["name"], redirect_uris=[given["redirect_uri"]])
    return OAuthClientProvider(given["server"], metadata, kept, user.visit, user.answer,
                               client_metadata_url=given.get("client_id_metadata"))


@asynccontextmanager
async def session(auth):
    async with httpx2.AsyncClient(auth=auth) as http:
        async with streamable_http_client(given["server"], http_client=http) as streams:
            async with ClientSession(streams[0], streams[1]) as opened:
                await opened.initialize()
                yield opened


async def call(opened, name, arguments={}):
    result = await opened.call_tool(name, arguments)
    assert not result.is_error, result
    return result.structured_content


def scopes(answer):
    return sorted(set(answer["scope"].split()) - {"offline_access"})


def withdraw(client):
    """Takes back, as the person does in an app of their own, what they allowed to a client."""
    login = httpx2.post(given["issuer"] + "/v1/login", json=given["user"])
    answer = httpx2.delete(given["issuer"] + "/v1/profile/consents/" + quote(client, safe=""),
                           headers={"Authorization": "Bearer " + login.json()["access_token"]})
    assert answer.status_code == 204, answer.text


async def main():
    kept, user = Kept(), User()
    if "client_id" in given:
        kept.client = OAuthClientInformationFull(client_id=given["client_id"], redirect_uris=[given["redirect_uri"]],
                                                 token_endpoint_auth_method="none")
    auth = provider(kept, user)
    async with session(auth) as opened:
        assert user.person.pressed == ["login-submit", "consent-approve"], user.person.pressed
        assert user.asked["resource"] == given["server"], user.asked
        assert user.asked["client_id"] == given.get("client_id_metadata", kept.client.client_id), user.asked
        step("the server of the URL names the issuer, and a person logs in")

        me = await call(opened, "whoami")
        assert me["client_id"] == kept.client.client_id and scopes(me) == ["tools:read"], me
        step("a tool is called")

        # The client looks at expires_in: the token has expired for it.
        before, user.person.pressed = kept.tokens, []
        await asyncio.sleep(max(0, auth.context.token_expiry_time - time.time()) + 0.1)
        assert await call(opened, "whoami") == me
        assert kept.tokens.access_token != before.access_token and kept.tokens.refresh_token != before.refresh_token
        assert user.person.pressed == []
        step("an access token that has expired is refreshed")

        assert await call(opened, "note", {"text": "remember"}) == {"notes": ["remember"]}
        assert user.person.pressed == ["consent-approve"], user.person.pressed
        assert scopes(await call(opened, "whoami")) == ["tools:read", "tools:write"]
        step("a tool that needs another scope has the person asked for it")

        withdraw(kept.client.client_id)
        auth.context.token_expiry_time = 1  # long ago
        again = await call(opened, "whoami")
        assert user.person.pressed == ["consent-approve"], user.person.pressed
        assert again["sub"] == me["sub"] and again["client_id"] == me["client_id"], again
        step("what was allowed is taken back, and the person is asked again")

        # Another start of the program, with what it kept.
        user.person.pressed = []
        async with session(provider(kept, user)) as restarted:
            assert (await call(restarted, "whoami"))["sub"] == me["sub"]
        assert user.person.pressed == [], user.person.pressed
        step("a program that starts again needs no login")

    withdraw(kept.client.client_id)
    kept.tokens, user.person.approves = None, False
    refused = False
    try:
        async with session(provider(kept, user)):
            pass
    except Exception:  # a group of them: there are several tasks
        refused = True
    assert refused and user.response["error"] == "access_denied", user.response
    assert kept.tokens is None
    step("a person who says no")


asyncio.run(main())
