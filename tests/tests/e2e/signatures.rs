//! Every algorithm, packaging and size, verified by programs that are not ours.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::collections::HashSet;
use std::process::Command;
use tests::support::admin;
use tests::support::cms;
use tests::support::ehr::Sign;
use tests::support::ehr::sha256_b64;
use tests::support::ehr::sign_digests;
use tests::support::world::ALL_KEYS;
use tests::support::world::World;
use tests::verify::Signed;
use tests::verify::second_verify;

const MEGABYTE: usize = 1024 * 1024;

/// Octets that differ from place to place.
fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
}

async fn signed(world: &World, credential: &str, attached: bool, content: &[u8]) -> Vec<u8> {
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let sign = Sign {
        token: &session.token,
        credential: Some(credential),
        attached,
        content,
        ..Sign::default()
    };
    let reply = sign.send(&mut ehr.connect().await).await.expect(200);
    let expected = if attached {
        "application/pkcs7-mime; smime-type=signed-data"
    } else {
        "application/pkcs7-signature"
    };
    assert_eq!(reply.header("content-type"), expected);
    assert!(!reply.header("signature-receipt").is_empty());
    let left = reply.header("signing-session-remaining");
    assert!(left.starts_with("signatures=") && left.contains(", seconds="), "{left:?}");
    reply.body
}

fn judge(world: &World, credential: &str, signature: &[u8], content: &[u8], detached: bool) {
    if credential != "ed25519" {
        cms::assert_good(world, signature, content, detached);
        return;
    }
    // OpenSSL 3.0 knows no Ed25519 in CMS (RFC 8419): the second implementation alone.
    let folder = tempfile::tempdir_in(&world.folder).unwrap();
    let (signature_file, content_file) = (folder.path().join("s"), folder.path().join("c"));
    std::fs::write(&signature_file, signature).unwrap();
    std::fs::write(&content_file, content).unwrap();
    let anchor = &world.pki.hpki_root.pem;
    let signed = Signed { signature: &signature_file, content: &content_file, detached, anchor };
    second_verify(signed).unwrap();
}

#[tokio::test]
async fn every_algorithm_packaging_and_size_is_verified_by_others() {
    let world = World::shared().await;
    for (credential, _) in ALL_KEYS {
        for attached in [false, true] {
            for size in [0, 1, 100_000] {
                let content = content(size);
                let signature = signed(world, credential, attached, &content).await;
                judge(world, credential, &signature, &content, !attached);
            }
        }
    }
}

#[tokio::test]
async fn sixty_four_megabytes_are_streamed_and_verified_by_others() {
    let world = World::shared().await;
    let content = content(64 * MEGABYTE);
    for (credential, attached) in [("rsa2048", false), ("p384", false), ("p256", true)] {
        let signature = signed(world, credential, attached, &content).await;
        judge(world, credential, &signature, &content, !attached);
    }
}

#[tokio::test]
async fn signature_over_one_content_is_no_signature_over_another() {
    let world = World::shared().await;
    let signature = signed(world, "p256", false, b"this").await;
    let folder = tempfile::tempdir_in(&world.folder).unwrap();
    let (signature_file, other) = (folder.path().join("s"), folder.path().join("c"));
    std::fs::write(&signature_file, &signature).unwrap();
    std::fs::write(&other, b"that").unwrap();
    let anchor = &world.pki.hpki_root.pem;
    let wrong = Signed { signature: &signature_file, content: &other, detached: true, anchor };
    assert!(second_verify(wrong).is_err());
    assert!(tests::verify::openssl_cms_verify(wrong).is_err());
}

