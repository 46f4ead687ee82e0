//! The lists that were accepted: verified once, numbered monotonically, never from the future.

use super::crl::Crl;
use super::crl::CrlNumber;
use super::crl::CrlParseError;
use super::crl::SignedCrl;
use crate::clock::UnixSeconds;
use crate::path::Certificate;
use crate::path::printable;
use crate::path::signature::SignatureFault;
use crate::records::Fingerprint;
use serde::Deserialize;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

/// Limits on lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CrlLimits {
    /// Longest list, octets.
    pub max_bytes: usize,
    /// Most lists kept (one for each issuer, key and scope).
    pub max_lists: usize,
    /// Seconds after thisUpdate at which a list is too old, whatever its nextUpdate says.
    pub max_age_seconds: u64,
    /// Seconds before nextUpdate at which the status of a list becomes an alarm.
    pub alarm_before_seconds: u64,
}

impl Default for CrlLimits {
    /// 16 MiB: half a million entries; HPKI lists have 2 to 14 kB. 8192 lists: JPKI partitions by municipality, in three
    /// generations. 10 days: HPKI lists live 4. 36 hours of alarm: lists are daily, so one missed publication rings and
    /// there are still two working days before sign-ins stop.
    fn default() -> Self {
        Self {
            max_bytes: 16 * 1024 * 1024,
            max_lists: 8192,
            max_age_seconds: 10 * 24 * 3600,
            alarm_before_seconds: 36 * 3600,
        }
    }
}

/// Why a list was not accepted; what was accepted before stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrlRefusal {
    /// It could not be read.
    #[error(transparent)]
    Parse(#[from] CrlParseError),
    /// No CA of its issuer's name is configured.
    #[error("no CA certificate of {issuer} is configured")]
    UnknownIssuer {
        /// Printable name.
        issuer: String,
    },
    /// No key of a CA of that name signed it.
    #[error("the list of {issuer} is not signed by a key of that CA: {fault}")]
    Signature {
        /// Printable name.
        issuer: String,
        /// What is wrong.
        fault: SignatureFault,
    },
    /// The CA's certificate does not allow it to sign lists.
    #[error("the certificate of {issuer} does not allow it to sign lists")]
    KeyUsage {
        /// Printable name.
        issuer: String,
    },
    /// thisUpdate lies in the future.
    #[error("the list of {issuer} is from the future: it begins at {}", .this_update.0)]
    Future {
        /// Printable name.
        issuer: String,
        /// When it begins.
        this_update: UnixSeconds,
    },
    /// nextUpdate is not after thisUpdate.
    #[error("the list of {issuer} ends before it begins")]
    EmptyPeriod {
        /// Printable name.
        issuer: String,
    },
    /// A list with a higher number, or a later thisUpdate, was accepted before.
    #[error("the list of {issuer} goes back: number {offered} after {floor}")]
    WentBack {
        /// Printable name.
        issuer: String,
        /// Number offered, hexadecimal.
        offered: String,
        /// Highest number accepted, hexadecimal.
        floor: String,
    },
    /// Another list with the same number was accepted before (RFC 5280 §5.2.3).
    #[error("the list of {issuer} has the number {number} of another list")]
    NumberReused {
        /// Printable name.
        issuer: String,
        /// The number, hexadecimal.
        number: String,
    },
    /// Too many different lists.
    #[error("more than {0} lists")]
    TooMany(usize),
}

impl CrlRefusal {
    /// Stable word for logs, audit records and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Parse(CrlParseError::TooLarge { .. }) => "crl_too_large",
            Self::Parse(_) => "crl_malformed",
            Self::UnknownIssuer { .. } => "crl_issuer_unknown",
            Self::Signature { .. } => "crl_signature_invalid",
            Self::KeyUsage { .. } => "crl_key_usage",
            Self::Future { .. } => "crl_future",
            Self::EmptyPeriod { .. } => "crl_period",
            Self::WentBack { .. } => "crl_went_back",
            Self::NumberReused { .. } => "crl_number_reused",
            Self::TooMany(_) => "crl_too_many",
        }
    }
}

/// What [`CrlStore::accept`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Where the list stands now.
    pub status: CrlStatus,
    /// False when exactly this list was there already.
    pub is_new: bool,
}

