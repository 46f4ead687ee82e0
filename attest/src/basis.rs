//! What sessions rest on: once in memory, however many rest on it, and judged once for all of them.

use crate::records::Fingerprint;
use crate::records::Method;
use crate::registry::AtomicStanding;
use crate::registry::Standing;

/// Whose presence was proved, to which signing system, by what. Certificates are judged again while sessions rest on them.
pub struct Basis {
    /// Whose presence was proved.
    pub holder_id: String,
    /// For which signing system.
    pub system_id: String,
    /// How.
    pub method: Method,
    /// The card or authenticator: when its link goes, the session goes.
    pub factor: Fingerprint,
    /// Certificate of the evidence, DER: judged again at every new revocation list. An authenticator has none.
    pub certificate: Option<Vec<u8>>,
    /// SHA-256 of the second certificates that might sign when presence was proved.
    pub second_certificates: Vec<Fingerprint>,
    standing: AtomicStanding,
}

impl Basis {
    /// A basis whose certificate has not been judged yet: nothing is signed on it before [`Self::judge_evidence`].
    pub(crate) fn new(
        (holder_id, system_id): (String, String),
        (method, factor): (Method, Fingerprint),
        certificate: Option<Vec<u8>>,
        second_certificates: Vec<Fingerprint>,
    ) -> Self {
        let has_nothing_to_judge = method == Method::Fido2 && certificate.is_none();
        let standing = if has_nothing_to_judge { Standing::Good } else { Standing::Unknown };
        Self {
            holder_id,
            system_id,
            method,
            factor,
            certificate,
            second_certificates,
            standing: AtomicStanding::new(standing),
        }
    }

    /// Whether both say the same, whatever was judged of them.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.holder_id == other.holder_id
            && self.system_id == other.system_id
            && self.method == other.method
            && self.factor == other.factor
            && self.certificate == other.certificate
            && self.second_certificates == other.second_certificates
    }

    /// Notes what the last check of the evidence certificate said.
    pub fn judge_evidence(&self, standing: Standing) {
        self.standing.store(standing);
    }

    /// What the last check of the evidence certificate said.
    pub fn evidence_standing(&self) -> Standing {
        self.standing.load()
    }
}
