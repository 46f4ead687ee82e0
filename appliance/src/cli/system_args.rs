//! Arguments about signing systems.

use crate::cli::values::Method;
use crate::cli::values::Switch;
use clap::Args;
use std::path::PathBuf;

/// `inkan system add`
#[derive(Debug, Args)]
pub struct SystemAdd {
    /// Its id
    pub system_id: String,
    /// What holders read when it asks for a sign-in
    #[arg(long)]
    pub name: String,
    /// Its client certificate, PEM; twice while one replaces the other
    #[arg(long, required = true, alias = "cert-file", value_name = "FILE")]
    pub certificate: Vec<PathBuf>,
    /// Exact URL to which browsers return after a sign-in
    #[arg(long, value_name = "URL")]
    pub return_url: Vec<String>,
    /// A holder it may name
    #[arg(long, conflicts_with = "all_holders", required_unless_present = "all_holders")]
    pub holder: Vec<String>,
    /// It may name every holder
    #[arg(long)]
    pub all_holders: bool,
    /// A method it accepts
    #[arg(long, default_value = "hpki")]
    pub method: Vec<Method>,
    /// Opens `output: raw` of /v1/sign/digest
    #[arg(long)]
    pub raw: bool,
    /// Opens raw signatures of bare digests, which the holder has approved one by one
    #[arg(long)]
    pub bare_digests: bool,
    /// Limits
    #[command(flatten)]
    pub limits: Limits,
}

/// `inkan system update`: only what is named changes.
#[derive(Debug, Args)]
pub struct SystemUpdate {
    /// Which
    pub system_id: String,
    /// What holders read
    #[arg(long)]
    pub name: Option<String>,
    /// A second client certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub add_certificate: Option<PathBuf>,
    /// SHA-256 of the client certificate that goes
    #[arg(long, value_name = "SHA256")]
    pub remove_certificate: Option<String>,
    /// All return URLs from now on
    #[arg(long, value_name = "URL")]
    pub return_url: Option<Vec<String>>,
    /// All holders it may name from now on
    #[arg(long, conflicts_with = "all_holders")]
    pub holder: Option<Vec<String>>,
    /// It may name every holder
    #[arg(long)]
    pub all_holders: bool,
    /// All methods from now on
    #[arg(long)]
    pub method: Option<Vec<Method>>,
    /// on opens `output: raw`, off closes it
    #[arg(long)]
    pub raw: Option<Switch>,
    /// on opens raw signatures of bare digests under an activation, off closes them
    #[arg(long)]
    pub bare_digests: Option<Switch>,
    /// Limits
    #[command(flatten)]
    pub limits: Limits,
}

/// Limits of a signing system.
#[derive(Clone, Copy, Debug, Args)]
pub struct Limits {
    /// Seconds of a session, from the proof of presence
    #[arg(long, value_name = "N")]
    pub session_seconds: Option<u64>,
    /// Seconds without a signature after which a session ends
    #[arg(long, value_name = "N")]
    pub idle_seconds: Option<u64>,
    /// Signatures in a session
    #[arg(long, value_name = "N")]
    pub signatures: Option<u64>,
    /// Requests a second, sustained
    #[arg(long, value_name = "N")]
    pub requests_per_second: Option<u32>,
}
