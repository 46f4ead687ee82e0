//! The command line, as `inkan --help` shows it.

pub use crate::cli::audit_args::Audit;
pub use crate::cli::audit_args::AuditSearch;

use crate::cli::letter::Letter;
use crate::cli::system_args::SystemAdd;
use crate::cli::system_args::SystemUpdate;
use crate::cli::values::Purpose;
use crate::cli::values::Role;
use crate::cli::values::Switch;
use clap::Args;
use clap::Parser;
use clap::Subcommand;
use std::path::PathBuf;

/// Administers an Inkan signing appliance.
#[derive(Debug, Parser)]
#[command(name = "inkan", version, about, propagate_version = true, disable_help_subcommand = true)]
pub struct Cli {
    /// Where the appliance is and who asks.
    #[command(flatten)]
    pub connection: Connection,
    /// Answers as JSON, for programs.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Where the appliance is and who asks. Everything may come from the environment.
#[derive(Clone, Debug, Default, Args)]
pub struct Connection {
    /// Configuration file of the appliance, where the tool runs beside it.
    #[arg(long, global = true, env = "INKAN_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// https://host:port of the admin listener; the configuration file's, when left out.
    #[arg(long, global = true, env = "INKAN_ADMIN_URL", value_name = "URL")]
    pub admin_url: Option<String>,
    /// Your operator certificate, PEM.
    #[arg(long, global = true, env = "INKAN_ADMIN_CERT", value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, global = true, env = "INKAN_ADMIN_KEY", value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Who issued the appliance's own certificate, PEM.
    #[arg(long, global = true, env = "INKAN_SERVER_CA", value_name = "FILE")]
    pub server_ca: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// State, counts and alarms
    Status,
    /// Checks everything that a new operator gets wrong and says what to type next
    Doctor,
    /// Explains every fault of a configuration file and what to write instead
    CheckConfig(CheckConfig),
    /// Provisions a new appliance: house keys, the first operators, the first anchors
    Init(Init),
    /// Holders (本人)
    #[command(subcommand)]
    Holder(Holder),
    /// HPKI cards of holders
    #[command(subcommand)]
    Card(Card),
    /// Phones of holders
    #[command(subcommand)]
    Device(Device),
    /// My Number cards of holders
    #[command(subcommand)]
    Jpki(Jpki),
    /// Notification cards (通知カード): a link and a password that register a phone
    #[command(subcommand)]
    Letter(Letter),
    /// Second keys and their certificates
    #[command(subcommand)]
    Key(Key),
    /// Signing systems
    #[command(subcommand)]
    System(System),
    /// Operators
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Trust anchors
    #[command(subcommand)]
    Anchor(Anchor),
    /// Whether published test cards may sign in
    TestMode {
        /// on takes two operators
        switch: Switch,
    },
    /// The PKCS#11 module
    #[command(subcommand)]
    Module(Module),
    /// Live sessions
    #[command(subcommand)]
    Session(Session),
    /// What waits for a second operator
    #[command(alias = "proposal", args_conflicts_with_subcommands = true)]
    Proposals {
        /// Show one of them
        #[command(subcommand)]
        one: Option<Proposal>,
    },
    /// Lets a proposal of another operator happen
    Approve {
        /// As `inkan proposals` shows it
        proposal_id: String,
        /// Approves without asking; needed where there is no terminal
        #[arg(long)]
        yes: bool,
    },
    /// Ends a proposal, also your own
    Reject {
        /// As `inkan proposals` shows it
        proposal_id: String,
    },
    /// The audit log
    #[command(subcommand)]
    Audit(Audit),
}

impl Command {
    /// What lists the things that this command is about.
    pub fn list(&self) -> Option<&'static str> {
        Some(match self {
            Self::Holder(_) => "inkan holder list",
            Self::Card(_) => "inkan card list",
            Self::Device(_) => "inkan device list",
            Self::Jpki(_) => "inkan jpki list",
            Self::Letter(_) => "inkan letter list",
            Self::Key(_) => "inkan key list",
            Self::System(_) => "inkan system list",
            Self::Operator(_) => "inkan operator list",
            Self::Anchor(_) => "inkan anchor list",
            Self::Session(_) => "inkan session list",
            Self::Proposals { .. } | Self::Approve { .. } | Self::Reject { .. } => {
                "inkan proposals"
            }
            Self::TestMode { .. } => "inkan status",
            _ => return None,
        })
    }
}