#[tokio::test]
async fn s5_batch_is_signed_item_by_item_each_with_its_own_record() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let contents: Vec<Vec<u8>> = (0..5).map(|n| content(100 + n)).collect();
    let items: Vec<_> = contents
        .iter()
        .enumerate()
        .map(|(n, content)| json!({ "id": format!("{n}{}", "印".repeat(63)), "alg": "sha-256", "digest": sha256_b64(content) }))
        .collect();
    let body = json!({ "credential": "p256", "output": "cms", "items": items });
    let reply = sign_digests(&mut ehr.connect().await, &session.token, &body).await.expect(200);
    let answer = reply.json();
    let items = answer["items"].as_array().unwrap();
    assert_eq!(items.len(), 5);
    for (item, content) in items.iter().zip(&contents) {
        let signature = STANDARD.decode(item["signature"].as_str().unwrap()).unwrap();
        cms::assert_good(world, &signature, content, true);
    }
    let receipts: HashSet<_> = items.iter().map(|item| item["receipt"].to_string()).collect();
    assert_eq!(receipts.len(), 5);
    let query = format!("request={}", reply.request_id());
    let records = admin::audit_records(world, &query).await;
    assert_eq!(records.iter().filter(|record| record["event"]["kind"] == "signature").count(), 5);
}

#[tokio::test]
async fn s5_one_bad_item_takes_the_whole_batch_with_it() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let good = json!({ "id": "a", "alg": "sha-256", "digest": sha256_b64(b"a") });
    for bad in [
        json!({ "id": "b", "alg": "sha-256", "digest": STANDARD.encode([0; 31]) }),
        json!({ "id": "b", "alg": "sha-256", "digest": "not base64" }),
        json!({ "id": "b", "alg": "sha-512", "digest": STANDARD.encode([0; 64]) }),
        json!({ "id": "b", "alg": "sha-1", "digest": STANDARD.encode([0; 20]) }),
        json!({ "id": "a", "alg": "sha-256", "digest": sha256_b64(b"b") }),
        json!({ "id": "印".repeat(65), "alg": "sha-256", "digest": sha256_b64(b"b") }),
    ] {
        let body = json!({ "credential": "p256", "output": "cms", "items": [good, bad] });
        let mut connection = ehr.connect().await;
        let reply = sign_digests(&mut connection, &session.token, &body).await;
        let reply = reply.expect_problem(400, "malformed_request");
        let query = format!("request={}&event=signature", reply.request_id());
        assert!(admin::audit_records(world, &query).await.is_empty());
    }
    let state = ehr.connect().await.get(&format!("/v1/sessions/{}", session.session_id)).await;
    assert_eq!(state.json()["remaining_signatures"], session.answer["remaining_signatures"]);
}

#[tokio::test]
async fn s6_digest_of_zeros_is_signed_like_any_other() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let item = json!({ "id": "z", "alg": "sha-256", "digest": STANDARD.encode([0; 32]) });
    let body = json!({ "credential": "p256", "output": "cms", "items": [item] });
    let reply = sign_digests(&mut ehr.connect().await, &session.token, &body).await.expect(200);
    assert!(reply.json()["items"][0]["signature"].is_string());
}

const SIGNED_INFO: &str = "<ds:SignedInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">\
    <ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:CanonicalizationMethod>\
    <ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256\"></ds:SignatureMethod>\
    <ds:Reference URI=\"\"><ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod>\
    <ds:DigestValue>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</ds:DigestValue></ds:Reference></ds:SignedInfo>";

fn raw_body() -> serde_json::Value {
    let item = json!({ "id": "x", "shape": "signed_info", "octets": STANDARD.encode(SIGNED_INFO) });
    json!({ "credential": "rsa2048", "output": "raw", "items": [item] })
}

#[tokio::test]
async fn raw_signature_of_an_xml_signed_info_is_verified_by_openssl() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let reply =
        sign_digests(&mut ehr.connect().await, &session.token, &raw_body()).await.expect(200);
    let signature =
        STANDARD.decode(reply.json()["items"][0]["signature"].as_str().unwrap()).unwrap();

    let listed = ehr.connect().await.get("/v1/credentials?holder=u-17").await.expect(200).json();
    let credential = listed.as_array().unwrap().iter().find(|one| one["id"] == "rsa2048").unwrap();
    let leaf = STANDARD.decode(credential["chain"][0].as_str().unwrap()).unwrap();
    let folder = tempfile::tempdir_in(&world.folder).unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("leaf.der"), leaf).unwrap();
    std::fs::write(at("signature"), signature).unwrap();
    std::fs::write(at("octets"), SIGNED_INFO).unwrap();
    let openssl = |arguments: &[&str]| {
        let output =
            Command::new("openssl").args(arguments).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    openssl(&[
        "x509", "-inform", "DER", "-in", "leaf.der", "-pubkey", "-noout", "-out", "leaf.pub",
    ]);
    openssl(&["dgst", "-sha256", "-verify", "leaf.pub", "-signature", "signature", "octets"]);
}

