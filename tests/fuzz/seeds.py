#!/usr/bin/python3
"""Writes what the fuzzers begin with: one folder a target, good inputs and a few near ones.

    seeds.py OUTPUT_FOLDER

Signatures and certificates come from the golden files of cades, lists of revoked certificates are made here, the rest is
written out. Where the public vectors are at hand (see the tests), their certificates and lists are taken, too.
"""

import base64
import datetime
import hashlib
import os
import pathlib
import sys
import zlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

ROOT = pathlib.Path(__file__).resolve().parents[2]
VECTORS = pathlib.Path(os.environ.get("INKAN_VECTORS", ROOT.parent / "shared" / "vectors"))
VECTORS_EACH = 200

SIGNED_INFO = (
    '<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">'
    '<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:CanonicalizationMethod>'
    '<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"></ds:SignatureMethod>'
    '<ds:Reference URI="#a&amp;b"><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256">'
    "</ds:DigestMethod><ds:DigestValue>47DEQpj8HBSa</ds:DigestValue></ds:Reference></ds:SignedInfo>"
)

BODIES = [
    '{"holder":"u-17","methods":["hpki","jpki","fido2"],"return_url":"https://ehr.example/back","purpose":"day"}',
    '{"code":"abcdefghijklmnopqrstuvwxyz"}',
    '{"credential":"p256","output":"cms","level":"B-B","items":[{"id":"1","alg":"sha-256",'
    '"digest":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=","label":"\\u51e6\\u65b9\\u7b8b"}]}',
    '{"output":"raw","signature_format":"p1363","items":[{"id":"1","octets":"MYHO","shape":"signed_attrs"}]}',
    '{"a":{"b":[{"c":[1,-2,9007199254740991,true,null,"\\ud83d\\ude00"]}]}}',
]

ADMIN = [
    "GET status\n",
    "GET holders\n",
    'POST holders\n{"holder_id":"u-17","display_name":"\u5370\u9451 \u592a\u90ce"}',
    "POST holders/u-17/disable\n{}",
    'POST keys\n{"holder_id":"u-17","credential_id":"p256","key_type":"p-256"}',
    "DELETE cards/" + "0" * 64 + "\n",
    "GET audit?from=1&limit=100&holder=u-17\n",
]

# The certificate asked about has the octets "card"; see targets/jpki_answer.rs.
CARD = hashlib.sha256(b"card").hexdigest()
JPKI_ANSWERS = [
    f'{{"certificate_sha256":"{CARD}","status":"good","this_update":"2027-01-15T07:59:00Z",'
    f'"next_update":"2027-01-15T17:09:00+09:00","predecessor":{{"issuer_spki_sha256":"{CARD}","serial_hex":"0133c349"}}}}',
    f'{{"certificate_sha256":"{CARD}","status":"revoked","revoked_at":"2027-01-10T02:00:00Z","reason":"superseded"}}',
    f'{{"certificate_sha256":"{CARD}","status":"unknown"}}',
]

RECORD = (
    '{"v":1,"seq":41,"time_ms":1795437296000,"synced":40,"request_id":"r-1","principal":{"kind":"appliance"},'
    '"event":{"kind":"log_read","operation":"search","filter":"holder=u-17"}}'
)

CHECKPOINT = "inkan.example/audit\n42\n" + "A" * 43 + "=\n\n\u2014 inkan.example/audit AAAAAAAAAAAAAAAA\n"

# hcRole of the published test cards of HPKI: a whole extension value, and actors.
HC_ROLE = [
    "MDQwMgYGKIGFQgABMSgxJjAkoCIxIKAMBgoqgwiGkQ8BBgEBohAMDk1lZGljYWwgRG9jdG9y",
    "MCSgIjEgoAwGCiqDCIaRDwEGAQGiEAwOTWVkaWNhbCBEb2N0b3I=",
    "MCegJTEjoAwGCiqDCIaRDwEGAQGhBRIDMTIzogwMClBoYXJtYWNpc3Q=",
    "MCugJTEjoAwGCiqDCIaRDwEGAQGhBRIDMTIzogwMClBoYXJtYWNpc3ShAjAA",
]


def golden_parts():
    for file in sorted((ROOT / "api/cades/tests/golden").glob("*.txt")):
        lines = iter(file.read_text().splitlines())
        for name in lines:
            body = []
            for line in lines:
                if not line:
                    break
                body.append(line)
            yield name, bytes.fromhex("".join(body))