/// `inkan check-config`
#[derive(Debug, Args)]
pub struct CheckConfig {
    /// The file; --config when left out
    pub file: Option<PathBuf>,
    /// Prints a complete configuration with the reason of every key
    #[arg(long)]
    pub example: bool,
}

/// `inkan init`
#[derive(Debug, Args)]
pub struct Init {
    /// An operator: ID:ROLE:CERTIFICATE.pem; at least two security officers
    #[arg(long = "operator", required = true, value_name = "ID:ROLE:FILE")]
    pub operators: Vec<String>,
    /// A trust anchor: hpki_card:FILE, second_certificate:FILE or jpki_card:FILE
    #[arg(long = "anchor", value_name = "PURPOSE:FILE")]
    pub anchors: Vec<String>,
}

/// `inkan holder`
#[derive(Debug, Subcommand)]
pub enum Holder {
    /// Registers a holder (takes two operators)
    Add {
        /// 本人ID
        holder_id: String,
        /// What people call them
        #[arg(long)]
        name: String,
        /// Whom to call at their certification authority
        #[arg(long)]
        ca_contact: Option<String>,
    },
    /// Lists holders
    List,
    /// Everything about one holder on one screen, and what to type next
    Show {
        /// 本人ID
        holder_id: String,
    },
    /// Changes what people read of a holder (takes two operators)
    Update {
        /// 本人ID
        holder_id: String,
        /// What people call them
        #[arg(long)]
        name: Option<String>,
        /// Whom to call at their certification authority
        #[arg(long)]
        ca_contact: Option<String>,
    },
    /// Suspends a holder at once, until two operators enable them; every session ends
    #[command(alias = "suspend")]
    Disable {
        /// 本人ID
        holder_id: String,
        /// Why: kept with the holder and in the audit log
        #[arg(long)]
        reason: Option<String>,
    },
    /// Ends a holder for good: nobody of this id signs ever again (takes two operators; disable is at once)
    Retire {
        /// 本人ID
        holder_id: String,
        /// Why: kept with the holder and in the audit log
        #[arg(long)]
        reason: Option<String>,
    },
    /// Lets a suspended holder sign again (takes two operators)
    #[command(alias = "resume")]
    Enable {
        /// 本人ID
        holder_id: String,
    },
}

/// `inkan card`
#[derive(Debug, Subcommand)]
pub enum Card {
    /// Links a card to a holder (takes two operators)
    Link {
        /// 本人ID
        holder_id: String,
        /// The card's authentication certificate, PEM or DER
        #[arg(long, alias = "cert-file", value_name = "FILE")]
        certificate: PathBuf,
    },
    /// Removes a card link at once; sessions proved with it end
    Unlink {
        /// SHA-256 that `inkan card list` shows
        card: String,
        /// Why: kept with the holder and in the audit log
        #[arg(long)]
        reason: Option<String>,
    },
    /// Lists card links
    List(OfHolder),
}

/// What is listed.
#[derive(Debug, Args)]
pub struct OfHolder {
    /// Of this holder only
    #[arg(long)]
    pub holder: Option<String>,
}

/// `inkan jpki`
#[derive(Debug, Subcommand)]
pub enum Jpki {
    /// Removes a My Number card at once; its sessions end, and only the HPKI card can register one again
    Unlink {
        /// As `inkan jpki list` shows it
        card: String,
        /// Why: kept with the holder and in the audit log
        #[arg(long)]
        reason: Option<String>,
    },
    /// Lists My Number cards
    List(OfHolder),
}

/// `inkan device`
#[derive(Debug, Subcommand)]
pub enum Device {
    /// Removes a phone or a security key at once; sessions proved with it end
    Remove {
        /// SHA-256 that `inkan device list` shows
        device: String,
        /// Why: kept with the holder and in the audit log
        #[arg(long)]
        reason: Option<String>,
    },
    /// Lists phones and security keys
    List(OfHolder),
}

