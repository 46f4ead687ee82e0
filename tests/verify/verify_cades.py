#!/usr/bin/python3
"""Verifies a CAdES B-B signature with code that shares nothing with the appliance.

Structure by python3-asn1crypto, public-key operations by python3-cryptography (Debian packages). Checked: DER to the
last octet, the profile of EN 319 122-1 section 6 for B-B, the references to the signing certificate (RFC 5035), the
signature value (RFC 5652 section 5.6) and the path to one trust anchor. Prints what it saw as JSON and exits with 0,
or prints the reason and exits with 1. Any other exit code is a fault of this program.

    verify_cades.py --signature s.p7s --anchor root.pem [--content document] [--at UNIX_SECONDS]
"""

import argparse
import hashlib
import json
import sys
import time

from asn1crypto import cms, core, pem, tsp, x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

HASHES = {"sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}


# asn1crypto reads every value of subjectDirectoryAttributes as a flat SET and fails on HPKI's hcRole, whose SETs nest
# (domain facts, section 1.4). No check here looks at that extension.
x509.Extension._oid_specs.pop("subject_directory_attributes", None)


class Refused(Exception):
    """The signature is not good, for this reason."""


def demand(condition, reason):
    if not condition:
        raise Refused(reason)


def check_der(octets, depth=0):
    """Lengths definite and shortest, strings primitive, integers and booleans canonical, nothing left over."""
    demand(depth < 32, "nested too deeply")
    at = 0
    while at < len(octets):
        tag = octets[at]
        demand(tag & 0x1F != 0x1F, "high tag number")
        demand(at + 1 < len(octets), "cut off")
        first, start = octets[at + 1], at + 2
        length = first
        if first >= 0x80:
            count = first & 0x7F
            demand(1 <= count <= 8 and start + count <= len(octets), "indefinite or cut-off length")
            length = int.from_bytes(octets[start:start + count], "big")
            demand(octets[start] != 0 and length >= 0x80, "length not shortest")
            start += count
        demand(start + length <= len(octets), "cut off")
        value = octets[start:start + length]
        if tag & 0x20:
            demand(tag & 0xC0 or tag in (0x30, 0x31), "constructed string")
            check_der(value, depth + 1)
        elif tag == 0x02:
            demand(length > 0, "empty integer")
            padded = length > 1 and ((value[0] == 0 and value[1] < 0x80) or (value[0] == 0xFF and value[1] >= 0x80))
            demand(not padded, "integer not shortest")
        elif tag == 0x01:
            demand(value in (b"\x00", b"\xff"), "boolean not canonical")
        elif tag == 0x05:
            demand(length == 0, "null with a value")
        at = start + length


def check_set_order(members, what):
    encodings = [member.dump() for member in members]
    demand(encodings == sorted(encodings), f"{what} is not in DER order")
    demand(len(set(encodings)) == len(encodings), f"{what} has duplicates")


def load(signature_der):
    check_der(signature_der)
    info = cms.ContentInfo.load(signature_der, strict=True)
    demand(info["content_type"].native == "signed_data", "not a SignedData")
    signed_data = info["content"]
    demand(info.copy().dump(force=True) == signature_der, "does not encode to itself")
    check_set_order(signed_data["digest_algorithms"], "digestAlgorithms")
    check_set_order(signed_data["certificates"], "certificates")
    check_set_order(signed_data["signer_infos"], "signerInfos")
    return signed_data


def attributes_of(signer_info):
    """Name -> the one value; every attribute there once with one value."""
    attributes = signer_info["signed_attrs"]
    demand(not isinstance(attributes, core.Void), "no signed attributes")
    check_set_order(attributes, "signedAttrs")
    found = {}
    for attribute in attributes:
        name = attribute["type"].native
        demand(name not in found, f"{name} is there twice")
        demand(len(attribute["values"]) == 1, f"{name} has not one value")
        found[name] = attribute["values"][0]
    return found


def check_profile(signed_data, signer_info, attributes):
    """EN 319 122-1 section 6.3, table 1, B-B; RFC 5652 sections 5.1 and 5.3 for the versions."""
    demand(signed_data["version"].native == "v1", "SignedData version")
    demand(signer_info["version"].native == "v1", "SignerInfo version")
    demand(signer_info["sid"].name == "issuer_and_serial_number", "sid")
    demand(isinstance(signed_data["crls"], core.Void), "revocation lists in a B-B signature")
    demand(isinstance(signer_info["unsigned_attrs"], core.Void), "unsigned attributes in a B-B signature")
    content_type = signed_data["encap_content_info"]["content_type"]
    demand(content_type.native == "data", "eContentType")
    for required in ("content_type", "message_digest", "signing_time", "signing_certificate_v2"):
        demand(required in attributes, f"{required} is missing")
    demand("signing_certificate" not in attributes, "both generations of signing-certificate")
    demand(attributes["content_type"].dump() == content_type.dump(), "content-type differs from eContentType")
    signing_time = attributes["signing_time"]
    expected = "utc_time" if 1950 <= signing_time.native.year < 2050 else "general_time"
    demand(signing_time.name == expected, "signing-time has the wrong type for its year")
    text = signing_time.chosen.contents
    demand(text.endswith(b"Z") and len(text) == (13 if expected == "utc_time" else 15), "signing-time form")


def check_algorithms(signed_data, signer_info):
    digest = signer_info["digest_algorithm"]
    listed = [algorithm.dump() for algorithm in signed_data["digest_algorithms"]]
    demand(listed == [digest.dump()], "digestAlgorithms is not the signer's")
    name = digest["algorithm"].native
    demand(name in HASHES, f"digest algorithm {name}")
    demand(isinstance(digest["parameters"], core.Void), "digest parameters present (RFC 5754: absent)")
    algorithm = signer_info["signature_algorithm"]
    kind = algorithm["algorithm"].native
    parameters = algorithm["parameters"]
    if kind in (f"{name}_rsa", "rsassa_pkcs1v15"):
        demand(isinstance(parameters, core.Null), "RSA parameters are not NULL")
    elif kind == "rsassa_pss":
        demand(parameters["hash_algorithm"]["algorithm"].native == name, "PSS hash")
        mask = parameters["mask_gen_algorithm"]
        demand(mask["algorithm"].native == "mgf1", "PSS mask generation")
        demand(mask["parameters"]["algorithm"].native == name, "PSS mask hash")
        demand(parameters["trailer_field"].native in (1, "trailer_field_bc"), "PSS trailer")
    elif kind == f"{name}_ecdsa" or (kind == "ed25519" and name == "sha512"):
        demand(isinstance(parameters, core.Void), "parameters present")
    else:
        raise Refused(f"signature algorithm {kind} with digest {name}")
    return name, kind


def find_signer(signed_data, signer_info):
    sid = signer_info["sid"].chosen
    certificates = [choice.chosen for choice in signed_data["certificates"]]
    for certificate in certificates:
        demand(isinstance(certificate, x509.Certificate), "something else than a certificate")
    named = [
        certificate for certificate in certificates
        if certificate.issuer.dump() == sid["issuer"].dump()
        and certificate.serial_number == sid["serial_number"].native
    ]
    demand(len(named) == 1, "sid does not name exactly one certificate")
    return named[0], certificates


def check_signing_certificate(attributes, leaf):
    """RFC 5035 section 5.4.1.1: the first reference is the signer's certificate."""
    references = tsp.SigningCertificateV2.load(attributes["signing_certificate_v2"].dump(), strict=True)["certs"]
    demand(len(references) >= 1, "signing-certificate-v2 is empty")
    reference = references[0]
    digest = reference["hash_algorithm"]["algorithm"].native
    demand(digest in HASHES, f"signing-certificate-v2 by {digest}")
    certificate_hash = hashlib.new(digest, leaf.dump()).digest()
    demand(reference["cert_hash"].native == certificate_hash, "signing-certificate-v2 names another certificate")
    issuer_serial = reference["issuer_serial"]
    if not isinstance(issuer_serial, core.Void):
        names = issuer_serial["issuer"]
        demand(len(names) == 1 and names[0].name == "directory_name", "issuerSerial is not one directoryName")
        demand(names[0].chosen.untag().dump() == leaf.issuer.dump(), "issuerSerial names another issuer")
        demand(issuer_serial["serial_number"].native == leaf.serial_number, "issuerSerial has another number")
    return digest


def public_key_of(certificate):
    return serialization.load_der_public_key(certificate.public_key.dump())


def verify_value(key, kind, digest, parameters, signature, message):
    hash_algorithm = HASHES[digest]() if digest else None
    try:
        if isinstance(key, rsa.RSAPublicKey) and kind.endswith(("_rsa", "pkcs1v15")):
            key.verify(signature, message, padding.PKCS1v15(), hash_algorithm)
        elif isinstance(key, rsa.RSAPublicKey) and kind == "rsassa_pss":
            salt_len = parameters["salt_length"].native
            scheme = padding.PSS(mgf=padding.MGF1(HASHES[digest]()), salt_length=salt_len)
            key.verify(signature, message, scheme, hash_algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and kind.endswith("_ecdsa"):
            check_der(signature)
            key.verify(signature, message, ec.ECDSA(hash_algorithm))
        elif isinstance(key, ed25519.Ed25519PublicKey) and kind == "ed25519":
            key.verify(signature, message)
        else:
            raise Refused("the key is of another kind than the signature")
    except InvalidSignature:
        raise Refused("the signature value does not verify") from None


def check_path(leaf, certificates, anchor, at):
    """A chain by name and signature from the leaf to the anchor, every certificate valid at the time."""
    usage = leaf.key_usage_value
    if usage is not None:
        demand({"digital_signature", "non_repudiation"} & usage.native, "the key is not for signatures")
    current = leaf
    for _ in range(8):
        validity = current["tbs_certificate"]["validity"]
        demand(validity["not_before"].native.timestamp() <= at <= validity["not_after"].native.timestamp(),
               "a certificate is not valid at that time")
        if current.dump() == anchor.dump():
            return
        issuers = [c for c in certificates + [anchor] if c.subject.dump() == current.issuer.dump() and c.ca]
        demand(issuers, "no issuer is known")
        current = verified_by(current, issuers)
    raise Refused("the path is too long")


def verified_by(certificate, issuers):
    algorithm = certificate["signature_algorithm"]
    kind = algorithm["algorithm"].native
    digest = None if kind == "ed25519" else algorithm.hash_algo
    for issuer in issuers:
        try:
            verify_value(public_key_of(issuer), kind, digest, algorithm["parameters"],
                         certificate["signature_value"].native, certificate["tbs_certificate"].dump())
            return issuer
        except Refused:
            continue
    raise Refused("no issuer's key verifies a certificate")


def digest_content(signed_data, path, algorithm):
    """The content's digest, from the file and from inside where it is inside."""
    inside = signed_data["encap_content_info"]["content"]
    digests = []
    if not isinstance(inside, core.Void):
        digests.append(hashlib.new(algorithm, inside.native).digest())
    if path:
        running = hashlib.new(algorithm)
        with open(path, "rb") as content:
            while block := content.read(1 << 20):
                running.update(block)
        digests.append(running.digest())
    demand(digests, "no content")
    demand(len(set(digests)) == 1, "the content inside is another one")
    return digests[0]


def verify(arguments):
    with open(arguments.signature, "rb") as file:
        signed_data = load(file.read())
    with open(arguments.anchor, "rb") as file:
        anchor = x509.Certificate.load(pem.unarmor(file.read())[2])
    demand(len(signed_data["signer_infos"]) == 1, "not exactly one signer")
    signer_info = signed_data["signer_infos"][0]
    attributes = attributes_of(signer_info)
    check_profile(signed_data, signer_info, attributes)
    digest, kind = check_algorithms(signed_data, signer_info)
    content_digest = digest_content(signed_data, arguments.content, digest)
    demand(attributes["message_digest"].native == content_digest, "the content is another one")
    leaf, certificates = find_signer(signed_data, signer_info)
    reference_digest = check_signing_certificate(attributes, leaf)
    message = b"\x31" + signer_info["signed_attrs"].dump()[1:]
    verify_value(public_key_of(leaf), kind, digest, signer_info["signature_algorithm"]["parameters"],
                 signer_info["signature"].native, message)
    check_path(leaf, certificates, anchor, arguments.at)
    return {
        "packaging": "detached" if isinstance(signed_data["encap_content_info"]["content"], core.Void) else "attached",
        "digest": digest,
        "signature_algorithm": kind,
        "reference_digest": reference_digest,
        "signing_time": int(attributes["signing_time"].native.timestamp()),
        "signer": leaf.subject.human_friendly,
        "certificates": len(certificates),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--signature", required=True)
    parser.add_argument("--anchor", required=True)
    parser.add_argument("--content")
    parser.add_argument("--at", type=float, default=time.time())
    try:
        print(json.dumps(verify(parser.parse_args()), ensure_ascii=False))
        return 0
    except Refused as reason:
        print(f"refused: {reason}", file=sys.stderr)
    except (ValueError, TypeError, KeyError) as reason:
        print(f"refused: not a readable signature: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Exception as fault:  # a fault of ours is not a verdict
        print(f"broken: {fault!r}", file=sys.stderr)
        sys.exit(3)