/// One list as operators and metrics see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrlStatus {
    /// Issuer, RFC 4514 text.
    pub issuer: String,
    /// SHA-256 of the issuer's SubjectPublicKeyInfo: several generations share a name.
    pub issuer_key: Fingerprint,
    /// Stable name of issuer, key and scope together.
    pub scope: Fingerprint,
    /// Whether it covers only a part (a distribution point, one kind of certificate, some reasons).
    pub is_partial: bool,
    /// Whether it is a delta list.
    pub is_delta: bool,
    /// CRLNumber, hexadecimal.
    pub number: String,
    /// thisUpdate.
    pub this_update: UnixSeconds,
    /// nextUpdate.
    pub next_update: UnixSeconds,
    /// nextUpdate, or the maximal age where that comes first.
    pub good_until: UnixSeconds,
    /// Seconds since thisUpdate.
    pub age_seconds: u64,
    /// Seconds until `good_until`; 0 when it has passed.
    pub remaining_seconds: u64,
    /// Revoked certificates in it.
    pub entries: usize,
    /// Past `good_until`: its certificates are refused.
    pub is_stale: bool,
    /// Stale soon: somebody has to look now.
    pub is_alarm: bool,
}

/// The newest list accepted of one scope: what must survive a restart so that lists never go back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrlFloor {
    /// Stable name of issuer, key and scope together.
    pub scope: Fingerprint,
    /// CRLNumber, hexadecimal without leading zero octets.
    pub number: String,
    /// thisUpdate.
    pub this_update: UnixSeconds,
    /// SHA-256 of the list.
    pub list: Fingerprint,
}

/// A list that was accepted.
pub(super) struct AcceptedCrl {
    pub(super) crl: Crl,
    /// SHA-256 of the SubjectPublicKeyInfo that signed it.
    pub(super) issuer_key: Fingerprint,
    scope: Fingerprint,
}

struct Floor {
    number: CrlNumber,
    this_update: UnixSeconds,
    list: Fingerprint,
}

/// Every list accepted, and the floors below which none is accepted again.
///
/// A clone shares the lists, so that a snapshot with one list replaced costs little.
#[derive(Clone, Default)]
pub struct CrlStore {
    limits: CrlLimits,
    lists: HashMap<Fingerprint, Arc<AcceptedCrl>>,
    floors: HashMap<Fingerprint, Arc<Floor>>,
}

impl CrlStore {
    /// An empty store that remembers `floors`. A floor that cannot be read is an error of the caller's storage.
    pub fn new(limits: CrlLimits, floors: &[CrlFloor]) -> Option<Self> {
        let mut store = Self { limits, ..Self::default() };
        for floor in floors {
            let number = CrlNumber::from_hex(&floor.number)?;
            let list = floor.list.clone();
            let this_update = floor.this_update;
            store.floors.insert(floor.scope.clone(), Arc::new(Floor { number, this_update, list }));
        }
        Some(store)
    }

