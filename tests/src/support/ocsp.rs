//! OpenSSL's OCSP responder behind a port on loopback; itself it would listen on every address.

use super::jpki_provider::Answer;
use super::jpki_provider::Question;
use super::pki::Ca;
use super::pki::Pair;
use std::fmt::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// What the responder answers from.
#[derive(Clone)]
pub struct Responder {
    index: PathBuf,
    ca: PathBuf,
    signer: [PathBuf; 2],
}

impl Responder {
    /// A responder that `ca` certified, with its index in `folder`; it knows nobody yet.
    pub fn new(ca: &Ca, folder: &Path) -> Self {
        let signer = ca.ocsp_responder("responder");
        let responder = Self {
            index: folder.join("index.txt"),
            ca: ca.pem.clone(),
            signer: [signer.certificate.clone(), signer.key.clone()],
        };
        responder.knows(&[], &[]);
        responder
    }

    /// From now on it knows these cards, and nobody else.
    pub fn knows(&self, good: &[&Pair], revoked: &[&Pair]) {
        let mut index = String::new();
        for card in good {
            let _ = writeln!(index, "V\t301231235959Z\t\t{:04X}\tunknown\t/CN=a", card.serial);
        }
        for card in revoked {
            let at = "260101000000Z,affiliationChanged";
            let _ = writeln!(index, "R\t301231235959Z\t{at}\t{:04X}\tunknown\t/CN=b", card.serial);
        }
        std::fs::write(&self.index, index).expect("an index");
    }

    /// One answer.
    pub fn answer(&self, question: &Question) -> Answer {
        let own = tempfile::tempdir().expect("a folder");
        let (request, response) = (own.path().join("request"), own.path().join("response"));
        std::fs::write(&request, &question.body).expect("a request");
        let [certificate, key] = &self.signer;
        let done = Command::new("openssl")
            .args(["ocsp", "-nmin", "60", "-index"])
            .arg(&self.index)
            .arg("-CA")
            .arg(&self.ca)
            .arg("-rsigner")
            .arg(certificate)
            .arg("-rkey")
            .arg(key)
            .arg("-reqin")
            .arg(request)
            .arg("-respout")
            .arg(&response)
            .output()
            .expect("openssl");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Answer {
            status: 200,
            content_type: "application/ocsp-response".to_owned(),
            body: std::fs::read(response).expect("an answer"),
            after: Duration::ZERO,
        }
    }
}
