//! The demo's certificates, made by its script with OpenSSL, are what the judge asks for with its own defaults.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may end at once")]

use attest::clock::UnixSeconds;
use attest::judge::CertificateRefusal;
use attest::judge::Judge;
use attest::judge::Material;
use attest::judge::Profiles;
use attest::records::Anchor;
use attest::records::AnchorPurpose;
use attest::records::Fingerprint;
use attest::revocation::CrlLimits;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;
use tempfile::TempDir;
use tests::support::pki::pem_to_der;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::Encode;

#[test]
fn demo_card_is_a_doctors_and_the_lost_one_is_revoked() {
    let pki = DemoPki::new();
    let judge = pki.judge();
    let card = judge.judge_leaf(&pki.der("card-hanako"), now()).unwrap();
    assert!(card.roles.iter().any(|role| role.is("Medical Doctor")), "{:?}", card.roles);
    assert!(!card.is_test_card);
    let refusal = judge.judge_leaf(&pki.der("card-hanako-lost"), now()).unwrap_err();
    assert_eq!(refusal.code(), "certificate_revoked", "{refusal}");
}

#[test]
fn demo_second_certificate_signs_and_does_not_sign_in() {
    let pki = DemoPki::new();
    let judge = pki.judge();
    let second = pki.second_certificate("p256");
    let spki = Certificate::from_der(&second).unwrap();
    let spki = spki.tbs_certificate().subject_public_key_info().to_der().unwrap();
    let chain = [second.clone(), pki.der("hpki-sign-ca")];
    let judged = judge.judge_second_certificate(&chain, &spki, now()).unwrap();
    assert!(judged.roles.iter().any(|role| role.is("Medical Doctor")), "{:?}", judged.roles);
    assert_eq!(judged.chain, chain);
    let refusal = judge.judge_leaf(&second, now()).unwrap_err();
    assert!(matches!(refusal, CertificateRefusal::Path(_)), "{refusal}");
}

struct DemoPki {
    folder: TempDir,
}

impl DemoPki {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/pki.sh");
        run(Command::new(script).current_dir(&folder));
        Self { folder }
    }

    /// As the demo issues it, for a key that is here only.
    fn second_certificate(&self, name: &str) -> Vec<u8> {
        let request = "req -new -config openssl.cnf -newkey rsa:2048 -noenc -subj /CN=x -keyout x.key -out x.csr";
        run(Command::new("openssl").args(request.split(' ')).current_dir(&self.folder));
        let issue = format!(
            "req -x509 -config openssl.cnf -extensions second -in x.csr -days 30 -subj /C=JP/CN=x \
             -CA hpki-sign-ca.pem -CAkey hpki-sign-ca.key -out {name}.pem"
        );
        run(Command::new("openssl").args(issue.split_whitespace()).current_dir(&self.folder));
        self.der(name)
    }

    /// With the default profiles and the script's own revocation lists.
    fn judge(&self) -> Judge {
        let anchor = |purpose| {
            let certificate_der = self.der("hpki-root");
            let fingerprint = Fingerprint::of(&certificate_der);
            Anchor { fingerprint, purpose, certificate_der, added_at: now() }
        };
        let material = Material {
            anchors: vec![
                anchor(AnchorPurpose::HpkiCard),
                anchor(AnchorPurpose::SecondCertificate),
            ],
            intermediates: vec![self.der("hpki-auth-ca"), self.der("hpki-sign-ca")],
            profiles: Profiles::default(),
            danger_test_mode: false,
        };
        let judge = Judge::new(material, CrlLimits::default(), &[]).unwrap();
        for ca in ["hpki-root", "hpki-auth-ca", "hpki-sign-ca"] {
            let list = pem_to_der(&self.read(&format!("{ca}.crl")));
            judge.load_crl(&list, now()).unwrap_or_else(|refusal| panic!("{ca}: {refusal}"));
        }
        judge
    }

    fn der(&self, name: &str) -> Vec<u8> {
        pem_to_der(&self.read(&format!("{name}.pem")))
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.path().join(file)).unwrap()
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said));
}

fn now() -> UnixSeconds {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    UnixSeconds(since.as_secs())
}
