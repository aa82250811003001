"""A small resource server in Django with PyJWT, as docs/resource-servers.md has it, for `signet doctor`. Told on the command
line: the issuer, the audience and the port."""

import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
import jwt
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

issuer, audience, port = sys.argv[1:]
keys = jwt.PyJWKClient(issuer + "/.well-known/jwks.json")


def verify(token):
    verified = jwt.decode_complete(
        token,
        keys.get_signing_key_from_jwt(token),
        algorithms=["RS256", "EdDSA"],
        issuer=issuer,
        audience=audience,
        leeway=60,
        options={"require": ["exp", "iss", "aud", "sub"]},
    )
    if verified["header"].get("typ", "").lower().removeprefix("application/") != "at+jwt":
        raise jwt.InvalidTokenError("not an access token")


def view(request):
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    try:
        verify(token)
    except (jwt.InvalidTokenError, jwt.PyJWKClientError):
        return HttpResponse(status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    return HttpResponse("a secret")


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


urlpatterns = [path("", view)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of no use here")
django.setup()
make_server("127.0.0.1", int(port), get_wsgi_application(), handler_class=Quiet).serve_forever()
