//! `inkan init`: the ceremony, told on one command line.

use crate::cli::args::Init;
use crate::cli::command::certificate_pem;
use crate::cli::error::CliError;
use crate::config::Config;
use crate::provision;
use crate::provision::Founded;
use crate::provision::Founding;
use crate::x509;
use crate::x509::Facts;
use attest::clock::UnixSeconds;
use attest::records::Anchor;
use attest::records::AnchorPurpose;
use attest::records::Fingerprint;
use attest::records::Operator;
use attest::records::Role;
use std::io::Write;
use std::path::Path;

/// Holds the ceremony and says what comes next.
///
/// # Errors
/// [`CliError::Provision`]; nothing is half provisioned.
pub async fn init(
    config: &Config,
    init: &Init,
    json: bool,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let founding = Founding {
        operators: init.operators.iter().map(|text| operator(text)).collect::<Result<_, _>>()?,
        anchors: init.anchors.iter().map(|text| anchor(text)).collect::<Result<_, _>>()?,
    };
    let known: Vec<_> =
        founding.operators.iter().map(|one| (one.operator_id.clone(), one.role)).collect();
    // The PIN is read from here on.
    crate::harden::process().map_err(|error| CliError::Wrong(format!("this process: {error}")))?;
    let founded = provision::found(config, founding).await?;
    match json {
        true => writeln!(out, "{:#}", as_json(&founded, &known))?,
        false => tell(&founded, &known, out)?,
    }
    Ok(())
}

/// `ID:ROLE:FILE`
fn operator(text: &str) -> Result<Operator, CliError> {
    let wrong = |reason: &str| {
        CliError::Wrong(format!("--operator {text}: {reason}; write ID:ROLE:CERTIFICATE.pem"))
    };
    let mut parts = text.splitn(3, ':');
    let (Some(id), Some(role), Some(file)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wrong("three parts are needed"));
    };
    if !api::admin::check::is_id(id) {
        return Err(wrong("an id has 1 to 64 characters of A-Z a-z 0-9 . _ -"));
    }
    let role = Role::ALL.into_iter().find(|known| known.name() == role).ok_or_else(|| {
        let known = Role::ALL.map(Role::name).join(", ");
        wrong(&format!("{role} is no role; known are {known}"))
    })?;
    let (der, facts) = certificate(Path::new(file))?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    if now.is_ok_and(|now| now.as_secs() > facts.not_after) {
        return Err(wrong(&format!("this certificate ended on {}", x509::date(facts.not_after))));
    }
    if facts.is_ca {
        return Err(wrong("this is the certificate of an authority, not of a person"));
    }
    Ok(Operator {
        operator_id: id.to_owned(),
        role,
        certificate: Fingerprint::of(&der),
        created_at: UnixSeconds(0),
    })
}

/// `PURPOSE:FILE`
fn anchor(text: &str) -> Result<Anchor, CliError> {
    let wrong = || {
        CliError::Wrong(format!(
            "--anchor {text}: write hpki_card:FILE, second_certificate:FILE or jpki_card:FILE"
        ))
    };
    let (purpose, file) = text.split_once(':').ok_or_else(wrong)?;
    let purpose = match purpose {
        "hpki_card" => AnchorPurpose::HpkiCard,
        "second_certificate" => AnchorPurpose::SecondCertificate,
        "jpki_card" => AnchorPurpose::JpkiCard,
        _ => return Err(wrong()),
    };
    let (certificate_der, _) = certificate(Path::new(file))?;
    let fingerprint = Fingerprint::of(&certificate_der);
    Ok(Anchor { fingerprint, purpose, certificate_der, added_at: UnixSeconds(0) })
}

fn certificate(path: &Path) -> Result<(Vec<u8>, Facts), CliError> {
    let failed = |source| CliError::Certificate { path: path.to_owned(), source };
    let der = x509::certificate_of_pem(&certificate_pem(path)?).map_err(failed)?;
    let facts = Facts::of(&der).map_err(failed)?;
    Ok((der, facts))
}

fn as_json(founded: &Founded, operators: &[(String, Role)]) -> serde_json::Value {
    let operators: Vec<_> = operators
        .iter()
        .map(|(id, role)| serde_json::json!({ "operator_id": id, "role": role.name() }))
        .collect();
    serde_json::json!({
        "house_keys": founded.house_keys,
        "module": founded.module,
        "audit_public_key_pem": x509::pem("PUBLIC KEY", &founded.checkpoint_key_der),
        "operators": operators,
    })
}

fn tell(
    founded: &Founded,
    operators: &[(String, Role)],
    out: &mut impl Write,
) -> Result<(), CliError> {
    writeln!(out, "Provisioned.")?;
    if !founded.house_keys.is_empty() {
        writeln!(out, "House keys made in the token: {}", founded.house_keys.join(", "))?;
    }
    writeln!(out, "PKCS#11 module approved: SHA-256 {}", founded.module.0)?;
    for (operator_id, role) in operators {
        writeln!(out, "Operator {operator_id}: {}", role.name())?;
    }
    writeln!(out, "From now on granting trust takes two operators.")?;
    writeln!(out, "\nGive this key to whoever audits; they keep it outside:")?;
    write!(out, "{}", x509::pem("PUBLIC KEY", &founded.checkpoint_key_der))?;
    writeln!(out, "\nNext:")?;
    writeln!(out, "  systemctl start inkan        (or: inkand --config FILE)")?;
    writeln!(out, "  inkan doctor")?;
    writeln!(out, "  inkan holder add ID --name NAME")?;
    Ok(())
}
