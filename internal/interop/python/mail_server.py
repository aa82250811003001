"""A mail server made of aiosmtpd: it demands STARTTLS and then a password, and prints each letter that it accepts as a
line of JSON, read by Python's own parser. The first line is its port."""

import asyncio
import email
import email.policy
import json
import os
import re
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

certificate, key = sys.argv[1:]
tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain(certificate, key)


def authenticate(server, session, envelope, mechanism, data):
    right = data.login.decode() == "signet" and data.password.decode() == os.environ["MAIL_PASSWORD"]
    return AuthResult(success=right, auth_data=data.login.decode() if right else None)


class Handler:
    async def handle_DATA(self, server, session, envelope):
        letter = email.message_from_bytes(envelope.content, policy=email.policy.SMTP)
        text = letter.get_body(("plain",)).get_content()
        html = letter.get_body(("html",)).get_content()
        links = re.findall(r"https?://\S+", text)
        codes = re.findall(r"\b\d{8}\b", text)
        print(json.dumps({
            "from": envelope.mail_from, "to": envelope.rcpt_tos, "subject": letter["subject"], "user": session.auth_data,
            "tls": session.ssl is not None, "links": links, "codes": codes, "text": text, "html": html,
            "defects": [str(d) for part in letter.walk() for d in part.defects],
        }), flush=True)
        return "250 2.0.0 kept"


async def serve():
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(
        Handler(), hostname="localhost", tls_context=tls, require_starttls=True, auth_required=True, authenticator=authenticate,
        enable_SMTPUTF8=True), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(serve())
