#!/usr/bin/env python3
"""The demo's platform operator: says of every My Number card that it is valid, and which one a new one renews.

provider.py PORT SERVER.pem SERVER.key CLIENT-CA.pem CA.pem NEW.pem OLD.pem

The contract is appliance/JPKI-PROVIDER.md. A real service asks the JPKI; this one knows one authority and one renewal.
"""

import base64
import datetime
import hashlib
import http.server
import json
import ssl
import subprocess
import sys

MOST_BYTES = 64 * 1024


def der_of(pem):
    with open(pem, encoding="ascii") as file:
        return ssl.PEM_cert_to_DER_cert(file.read())


def openssl(*arguments, given=None):
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True).stdout


def key_digest(pem):
    public = openssl("x509", "-in", pem, "-noout", "-pubkey")
    return hashlib.sha256(openssl("pkey", "-pubin", "-outform", "DER", given=public)).hexdigest()


def serial_hex(pem):
    digits = openssl("x509", "-in", pem, "-noout", "-serial").decode().strip().split("=")[1].lower()
    return digits if int(digits[0], 16) < 8 else "00" + digits


class Service(http.server.BaseHTTPRequestHandler):
    renewals = {}

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        if length > MOST_BYTES:
            return self.send_error(413)
        digest = hashlib.sha256(base64.b64decode(json.loads(self.rfile.read(length))["certificate"])).hexdigest()
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        time = lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ")
        answer = {
            "certificate_sha256": digest,
            "status": "good",
            "this_update": time(now),
            "next_update": time(now + datetime.timedelta(minutes=5)),
            **self.renewals.get(digest, {}),
        }
        octets = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)


def main():
    port, certificate, key, client_ca, ca, new, old = sys.argv[1:]
    predecessor = {"issuer_spki_sha256": key_digest(ca), "serial_hex": serial_hex(old)}
    Service.renewals[hashlib.sha256(der_of(new)).hexdigest()] = {"predecessor": predecessor}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(client_ca)
    context.verify_mode = ssl.CERT_REQUIRED
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Service)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


main()
