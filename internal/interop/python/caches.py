"""An API behind PyJWT's client of key sets, with the caches that it has by default. See ../node/caches.js."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

_, issuer, port = sys.argv[1:]
keys = jwt.PyJWKClient(issuer + "/.well-known/jwks.json")


class Orders(BaseHTTPRequestHandler):
    def do_GET(self):
        token = self.headers["Authorization"].removeprefix("Bearer ")
        try:
            jwt.decode(token, keys.get_signing_key_from_jwt(token), algorithms=["RS256"], issuer=issuer, audience="https://api.example.com")
            self.send_response(200)
        except jwt.PyJWTError:
            self.send_response(401)
        self.end_headers()


ThreadingHTTPServer(("127.0.0.1", int(port)), Orders).serve_forever()