#[tokio::test]
async fn raw_signature_is_refused_to_a_system_that_has_no_leave_for_it() {
    let world = World::shared().await;
    let ehr = world.ehr2();
    let session = ehr.sign_in(&world.pki.card).await;
    let reply = sign_digests(&mut ehr.connect().await, &session.token, &raw_body()).await;
    reply.expect_problem(403, "not_permitted");
}

#[tokio::test]
async fn raw_octets_of_another_shape_are_refused() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    for octets in [
        "",
        "<a/>",
        "hello",
        &SIGNED_INFO.replace("2000/09", "1999/09"),
        &format!("{SIGNED_INFO} "),
    ] {
        let item = json!({ "id": "x", "shape": "signed_info", "octets": STANDARD.encode(octets) });
        let body = json!({ "credential": "rsa2048", "output": "raw", "items": [item] });
        let reply = sign_digests(&mut ehr.connect().await, &session.token, &body).await;
        reply.expect_problem(400, "malformed_request");
    }
}

#[tokio::test]
async fn s7_certificate_in_the_signature_is_the_one_that_was_installed() {
    let world = World::shared().await;
    let listed =
        world.ehr().connect().await.get("/v1/credentials?holder=u-17").await.expect(200).json();
    let listed = listed.as_array().unwrap();
    for credential in listed.iter().filter(|credential| credential["status"] == "active") {
        let id = credential["id"].as_str().unwrap();
        let leaf = STANDARD.decode(credential["chain"][0].as_str().unwrap()).unwrap();
        let signature = signed(world, id, false, b"which certificate").await;
        let view = cades::SignedDataView::parse(&signature).unwrap();
        assert_eq!(view.signer_certificate_der(), leaf, "{id}: another certificate");
    }
}

/// Lattice attacks on ECDSA begin with nonces that repeat or share their top bits (S13).
#[tokio::test]
async fn s13_ecdsa_nonces_neither_repeat_nor_lean() {
    const BATCH: usize = 500;
    const BATCHES: usize = 20;
    let world = World::shared().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let mut connection = ehr.connect().await;
    let mut seen: HashSet<Vec<u8>> = HashSet::new();
    let mut top_bits = [0_u32; 8];
    for batch in 0..BATCHES {
        let items: Vec<_> = (0..BATCH)
            .map(|n| {
                let digest = sha256_b64(format!("{batch}/{n}").as_bytes());
                json!({ "id": format!("{n}"), "alg": "sha-256", "digest": digest })
            })
            .collect();
        let body = json!({ "credential": "p256", "output": "cms", "items": items });
        let reply = sign_digests(&mut connection, &session.token, &body).await.expect(200);
        for item in reply.json()["items"].as_array().unwrap() {
            let cms_der = STANDARD.decode(item["signature"].as_str().unwrap()).unwrap();
            let r = r_of(&cms_der);
            for (bit, count) in top_bits.iter_mut().enumerate() {
                *count += u32::from(r[0] >> (7 - bit) & 1);
            }
            assert!(seen.insert(r), "a nonce was used twice");
        }
    }
    let total = (BATCH * BATCHES) as f64;
    // Five standard deviations of a fair coin: a sound token fails once in two million runs.
    let allowed = 5.0 * (total / 4.0).sqrt();
    for (bit, count) in top_bits.into_iter().enumerate() {
        assert!((f64::from(count) - total / 2.0).abs() < allowed, "bit {bit}: {count} of {total}");
    }
}

/// r of the ECDSA signature that ends a CMS without unsigned attributes, 32 octets.
fn r_of(cms_der: &[u8]) -> Vec<u8> {
    let view = cades::SignedDataView::parse(cms_der).unwrap();
    let value = view.signature();
    // Ecdsa-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }: short lengths on P-256.
    let len = usize::from(value[3]);
    let r = &value[4..4 + len];
    let r = if r.len() == 33 { &r[1..] } else { r };
    [vec![0; 32 - r.len()], r.to_vec()].concat()
}
