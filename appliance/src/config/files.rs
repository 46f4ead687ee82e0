//! What the files named in a configuration hold: there, readable, whole, fitting, private enough, and for how long.

use crate::config::Config;
use crate::config::Fault;
use crate::config::jpki;
use crate::config::listeners::TlsListener;
use crate::config::listeners::tls_listeners;
use crate::config::named_files::Named;
use crate::config::named_files::Purpose;
use crate::config::named_files::named_files;
use crate::x509;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// Days before its end at which a certificate is worth a warning: a change takes two weeks in a hospital.
const WARNING_DAYS: u64 = 30;
/// Largest PEM file read.
const MAX_PEM_BYTES: u64 = 16 * 1024 * 1024;
/// Permission bits that let others change a file.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// Permission bits that let others read or change a file.
const OPEN_TO_OTHERS: u32 = 0o077;
/// First octets of a shared library.
const ELF_MAGIC: &[u8] = b"\x7fELF";

/// Every fault in the files that `config` names.
pub fn check(config: &Config) -> Vec<Fault> {
    let mut faults: Vec<Fault> = named_files(config).iter().flat_map(file).collect();
    for listener in tls_listeners(config) {
        faults.extend(server_certificate(&listener));
    }
    if let Some(service) = config.jpki.http_service() {
        faults.extend(identity(jpki::HTTP, &service.certificate, &service.key).1);
    }
    faults
}

/// Whether somebody else can change the configuration.
pub fn of_the_file_itself(path: &Path) -> Option<Fault> {
    let mode = std::fs::metadata(path).ok()?.mode();
    (mode & WRITABLE_BY_OTHERS != 0).then(|| {
        Fault::error(
            "",
            format!("others can change {} (mode {:04o})", path.display(), mode & 0o7777),
            format!("chmod go-w {}", path.display()),
        )
    })
}

fn file(named: &Named<'_>) -> Vec<Fault> {
    let metadata = match std::fs::metadata(named.path) {
        Ok(metadata) => metadata,
        // systemd makes the data directory; a credential may be there only while the service runs.
        Err(error) if error.kind() == ErrorKind::NotFound && named.purpose == Purpose::Data => {
            return vec![Fault::warning(
                &*named.key,
                format!("{} is not there yet", named.path.display()),
                format!("install -d -m 0700 -o inkan -g inkan {}", named.path.display()),
            )];
        }
        Err(error) => return vec![unreadable(named, &error)],
    };
    match named.purpose {
        Purpose::Data => directory(named, &metadata).into_iter().collect(),
        Purpose::Module => module(named),
        Purpose::Pin => pin(named),
        Purpose::Key => private_key(named, &metadata),
        Purpose::Certificate => certificates(named).err().into_iter().collect(),
        Purpose::CaBundle => ca_bundle(named),
        Purpose::Crl => crl(named),
    }
}

fn unreadable(named: &Named<'_>, error: &std::io::Error) -> Fault {
    let instead = match error.kind() {
        ErrorKind::NotFound => "put the file there, or write where it is",
        ErrorKind::PermissionDenied => {
            "let the daemon's user read it: chown inkan, or run this as that user"
        }
        _ => "look at the file and the disk",
    };
    Fault::error(&*named.key, format!("{}: {error}", named.path.display()), instead)
}

fn directory(named: &Named<'_>, metadata: &Metadata) -> Option<Fault> {
    let path = named.path.display();
    if !metadata.is_dir() {
        return Some(Fault::error(
            &*named.key,
            format!("{path} is no directory"),
            "write a directory",
        ));
    }
    let mode = metadata.mode() & 0o7777;
    (mode & OPEN_TO_OTHERS != 0).then(|| {
        Fault::error(
            &*named.key,
            format!("others can look into {path} (mode {mode:04o})"),
            format!("chmod 0700 {path}"),
        )
    })
}

fn module(named: &Named<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let path = named.path.display();
    match first_octets(named.path) {
        Ok(octets) if octets == ELF_MAGIC => {}
        Ok(_) => faults.push(Fault::error(
            &*named.key,
            format!("{path} is no shared library"),
            "write the path of the vendor's PKCS#11 module, a .so file",
        )),
        Err(error) => faults.push(unreadable(named, &error)),
    }
    let mode = std::fs::metadata(named.path).map_or(0, |metadata| metadata.mode());
    if mode & WRITABLE_BY_OTHERS != 0 {
        faults.push(Fault::error(
            &*named.key,
            format!("others can change {path}, and it is loaded into the daemon"),
            format!("chown root:root {path}; chmod 0755 {path}"),
        ));
    }
    faults
}

fn first_octets(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut octets = Vec::with_capacity(ELF_MAGIC.len());
    std::fs::File::open(path)?.take(ELF_MAGIC.len() as u64).read_to_end(&mut octets)?;
    Ok(octets)
}

fn pin(named: &Named<'_>) -> Vec<Fault> {
    let refused = hsm::pin::read_pin(Some(named.path)).err();
    let fault = |error: hsm::pin::PinError| {
        let instead = format!("one line with the PIN, chmod 0400 {}", named.path.display());
        Fault::error(&*named.key, error.to_string(), instead)
    };
    refused.map(fault).into_iter().collect()
}

fn private_key(named: &Named<'_>, metadata: &Metadata) -> Vec<Fault> {
    let path = named.path.display();
    let mut faults = Vec::new();
    if metadata.mode() & OPEN_TO_OTHERS != 0 {
        faults.push(Fault::error(
            &*named.key,
            format!("others than its owner can use {path} (mode {:04o})", metadata.mode() & 0o7777),
            format!("chmod 0600 {path}; if others may have read it, make a new key"),
        ));
    }
    if let Err(error) = PrivateKeyDer::from_pem_file(named.path) {
        faults.push(Fault::error(
            &*named.key,
            format!("{path} holds no unencrypted private key in PEM: {error}"),
            "write PKCS #8: openssl pkcs8 -topk8 -nocrypt -in old.key -out new.key",
        ));
    }
    faults
}

