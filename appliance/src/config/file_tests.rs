//! What `check-config` says about the files that a configuration names.

use super::*;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertificateRevocationListParams;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyIdMethod;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::SerialNumber;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;
use time::Duration;
use time::OffsetDateTime;

/// A folder in which every file that a configuration names is as it should be.
struct Folder {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap().pem();
        let folder = Self { dir, issuer: Issuer::new(params, key) };
        folder.write("ca.pem", &ca, 0o644);
        folder.write("pin", "1234\n", 0o400);
        folder.server(&["inkan.example"], 365);
        folder.crl(4);
        std::fs::create_dir(folder.path("data")).unwrap();
        std::fs::set_permissions(folder.path("data"), Permissions::from_mode(0o700)).unwrap();
        // Any shared library will do: this test's own program has the same first octets.
        std::fs::copy(std::env::current_exe().unwrap(), folder.path("module.so")).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.path(name);
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    /// The server's key and certificate.
    fn server(&self, names: &[&str], days: i64) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = OffsetDateTime::now_utc() - Duration::days(400);
        params.not_after = OffsetDateTime::now_utc() + Duration::days(days);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        self.write("server.pem", &certificate.pem(), 0o644);
        self.write("server.key", &key.serialize_pem(), 0o600);
    }

    fn crl(&self, days: i64) {
        let params = CertificateRevocationListParams {
            this_update: OffsetDateTime::now_utc() - Duration::days(9),
            next_update: OffsetDateTime::now_utc() + Duration::days(days),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        self.write("list.crl", &params.signed_by(&self.issuer).unwrap().pem().unwrap(), 0o644);
    }

    fn toml(&self) -> String {
        let at = |name: &str| self.path(name).display().to_string();
        let listener = |name: &str, port: u16, more: &str| {
            format!(
                "[listeners.{name}]\naddress = \"127.0.0.1:{port}\"\nhost_names = [\"inkan.example\"]\n\
                 certificate = {:?}\nkey = {:?}\n{more}\n",
                at("server.pem"),
                at("server.key")
            )
        };
        let client_ca = format!("client_ca = {:?}", at("ca.pem"));
        format!(
            "data_dir = {:?}\n[hsm]\nmodule = {:?}\ntoken = {{ label = \"t\" }}\npin_file = {:?}\n{}{}{}\
             [hpki]\nintermediates = [{:?}]\n[hpki.crls]\na = {{ file = {:?} }}\n\
             [second_certificates.crls]\na = {{ file = {:?} }}\n",
            at("data"),
            at("module.so"),
            at("pin"),
            listener("signing", 18443, &client_ca),
            listener("hpki", 18444, ""),
            listener("admin", 18445, &client_ca),
            at("ca.pem"),
            at("list.crl"),
            at("list.crl"),
        )
    }

    fn examine(&self) -> Vec<Fault> {
        let path = self.path("inkan.toml");
        self.write("inkan.toml", &self.toml(), 0o644);
        examine(&path).faults
    }

    /// What is found, at this key and with these words; nothing of another key.
    #[track_caller]
    fn finds(&self, severity: Severity, key: &str, words: &str) {
        let faults = self.examine();
        assert!(!faults.is_empty(), "nothing found");
        for fault in &faults {
            assert!(fault.key.ends_with(key), "{fault}");
            assert_eq!(fault.severity, severity, "{fault}");
            assert!(fault.line.is_some() || fault.key.is_empty(), "{fault}");
            assert!(fault.to_string().contains(words), "{words:?} is not in: {fault}");
        }
    }
}

#[test]
fn files_that_fit_have_no_fault() {
    assert_eq!(Folder::new().examine(), Vec::new());
}

#[test]
fn key_of_another_certificate_is_found() {
    let folder = Folder::new();
    folder.write("server.key", &KeyPair::generate().unwrap().serialize_pem(), 0o600);
    folder.finds(Severity::Error, ".key", "not the key of the certificate");
}

#[test]
fn files_of_the_service_for_my_number_cards_are_looked_at() {
    let folder = Folder::new();
    let at = |name: &str| folder.path(name).display().to_string();
    let service = |key: &str| {
        format!(
            "{}[jpki.validity]\nkind = \"http\"\n[jpki.validity.http]\nurl = \"https://a.example/\"\n\
             ca = {:?}\ncertificate = {:?}\nkey = {:?}\n",
            folder.toml(),
            at("ca.pem"),
            at("server.pem"),
            at(key)
        )
    };
    let examined = |key: &str| {
        folder.write("inkan.toml", &service(key), 0o644);
        examine(&folder.path("inkan.toml")).faults
    };
    assert_eq!(examined("server.key"), Vec::new());
    folder.write("other.key", &KeyPair::generate().unwrap().serialize_pem(), 0o600);
    for (key, words) in
        [("other.key", "not the key of the certificate"), ("no.key", "put the file there")]
    {
        let faults = examined(key);
        let [fault] = faults.as_slice() else { panic!("{faults:#?}") };
        assert_eq!(fault.key, "jpki.validity.http.key");
        assert!(fault.line.is_some() && fault.to_string().contains(words), "{fault}");
    }
}

