//! Signatures that came out, in the hands of two implementations that are not ours.

use super::world::World;
use crate::verify::Signed;
use crate::verify::openssl_cms_verify;
use crate::verify::second_verify;
use std::path::Path;
use std::process::Command;

/// OpenSSL and the second verifier both accept `signature` over `content`, up to the world's HPKI root.
///
/// # Panics
/// With the verifier's words when one of them does not.
#[track_caller]
pub fn assert_good(world: &World, signature: &[u8], content: &[u8], detached: bool) {
    let folder = tempfile::tempdir_in(&world.folder).expect("a folder");
    let (signature_file, content_file) =
        (folder.path().join("s.p7s"), folder.path().join("content"));
    std::fs::write(&signature_file, signature).expect("the signature");
    std::fs::write(&content_file, content).expect("the content");
    assert_files_good(world, &signature_file, &content_file, detached);
}

/// The same for contents that are better kept in a file.
#[track_caller]
pub fn assert_files_good(world: &World, signature: &Path, content: &Path, detached: bool) {
    let signed = Signed { signature, content, detached, anchor: &world.pki.hpki_root.pem };
    if let Err(refused) = openssl_cms_verify(signed) {
        panic!("OpenSSL: {refused:?}");
    }
    if let Err(refused) = second_verify(signed) {
        panic!("second verifier: {refused:?}");
    }
}

/// OpenSSL accepts `signature`, not in CMS, of the digest `dtbsr` by the key of the certificate `leaf_der`; `openssl pkeyutl` takes SHA-256.
#[track_caller]
pub fn assert_raw_good(world: &World, leaf_der: &[u8], dtbsr: &[u8], signature: &[u8]) {
    let folder = tempfile::tempdir_in(&world.folder).expect("a folder");
    for (name, octets) in [("leaf.der", leaf_der), ("digest", dtbsr), ("signature", signature)] {
        std::fs::write(folder.path().join(name), octets).expect("a file");
    }
    for arguments in [
        "x509 -inform DER -in leaf.der -pubkey -noout -out leaf.pub",
        "pkeyutl -verify -pubin -inkey leaf.pub -in digest -sigfile signature -pkeyopt digest:sha256",
    ] {
        let mut openssl = Command::new("openssl");
        openssl.args(arguments.split(' ')).current_dir(folder.path());
        let output = openssl.output().expect("openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