    /// Accepts a list that one of `cas` signed.
    ///
    /// A list past its nextUpdate is accepted (it is the newest known) and counts as stale.
    ///
    /// # Errors
    /// [`CrlRefusal`]; nothing is changed then.
    /// # Source
    /// RFC 5280 §6.3.3 (f), (g) with the rule that the list's key is the certificate's; §5.2.3 for the numbers.
    pub fn accept<'c>(
        &mut self,
        der: &[u8],
        cas: impl IntoIterator<Item = &'c Certificate>,
        now: UnixSeconds,
    ) -> Result<Accepted, CrlRefusal> {
        let signed = SignedCrl::parse(der, self.limits.max_bytes)?;
        let ca = issuing_ca(&signed, cas)?;
        let accepted = believed(&signed, ca, now)?;
        let is_new = self.check_floor(&accepted)?;
        if !self.lists.contains_key(&accepted.scope) && self.lists.len() >= self.limits.max_lists {
            return Err(CrlRefusal::TooMany(self.limits.max_lists));
        }
        let floor = Floor {
            number: accepted.crl.number.clone(),
            this_update: accepted.crl.this_update,
            list: accepted.crl.fingerprint.clone(),
        };
        let status = self.status_of(&accepted, now);
        self.floors.insert(accepted.scope.clone(), Arc::new(floor));
        self.lists.insert(accepted.scope.clone(), Arc::new(accepted));
        Ok(Accepted { status, is_new })
    }

    /// Where every list stands at `now`, ordered by issuer.
    pub fn status(&self, now: UnixSeconds) -> Vec<CrlStatus> {
        let mut all: Vec<_> = self.lists.values().map(|list| self.status_of(list, now)).collect();
        all.sort_by(|a, b| (&a.issuer, &a.scope).cmp(&(&b.issuer, &b.scope)));
        all
    }

    /// What must be kept over a restart.
    pub fn floors(&self) -> Vec<CrlFloor> {
        let floor = |(scope, floor): (&Fingerprint, &Arc<Floor>)| CrlFloor {
            scope: scope.clone(),
            number: floor.number.to_hex(),
            this_update: floor.this_update,
            list: floor.list.clone(),
        };
        let mut all: Vec<_> = self.floors.iter().map(floor).collect();
        all.sort_by(|a, b| a.scope.cmp(&b.scope));
        all
    }

    /// Every list, in no order.
    pub(super) fn lists(&self) -> impl Iterator<Item = &AcceptedCrl> {
        self.lists.values().map(AsRef::as_ref)
    }

    /// Last second at which a list may be relied on.
    pub(super) fn good_until(&self, crl: &Crl) -> UnixSeconds {
        let oldest = crl.this_update.0.saturating_add(self.limits.max_age_seconds);
        crl.next_update.min(UnixSeconds(oldest))
    }

    /// Whether the list is other than the one accepted last; refuses to go back.
    fn check_floor(&self, list: &AcceptedCrl) -> Result<bool, CrlRefusal> {
        let Some(floor) = self.floors.get(&list.scope) else { return Ok(true) };
        if floor.list == list.crl.fingerprint {
            return Ok(!self.lists.contains_key(&list.scope));
        }
        let issuer = printable(&list.crl.issuer);
        if list.crl.number == floor.number {
            return Err(CrlRefusal::NumberReused { issuer, number: floor.number.to_hex() });
        }
        if list.crl.number < floor.number || list.crl.this_update < floor.this_update {
            let offered = list.crl.number.to_hex();
            return Err(CrlRefusal::WentBack { issuer, offered, floor: floor.number.to_hex() });
        }
        Ok(true)
    }

    fn status_of(&self, list: &AcceptedCrl, now: UnixSeconds) -> CrlStatus {
        let good_until = self.good_until(&list.crl);
        let remaining_seconds = now.seconds_until(good_until);
        CrlStatus {
            issuer: printable(&list.crl.issuer),
            issuer_key: list.issuer_key.clone(),
            scope: list.scope.clone(),
            is_partial: list.crl.distribution_point.is_some(),
            is_delta: list.crl.delta_base.is_some(),
            number: list.crl.number.to_hex(),
            this_update: list.crl.this_update,
            next_update: list.crl.next_update,
            good_until,
            age_seconds: list.crl.this_update.seconds_until(now),
            remaining_seconds,
            entries: list.crl.len(),
            is_stale: now > good_until,
            is_alarm: remaining_seconds <= self.limits.alarm_before_seconds,
        }
    }
}

/// The CA of the list's issuer name whose key signed it and may sign lists.
fn issuing_ca<'c>(
    signed: &SignedCrl<'_>,
    cas: impl IntoIterator<Item = &'c Certificate>,
) -> Result<&'c Certificate, CrlRefusal> {
    let issuer = || printable(signed.issuer());
    let mut refusal = None;
    for ca in cas {
        if !ca.is_ca() || !certval::compare_names(ca.subject(), signed.issuer()) {
            continue;
        }
        match signed.verify(ca) {
            Ok(_) if ca.key_usage().is_some_and(|usage| !usage.crl_sign()) => {
                refusal = Some(CrlRefusal::KeyUsage { issuer: issuer() });
            }
            Ok(_) => return Ok(ca),
            Err(fault) => {
                refusal.get_or_insert_with(|| CrlRefusal::Signature { issuer: issuer(), fault });
            }
        }
    }
    Err(refusal.unwrap_or_else(|| CrlRefusal::UnknownIssuer { issuer: issuer() }))
}

fn believed(
    signed: &SignedCrl<'_>,
    ca: &Certificate,
    now: UnixSeconds,
) -> Result<AcceptedCrl, CrlRefusal> {
    let issuer = || printable(signed.issuer());
    let crl = signed
        .verify(ca)
        .map_err(|fault| CrlRefusal::Signature { issuer: issuer(), fault })?
        .clone();
    if crl.this_update > now {
        return Err(CrlRefusal::Future { issuer: issuer(), this_update: crl.this_update });
    }
    if crl.next_update <= crl.this_update {
        return Err(CrlRefusal::EmptyPeriod { issuer: issuer() });
    }
    let issuer_key = Fingerprint::of(ca.spki_der());
    let scope = scope_name(ca, &crl);
    Ok(AcceptedCrl { crl, issuer_key, scope })
}

/// SHA-256 over issuer, key, distribution point and kind, each with its length before it.
fn scope_name(ca: &Certificate, crl: &Crl) -> Fingerprint {
    let kind = [u8::from(crl.delta_base.is_some())];
    let parts = [ca.subject_der(), ca.spki_der(), &crl.distribution_point_der, &kind];
    let mut octets = Vec::new();
    for part in parts {
        octets.extend_from_slice(&(part.len() as u64).to_be_bytes());
        octets.extend_from_slice(part);
    }
    Fingerprint::of(&octets)
}