#[test]
fn name_that_is_not_in_the_certificate_is_found() {
    let folder = Folder::new();
    folder.server(&["other.example", "*.inkan.example"], 365);
    folder.finds(Severity::Error, ".host_names", "inkan.example is not in the certificate");
    folder.server(&["*.example"], 365);
    assert_eq!(folder.examine(), Vec::new());
}

#[test]
fn portal_whose_name_is_not_in_the_certificate_is_found_with_what_to_do() {
    let folder = Folder::new();
    let at = |name: &str| folder.path(name).display().to_string();
    let portal = |name: &str| {
        format!(
            "{}[listeners.portal]\naddress = \"127.0.0.1:18446\"\nhost_name = {name:?}\n\
             certificate = {:?}\nkey = {:?}\n",
            folder.toml(),
            at("server.pem"),
            at("server.key")
        )
    };
    folder.write("inkan.toml", &portal("portal.example"), 0o644);
    let faults = examine(&folder.path("inkan.toml")).faults;
    let [fault] = faults.as_slice() else { panic!("{faults:#?}") };
    assert_eq!(fault.key, "listeners.portal.host_name");
    assert!(fault.to_string().contains("portal.example is not in the certificate"), "{fault}");
    assert!(fault.to_string().contains("subjectAltName"), "{fault}");
    folder.write("inkan.toml", &portal("inkan.example"), 0o644);
    assert_eq!(examine(&folder.path("inkan.toml")).faults, Vec::new());
}

#[test]
fn certificate_that_ended_or_ends_soon_is_found() {
    let folder = Folder::new();
    folder.server(&["inkan.example"], -1);
    folder.finds(Severity::Error, ".certificate", "ended on");
    folder.server(&["inkan.example"], 29);
    folder.finds(Severity::Warning, ".certificate", "ends in 2");
}

#[test]
fn secret_that_others_can_read_is_found() {
    let folder = Folder::new();
    let key = std::fs::read_to_string(folder.path("server.key")).unwrap();
    folder.write("server.key", &key, 0o640);
    folder.finds(Severity::Error, ".key", "chmod 0600");
    folder.write("server.key", &key, 0o600);
    folder.write("pin", "1234\n", 0o444);
    folder.finds(Severity::Error, "hsm.pin_file", "0444");
}

#[test]
fn directory_and_module_that_others_can_change_are_found() {
    let folder = Folder::new();
    std::fs::set_permissions(folder.path("data"), Permissions::from_mode(0o750)).unwrap();
    folder.finds(Severity::Error, "data_dir", "chmod 0700");
    std::fs::set_permissions(folder.path("data"), Permissions::from_mode(0o700)).unwrap();
    std::fs::set_permissions(folder.path("module.so"), Permissions::from_mode(0o777)).unwrap();
    folder.finds(Severity::Error, "hsm.module", "loaded into the daemon");
}

#[test]
fn module_that_is_no_library_is_found() {
    let folder = Folder::new();
    folder.write("module.so", "#!/bin/sh\n", 0o755);
    folder.finds(Severity::Error, "hsm.module", "no shared library");
}

#[test]
fn person_among_the_authorities_is_found() {
    let folder = Folder::new();
    let person = std::fs::read_to_string(folder.path("server.pem")).unwrap();
    folder.write("ca.pem", &person, 0o644);
    let faults = folder.examine();
    let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(
        keys,
        ["listeners.signing.client_ca", "listeners.admin.client_ca", "hpki.intermediates"]
    );
    assert!(faults.iter().all(|fault| fault.wrong.contains("no CA certificate")), "{faults:?}");
}

#[test]
fn list_that_ended_or_is_none_is_found() {
    let folder = Folder::new();
    folder.crl(-1);
    folder.finds(Severity::Warning, "crls.a.file", "ended on");
    folder.write("list.crl", "no list", 0o644);
    folder.finds(Severity::Error, "crls.a.file", "not well-formed");
}

#[test]
fn file_that_is_not_there_is_found_by_its_key_and_line() {
    let folder = Folder::new();
    std::fs::remove_file(folder.path("pin")).unwrap();
    folder.finds(Severity::Error, "hsm.pin_file", "No such file");
}

#[test]
fn configuration_that_others_can_change_is_found() {
    let folder = Folder::new();
    folder.write("inkan.toml", &folder.toml(), 0o666);
    let faults = examine(&folder.path("inkan.toml")).faults;
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].instead.contains("chmod go-w"), "{}", faults[0]);
    // The daemon does not only tell: it does not start with it.
    let refused = Config::load(&folder.path("inkan.toml")).unwrap_err();
    assert!(refused.to_string().contains("chmod go-w"), "{refused}");
}
