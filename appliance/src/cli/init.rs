//! `inkan init`: the ceremony, held beside the appliance.

use crate::cli::args::Cli;
use crate::cli::args::Init;
use crate::cli::error::CliError;
use crate::config::Config;
use crate::provision;
use crate::provision::Founding;
use crate::x509;
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
/// [`CliError`]
pub async fn init(cli: &Cli, init: &Init, out: &mut impl Write) -> Result<(), CliError> {
    let how = "inkan init --config FILE ...";
    let file = cli
        .connection
        .config
        .as_deref()
        .ok_or(CliError::NotGiven { what: "the configuration", how })?;
    let config = Config::load(file)?;
    let founding = Founding {
        operators: init.operators.iter().map(|text| operator(text)).collect::<Result<_, _>>()?,
        anchors: init.anchors.iter().map(|text| anchor(text)).collect::<Result<_, _>>()?,
    };
    let founded = provision::found(&config, founding).await?;
    let key = x509::pem("PUBLIC KEY", &founded.checkpoint_key_der);
    if cli.json {
        let founded = serde_json::json!({
            "house_keys": founded.house_keys, "module": founded.module, "audit_public_key_pem": key,
        });
        writeln!(out, "{founded:#}")?;
        return Ok(());
    }
    writeln!(out, "The appliance is provisioned.")?;
    writeln!(out, "House keys made in the token: {}", list(&founded.house_keys))?;
    writeln!(out, "PKCS#11 module approved: {}", founded.module.0)?;
    writeln!(out, "The audit log is checked with this key; keep it outside the appliance:")?;
    writeln!(out, "{key}")?;
    writeln!(out, "Next: systemctl start inkan, then: inkan status")?;
    Ok(())
}

fn list(names: &[&str]) -> String {
    match names {
        [] => "none, all were there".to_owned(),
        names => names.join(", "),
    }
}

/// `ID:ROLE:FILE`
fn operator(text: &str) -> Result<Operator, CliError> {
    let wrong = || {
        CliError::Wrong(format!(
            "{text:?} is not ID:ROLE:FILE, such as officer1:security_officer:o1.pem"
        ))
    };
    let mut parts = text.splitn(3, ':');
    let (Some(id), Some(role), Some(file)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wrong());
    };
    let is_id = (1..=64).contains(&id.len())
        && id.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"._-".contains(&octet));
    let role = Role::ALL
        .into_iter()
        .find(|known| known.name() == role)
        .filter(|_| is_id)
        .ok_or_else(wrong)?;
    let certificate = Fingerprint::of(&certificate(Path::new(file))?);
    Ok(Operator { operator_id: id.to_owned(), role, certificate, created_at: UnixSeconds(0) })
}

/// `PURPOSE:FILE`
fn anchor(text: &str) -> Result<Anchor, CliError> {
    let wrong =
        || CliError::Wrong(format!("{text:?} is not hpki_card:FILE or second_certificate:FILE"));
    let (purpose, file) = text.split_once(':').ok_or_else(wrong)?;
    let purpose = match purpose {
        "hpki_card" => AnchorPurpose::HpkiCard,
        "second_certificate" => AnchorPurpose::SecondCertificate,
        _ => return Err(wrong()),
    };
    let certificate_der = certificate(Path::new(file))?;
    let fingerprint = Fingerprint::of(&certificate_der);
    Ok(Anchor { fingerprint, purpose, certificate_der, added_at: UnixSeconds(0) })
}

fn certificate(path: &Path) -> Result<Vec<u8>, CliError> {
    let pem = std::fs::read_to_string(path)
        .map_err(|source| CliError::File { path: path.into(), source })?;
    x509::certificate_of_pem(&pem)
        .map_err(|source| CliError::Certificate { path: path.into(), source })
}