def revocation_lists():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA")])
    now = datetime.datetime(2026, 1, 1)
    for count in (0, 1, 20):
        builder = x509.CertificateRevocationListBuilder().issuer_name(name)
        builder = builder.last_update(now).next_update(now + datetime.timedelta(days=7))
        builder = builder.add_extension(x509.CRLNumber(1000 + count), critical=False)
        for serial in range(1, count + 1):
            revoked = x509.RevokedCertificateBuilder().serial_number(serial << 60).revocation_date(now)
            if serial % 2:
                revoked = revoked.add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
            builder = builder.add_revoked_certificate(revoked.build())
        yield builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def ocsp_responses():
    """What the CA of targets/ocsp.rs says about its card, and the signed part of each."""
    key = ec.derive_private_key(7, ec.SECP256R1())
    now = datetime.datetime(2027, 1, 15, 8)

    def certificate(subject):
        name = lambda text: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
        builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name("CA"))
        builder = builder.serial_number(7).public_key(key.public_key())
        builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=9))
        return builder.sign(key, hashes.SHA256())

    ca, card = certificate("CA"), certificate("card")
    for status in ocsp.OCSPCertStatus:
        is_revoked = status == ocsp.OCSPCertStatus.REVOKED
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=card, issuer=ca, algorithm=hashes.SHA256(), cert_status=status, this_update=now,
            next_update=now + datetime.timedelta(days=1), revocation_time=now if is_revoked else None,
            revocation_reason=x509.ReasonFlags.superseded if is_revoked else None)
        for encoding in ocsp.OCSPResponderEncoding:
            response = builder.responder_id(encoding, ca).certificates([ca]).sign(key, hashes.SHA256())
            yield response.public_bytes(Encoding.DER)
            yield b"\x01" + response.tbs_response_bytes
    for status in (ocsp.OCSPResponseStatus.TRY_LATER, ocsp.OCSPResponseStatus.UNAUTHORIZED):
        yield ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)


def frames(*records):
    """Length, CRC-32 over length and record, record."""
    for record in records:
        length = len(record).to_bytes(4, "big")
        yield length + zlib.crc32(length + record).to_bytes(4, "big") + record


def handshakes(certificate):
    """ClientHello to ClientKeyExchange of TLS 1.2 (RFC 5246 section 7.4), with nothing that verifies."""
    def vector(octets, size):
        return len(octets).to_bytes(size, "big") + octets

    def message(kind, body):
        return bytes([kind]) + vector(body, 3)

    def extension(kind, body):
        return kind.to_bytes(2, "big") + vector(body, 2)

    host = extension(0, vector(b"\x00" + vector(b"hpki.example", 2), 2))
    client = b"\x03\x03" + bytes(32) + vector(b"", 1) + vector(b"\xc0\x2f", 2) + vector(b"\x00", 1)
    client += vector(host + extension(23, b""), 2)
    server = b"\x03\x03" + bytes(32) + vector(b"", 1) + b"\xc0\x2f\x00" + vector(extension(23, b""), 2)
    chain = vector(vector(certificate, 3), 3)
    exchange = b"\x03\x00\x17" + vector(bytes(65), 1) + b"\x04\x01" + vector(bytes(256), 2)
    request = vector(b"\x01", 1) + vector(b"\x04\x01", 2) + vector(b"", 2)
    transcript = b"".join([
        message(1, client), message(2, server), message(11, chain), message(12, exchange),
        message(13, request), message(14, b""), message(11, chain), message(16, vector(bytes(65), 1)),
    ])
    return transcript, transcript.rindex(certificate)


def vectors(*suffixes):
    found = sorted(path for path in VECTORS.rglob("*") if path.suffix.lower() in suffixes)
    for path in found[:: max(1, len(found) // VECTORS_EACH)]:
        octets = path.read_bytes()
        if octets[:1] == b"\x30" and len(octets) < 32 * 1024:
            yield octets


def seeds():
    for name, octets in golden_parts():
        if name in ("detached", "attached"):
            yield "cms", octets
        elif name == "signed_attrs":
            yield "raw_shape", octets
        elif name in ("certificate", "issuer"):
            yield "certificate", octets
            transcript, at = handshakes(octets)
            yield "handshake", at.to_bytes(2, "big") + transcript
    yield "raw_shape", SIGNED_INFO.encode()
    yield "raw_shape", SIGNED_INFO.replace("xmlns:ds", "xmlns").replace("ds:", "").encode()
    for text in HC_ROLE:
        yield "hc_role", base64.b64decode(text)
    for octets in revocation_lists():
        yield "crl", octets
    for octets in ocsp_responses():
        yield "ocsp", octets
    for answer in JPKI_ANSWERS:
        yield "jpki_answer", answer.encode()
    for body in BODIES:
        yield "wire_json", body.encode()
    for request in ADMIN:
        yield "admin_rest", request.encode()
    yield "audit", RECORD.encode()
    yield "audit", b"".join(frames(RECORD.encode(), RECORD.replace("41", "42").encode()))
    yield "audit", CHECKPOINT.encode()
    for octets in vectors(".crl"):
        yield "crl", octets
    for octets in vectors(".crt", ".cer", ".der"):
        yield "certificate", octets


def main():
    output = pathlib.Path(sys.argv[1])
    for target, octets in seeds():
        folder = output / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / hashlib.sha256(octets).hexdigest()[:16]).write_bytes(octets)


if __name__ == "__main__":
    main()
