//! `inkan audit`: its arguments.

use clap::Args;
use clap::Subcommand;
use std::path::PathBuf;

/// `inkan audit`
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// The newest checkpoint and the key that signs it
    Head {
        /// Where the public key goes, PEM
        #[arg(long, value_name = "FILE")]
        key_out: Option<PathBuf>,
        /// Where the checkpoint goes, to be kept outside: `inkan audit verify --checkpoint FILE`
        #[arg(long, value_name = "FILE")]
        checkpoint_out: Option<PathBuf>,
    },
    /// Finds records
    Search(AuditSearch),
    /// Writes records as JSON lines, each with its proof, the checkpoint last
    Export {
        /// Reads the files themselves, or a copy of them, instead of asking the appliance
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// First sequence number
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Where they go; standard output when left out
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// The evidence of a sign-in or registration, as files that OpenSSL checks (a My Number card's takes two operators: propose
    /// it, have a security officer approve it, then type this again)
    Evidence {
        /// Sequence number of the record, as `inkan audit search` shows it
        seq: u64,
        /// A new folder for it, readable by you alone
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Verifies a log with nothing but its files and the public key
    Verify {
        /// The audit directory, or a copy of it
        dir: PathBuf,
        /// SubjectPublicKeyInfo of the key that signs checkpoints, PEM; more than one after a change of the key
        #[arg(long, required = true, value_name = "FILE")]
        key: Vec<PathBuf>,
        /// A checkpoint kept outside: the log must contain what it says
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
    },
}

/// `inkan audit search`
#[derive(Debug, Default, Args)]
pub struct AuditSearch {
    /// Reads the files themselves, or a copy of them, instead of asking the appliance
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// About this holder
    #[arg(long)]
    pub holder: Option<String>,
    /// Of this signing system
    #[arg(long)]
    pub system: Option<String>,
    /// Of this key
    #[arg(long)]
    pub credential: Option<String>,
    /// Of this operator
    #[arg(long)]
    pub operator: Option<String>,
    /// Of this kind: signature, session_ended, trust_changed ...
    #[arg(long)]
    pub event: Option<String>,
    /// Of this request
    #[arg(long)]
    pub request: Option<String>,
    /// Not before: RFC 3339 or Unix seconds
    #[arg(long)]
    pub since: Option<String>,
    /// Before: RFC 3339 or Unix seconds
    #[arg(long)]
    pub until: Option<String>,
    /// First sequence number
    #[arg(long)]
    pub from: Option<u64>,
    /// Most records
    #[arg(long, default_value_t = 100)]
    pub limit: u64,
}