/// The certificates of a PEM file, at least one.
fn certificates(named: &Named<'_>) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let fault = |wrong: String| {
        Err(Fault::error(&*named.key, wrong, "a PEM file: openssl x509 -in FILE -noout -subject"))
    };
    let path = named.path.display();
    if std::fs::metadata(named.path).is_ok_and(|metadata| metadata.len() > MAX_PEM_BYTES) {
        return fault(format!("{path} is too large to be a list of certificates"));
    }
    let read =
        CertificateDer::pem_file_iter(named.path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(list) if !list.is_empty() => Ok(list),
        Ok(_) => fault(format!("{path} holds no certificate")),
        Err(error) => fault(format!("{path}: {error}")),
    }
}

fn ca_bundle(named: &Named<'_>) -> Vec<Fault> {
    let list = match certificates(named) {
        Ok(list) => list,
        Err(fault) => return vec![fault],
    };
    let mut faults = Vec::new();
    for der in &list {
        match x509::Facts::of(der) {
            Ok(facts) if !facts.is_ca => faults.push(Fault::error(
                &*named.key,
                format!("{} is no CA certificate", facts.subject),
                "name certificates of authorities only; a person's or server's own never",
            )),
            Ok(facts) => faults.extend(validity(&named.key, &facts)),
            Err(error) => faults.push(Fault::error(
                &*named.key,
                format!("{}: {error}", named.path.display()),
                "get the certificate again from its authority",
            )),
        }
    }
    faults
}

fn crl(named: &Named<'_>) -> Vec<Fault> {
    let path = named.path.display();
    let octets = match std::fs::read(named.path) {
        Ok(octets) => octets,
        Err(error) => return vec![unreadable(named, &error)],
    };
    let pem = CertificateRevocationListDer::from_pem_slice(&octets);
    let der = pem.map_or(octets, |list| list.to_vec());
    let again = "get the list again from its authority";
    match x509::next_update(&der) {
        Ok(next_update) if next_update <= now() => vec![Fault::warning(
            &*named.key,
            format!("{path} ended on {}", x509::date(next_update)),
            format!("{again}: with this one every certificate under it is refused"),
        )],
        Ok(_) => Vec::new(),
        Err(error) => vec![Fault::error(&*named.key, format!("{path}: {error}"), again)],
    }
}

/// Chain and key belong together, the names are in the certificate, and it is valid.
fn server_certificate(listener: &TlsListener<'_>) -> Vec<Fault> {
    let (facts, mut faults) = identity(listener.key, listener.certificate, listener.private_key);
    let Some(facts) = facts else {
        return faults;
    };
    for name in listener.host_names.iter().filter(|name| !facts.is_for_host(name)) {
        faults.push(Fault::error(
            listener.names_key,
            format!("{name} is not in the certificate (it has: {})", facts.names().join(", ")),
            "have it put into subjectAltName, or serve only the names that are in it",
        ));
    }
    faults
}

/// What the certificate of `table` says, if it can be read; chain and key belong together, and it is valid.
fn identity(
    table: &str,
    certificate: &Path,
    private_key: &Path,
) -> (Option<x509::Facts>, Vec<Fault>) {
    let key = format!("{table}.certificate");
    let named = Named { key: key.clone(), path: certificate, purpose: Purpose::Certificate };
    // Files that cannot be read at all were named already.
    let Ok(chain) = certificates(&named) else {
        return (None, Vec::new());
    };
    let Some(facts) = chain.first().map(|leaf| x509::Facts::of(leaf)) else {
        return (None, Vec::new());
    };
    let facts = match facts {
        Ok(facts) => facts,
        Err(error) => {
            let wrong = format!("{}: {error}", certificate.display());
            return (None, vec![Fault::error(key, wrong, "get the certificate again")]);
        }
    };
    let mut faults: Vec<Fault> = validity(&key, &facts).into_iter().collect();
    if let Ok(private) = PrivateKeyDer::from_pem_file(private_key)
        && !belong_together(chain, &private)
    {
        faults.push(Fault::error(
            format!("{table}.key"),
            format!("this is not the key of the certificate of {}", facts.subject),
            "put key and certificate of one request side by side, the own certificate first",
        ));
    }
    (Some(facts), faults)
}

fn belong_together(chain: Vec<CertificateDer<'static>>, private: &PrivateKeyDer<'_>) -> bool {
    let key = any_supported_type(private);
    key.is_ok_and(|key| CertifiedKey::new(chain, key).keys_match().is_ok())
}

fn validity(key: &str, facts: &x509::Facts) -> Option<Fault> {
    let (now, subject) = (now(), &facts.subject);
    if now > facts.not_after {
        let wrong =
            format!("the certificate of {subject} ended on {}", x509::date(facts.not_after));
        return Some(Fault::error(key, wrong, "get a new one"));
    }
    if now < facts.not_before {
        let wrong =
            format!("the certificate of {subject} begins on {}", x509::date(facts.not_before));
        return Some(Fault::error(
            key,
            wrong,
            "wait for that day, or set the machine's clock right",
        ));
    }
    let days = (facts.not_after - now) / 86_400;
    (days < WARNING_DAYS).then(|| {
        let wrong = format!("the certificate of {subject} ends in {days} days");
        Fault::warning(key, wrong, "get a new one; it is taken up without a restart")
    })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
