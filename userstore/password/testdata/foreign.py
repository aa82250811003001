"""Makes foreign.json: passwords as other systems store them.

    python3 -m venv v
    v/bin/pip install django==5.2.8 argon2-cffi==25.1.0 bcrypt==4.0.1 passlib==1.7.4
    v/bin/python foreign.py > foreign.json

Costs are low but for one of each of Django's defaults, so that the test is fast.
"""

import json

import django
from django.conf import settings

settings.configure()
django.setup()

from django.contrib.auth import hashers  # noqa: E402
from passlib.hash import bcrypt, scrypt  # noqa: E402


class PBKDF2(hashers.PBKDF2PasswordHasher):
    iterations = 1000


class Argon2id(hashers.Argon2PasswordHasher):
    time_cost, memory_cost, parallelism = 2, 64, 2


class Argon2i(Argon2id):
    def params(self):
        params = super().params()
        params.type = __import__("argon2").low_level.Type.I
        return params


class BCryptSHA256(hashers.BCryptSHA256PasswordHasher):
    rounds = 4


class BCrypt(hashers.BCryptPasswordHasher):
    rounds = 4


class Scrypt(hashers.ScryptPasswordHasher):
    work_factor, block_size, parallelism = 16, 4, 2


PASSWORDS = {
    "plain": "tr0ub4dor&3",
    "with spaces at both ends": "  correct horse battery staple ",
    "an accent apart, which NFKC would join": "cafe\u0301 au lait",
    "full-width, which NFKC would narrow": "\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44",
    "72 bytes": "0123456789ab" * 6,
    "73 bytes": "0123456789ab" * 6 + "c",
    "100 characters of three bytes": "\u8a9e" * 100,
}

vectors = []


def add(system, name, password, stored):
    vectors.append({"by": system, "password": name, "sent": password, "stored": stored})


for name, password in PASSWORDS.items():
    for hasher in (PBKDF2(), Argon2id(), Argon2i(), BCryptSHA256(), BCrypt(), Scrypt()):
        stored = hasher.encode(password, hasher.salt())
        assert hasher.verify(password, stored)
        add("Django " + type(hasher).__name__, name, password, stored)
    for ident in ("2a", "2b", "2y"):
        add("passlib bcrypt " + ident, name, password, bcrypt.using(rounds=4, ident=ident).hash(password))
    add("passlib scrypt", name, password, scrypt.using(rounds=4, block_size=8, parallelism=2).hash(password))

for hasher in (hashers.PBKDF2PasswordHasher(), hashers.Argon2PasswordHasher(),
               hashers.BCryptSHA256PasswordHasher(), hashers.ScryptPasswordHasher()):
    password = PASSWORDS["plain"]
    add("Django " + type(hasher).__name__ + " at its default cost", "plain", password, hasher.encode(password, hasher.salt()))
add("passlib bcrypt at its default cost", "plain", password, bcrypt.hash(password))
add("passlib scrypt at its default cost", "plain", password, scrypt.hash(password))

print(json.dumps(vectors, indent=1))
