"""Prints the codes that pyotp shows at the given times (seconds since 1970) for each otpauth URI."""
import json
import sys

import pyotp

given = json.load(sys.stdin)
print(json.dumps([[pyotp.parse_uri(uri).at(at) for at in given["times"]] for uri in given["uris"]]))