/// `inkan key`
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Makes a key pair in the HSM and writes its certification request
    Create {
        /// Its name on the wire
        credential_id: String,
        /// Whose
        #[arg(long)]
        holder: String,
        /// rsa-2048, rsa-3072, rsa-4096, p-256, p-384, p-521 or ed25519
        #[arg(long = "type", value_name = "TYPE")]
        key_type: String,
        /// Subject of the request, RFC 4514
        #[arg(long)]
        subject: Option<String>,
        /// Where the request goes, PEM; standard output when left out
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Writes the certification request of a key again
    Request {
        /// Which key
        credential_id: String,
        /// Where it goes, PEM; standard output when left out
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Installs the certificate of a key (takes two operators)
    Install {
        /// Which key
        credential_id: String,
        /// Certificate, then its issuers, PEM
        #[arg(long, value_name = "FILE")]
        chain: PathBuf,
    },
    /// Makes the key pair that takes over from the present one, and writes its certification request
    ///
    /// The key keeps its name and signs on. Install the new certificate with `inkan key install`: from then on the new pair
    /// signs, and nobody signs in again.
    Renew {
        /// Which key
        credential_id: String,
        /// Subject of the request, RFC 4514; that of the present certificate when left out
        #[arg(long)]
        subject: Option<String>,
        /// Where the request goes, PEM; standard output when left out
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Destroys a pair that signs no more: superseded, revoked, given up (takes two operators)
    Destroy {
        /// Of which key
        credential_id: String,
        /// SHA-256 of its public key, as `inkan holder show` shows it
        public_key: String,
    },
    /// Lists keys
    List(OfHolder),
    /// Revokes a key for good, at once
    Revoke {
        /// Which key
        credential_id: String,
        /// Why: kept with the holder and in the audit log
        #[arg(long)]
        reason: Option<String>,
    },
    /// Ends the quarantine of a key (takes two operators)
    Release {
        /// Which key
        credential_id: String,
    },
}

/// `inkan system`
#[derive(Debug, Subcommand)]
pub enum System {
    /// Registers a signing system (takes two operators)
    Add(SystemAdd),
    /// Changes a signing system (what widens its rights takes two operators)
    Update(SystemUpdate),
    /// Lists signing systems
    List,
    /// Removes a signing system at once; its sessions end
    Remove {
        /// Which
        system_id: String,
    },
}

/// `inkan operator`
#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Registers an operator (takes two security officers)
    Add {
        /// Their id
        operator_id: String,
        /// The one role
        #[arg(long)]
        role: Role,
        /// Their client certificate, PEM
        #[arg(long, alias = "cert-file", value_name = "FILE")]
        certificate: PathBuf,
    },
    /// Lists operators
    List,
    /// Removes an operator at once
    Remove {
        /// Who
        operator_id: String,
    },
}

/// `inkan anchor`
#[derive(Debug, Subcommand)]
pub enum Anchor {
    /// Adds a trust anchor (takes two security officers)
    Add {
        /// What for
        purpose: Purpose,
        /// A self-signed CA certificate, PEM or DER
        file: PathBuf,
    },
    /// Lists trust anchors
    List,
    /// Removes a trust anchor at once; what hung on it stops
    Remove {
        /// What it was trusted for
        purpose: Purpose,
        /// SHA-256 that `inkan anchor list` shows
        fingerprint: String,
    },
}

/// `inkan module`
#[derive(Debug, Subcommand)]
pub enum Module {
    /// Approves another module for the next start (takes two security officers)
    Approve {
        /// The module file, or the SHA-256 of it
        module: String,
    },
}

/// `inkan session`
#[derive(Debug, Subcommand)]
pub enum Session {
    /// Lists live sessions
    List {
        /// Of this holder only
        #[arg(long)]
        holder: Option<String>,
        /// Of this signing system only
        #[arg(long)]
        system: Option<String>,
    },
    /// Ends a session at once
    End {
        /// Which
        session_id: String,
    },
    /// Ends every session of a holder at once
    EndAll {
        /// 本人ID
        holder_id: String,
    },
}

/// `inkan proposals`
#[derive(Debug, Subcommand)]
pub enum Proposal {
    /// Lists proposals
    List,
    /// Shows one with all that it would change
    Show {
        /// Which
        proposal_id: String,
    },
    /// Lets it happen
    Approve {
        /// Which
        proposal_id: String,
        /// Approves without asking; needed where there is no terminal
        #[arg(long)]
        yes: bool,
    },
    /// Ends it
    Reject {
        /// Which
        proposal_id: String,
    },
}
