//! `inkan audit evidence`: evidence as files that OpenSSL checks again.

use crate::cli::error::CliError;
use crate::x509;
use api::admin::evidence::EvidenceView;
use attest::evidence::CardEvidence;
use std::fs::DirBuilder;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes `view` into the new folder `dir`, readable by its owner alone; what to say about it.
///
/// # Errors
/// [`CliError::File`], also when the folder is there already.
pub fn write(dir: &Path, view: &EvidenceView) -> Result<String, CliError> {
    let made = DirBuilder::new().mode(0o700).create(dir);
    made.map_err(|source| CliError::File { path: dir.to_owned(), source })?;
    file(dir, "evidence.json", view.evidence_json.as_bytes())?;
    let (shown, EvidenceView { seq, holder_id, .. }) = (dir.display(), view);
    let said = format!("{shown} holds the evidence of record {seq}, for {holder_id}.\n");
    // A phone's evidence is JSON of another form, and is checked by the WebAuthn steps.
    let Ok(evidence) = serde_json::from_str::<CardEvidence>(&view.evidence_json) else {
        return Ok(said);
    };
    file(dir, "certificate.pem", x509::pem("CERTIFICATE", &evidence.leaf_der).as_bytes())?;
    file(dir, "signed.bin", &evidence.transcript)?;
    file(dir, "signature.bin", &evidence.signature)?;
    let (at, digest) = (x509::rfc3339(evidence.handshake_at.0), evidence.digest().0);
    let key = "openssl x509 -in certificate.pem -pubkey -noout -out key.pem";
    let check = check(evidence.signature_scheme);
    Ok(format!(
        "{said}The card signed signed.bin (a TLS 1.2 handshake with this appliance, RFC 5246 7.4.8) at {at}; digest {digest}.\n\
         Next: cd {shown} && {key} && {check}\n\
         Then delete the folder: it says who somebody is.\n"
    ))
}

/// How OpenSSL checks a signature of this scheme (RFC 8446 §4.2.3).
fn check(scheme: u16) -> String {
    let dgst = |digest: &str, options: &str| {
        format!(
            "openssl dgst -{digest}{options} -verify key.pem -signature signature.bin signed.bin"
        )
    };
    let pss = |salt: u8| format!(" -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:{salt}");
    match scheme {
        0x0401 | 0x0403 => dgst("sha256", ""),
        0x0501 | 0x0503 => dgst("sha384", ""),
        0x0601 | 0x0603 => dgst("sha512", ""),
        0x0804 | 0x0809 => dgst("sha256", &pss(32)),
        0x0805 | 0x080a => dgst("sha384", &pss(48)),
        0x0806 | 0x080b => dgst("sha512", &pss(64)),
        _ => "openssl pkeyutl -verify -pubin -inkey key.pem -rawin -sigfile signature.bin -in signed.bin"
            .to_owned(),
    }
}

fn file(dir: &Path, name: &str, octets: &[u8]) -> Result<(), CliError> {
    let path = dir.join(name);
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let written = opened.and_then(|mut file| file.write_all(octets));
    written.map_err(|source| CliError::File { path, source })
}
