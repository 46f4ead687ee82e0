//! Is this certificate revoked? RFC 5280 §6.3.3, with lists signed by the CA that signed the certificate: by the same key,
//! or by another key of that CA that stands in the same path (self-issued certificates, when a CA changes its key).

use super::crl::Crl;
use super::crl::Entry;
use super::crl::RevocationReason;
use super::store::AcceptedCrl;
use super::store::CrlStore;
use crate::clock::UnixSeconds;
use crate::path::Certificate;
use crate::records::Fingerprint;
use const_oid::db::rfc5912;
use der::Decode;
use x509_cert::ext::pkix::CrlDistributionPoints;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::crl::dp::ReasonFlags;
use x509_cert::ext::pkix::crl::dp::Reasons;
use x509_cert::ext::pkix::name::DistributionPointName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;
use x509_cert::name::RdnSequence;

/// Why revocation cannot be known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrlFault {
    /// No list of the issuer was accepted.
    #[error("no list of {issuer} is loaded")]
    Missing {
        /// Printable name.
        issuer: String,
    },
    /// Lists under the issuer's name are there, but none by the key that signed the certificate.
    #[error("no list of {issuer} is signed by the key that signed the certificate")]
    OtherKey {
        /// Printable name.
        issuer: String,
    },
    /// The issuer's certificate does not allow it to sign lists.
    #[error("the certificate of {issuer} does not allow it to sign lists")]
    KeyUsage {
        /// Printable name.
        issuer: String,
    },
    /// Lists are there, but none covers this certificate.
    #[error("no list of {issuer} covers this certificate")]
    OutOfScope {
        /// Printable name.
        issuer: String,
    },
    /// Lists for some reasons only.
    #[error("the lists of {issuer} do not cover all reasons of revocation")]
    ReasonsNotCovered {
        /// Printable name.
        issuer: String,
    },
    /// The list is too old.
    #[error("the list of {issuer} ended at {}", .good_until.0)]
    Stale {
        /// Printable name.
        issuer: String,
        /// Last second at which it could be relied on.
        good_until: UnixSeconds,
    },
    /// The list begins later than the time asked about.
    #[error("the list of {issuer} begins at {}, after the time asked about", .this_update.0)]
    Future {
        /// Printable name.
        issuer: String,
        /// When it begins.
        this_update: UnixSeconds,
    },
    /// The issuer publishes delta lists, and the current one is not loaded.
    #[error("{issuer} publishes delta lists and no current one is loaded")]
    DeltaMissing {
        /// Printable name.
        issuer: String,
    },
    /// The certificate's distribution points cannot be read.
    #[error("the distribution points of the certificate cannot be read")]
    DistributionPoints,
}

impl CrlFault {
    /// Stable word for logs, audit records and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "crl_missing",
            Self::OtherKey { .. } => "crl_other_issuer",
            Self::KeyUsage { .. } => "crl_key_usage",
            Self::OutOfScope { .. } => "crl_out_of_scope",
            Self::ReasonsNotCovered { .. } => "crl_reasons_not_covered",
            Self::Stale { .. } => "crl_stale",
            Self::Future { .. } => "crl_future",
            Self::DeltaMissing { .. } => "crl_delta_missing",
            Self::DistributionPoints => "crl_distribution_points",
        }
    }
}

/// Why a certificate is not known to be good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotGood {
    /// It is revoked.
    Revoked {
        /// Why.
        reason: RevocationReason,
        /// Since when.
        at: UnixSeconds,
    },
    /// It cannot be known.
    Unknown(CrlFault),
}

/// Whether `certificate` is known to be good at `at`; until when the lists say so.
///
/// `issuers`: the path above the certificate, proved before, anchor first, its own issuer last.
///
/// # Errors
/// [`NotGood`].
pub fn check(
    store: &CrlStore,
    certificate: &Certificate,
    issuers: &[&Certificate],
    at: UnixSeconds,
) -> Result<UnixSeconds, NotGood> {
    let unknown = |fault| Err(NotGood::Unknown(fault));
    let name = certificate.issuer();
    let issuer = certificate.issuer_text();
    let keys = list_keys(certificate, issuers);
    if keys.is_empty() {
        return unknown(CrlFault::KeyUsage { issuer });
    }
    let points = distribution_points(certificate).map_err(NotGood::Unknown)?;
    let named = |list: &&AcceptedCrl| certval::compare_names(&list.crl.issuer, name);
    let by_key = store.lists().filter(|list| keys.contains(&list.issuer_key));
    let lists: Vec<_> = by_key.filter(named).collect();
    if lists.is_empty() {
        return match store.lists().any(|list| named(&list)) {
            true => unknown(CrlFault::OtherKey { issuer }),
            false => unknown(CrlFault::Missing { issuer }),
        };
    }
    let mut question = Question {
        store,
        certificate,
        at,
        lists,
        covered: ReasonFlags::default(),
        until: UnixSeconds(u64::MAX),
        fault: None,
    };
    for point in &points {
        question.ask(point)?;
    }
    question.answer()
}

struct Question<'a> {
    store: &'a CrlStore,
    certificate: &'a Certificate,
    at: UnixSeconds,
    lists: Vec<&'a AcceptedCrl>,
    /// reasons_mask of §6.3.2.
    covered: ReasonFlags,
    until: UnixSeconds,
    fault: Option<CrlFault>,
}

impl<'a> Question<'a> {
    /// §6.3.3 (a) to (l) for one distribution point and every complete list in its scope.
    fn ask(&mut self, point: &DistributionPoint) -> Result<(), NotGood> {
        let lists = self.lists.clone();
        for accepted in lists {
            let list = &accepted.crl;
            if list.delta_base.is_some() || !self.in_scope(point, list) {
                continue;
            }
            let delta = self.current(list).and_then(|()| self.delta(accepted));
            let Some(delta) = delta.note(self) else { continue };
            if let Some(entry) = self.entry(list, delta) {
                return Err(NotGood::Revoked { reason: entry.reason, at: entry.at });
            }
            // (d), (e), (l): reasons that this list adds.
            self.covered |= reasons(point, list);
            self.until = self.until.min(self.store.good_until(list));
            if let Some(delta) = delta {
                self.until = self.until.min(self.store.good_until(delta));
            }
        }
        Ok(())
    }

    fn answer(self) -> Result<UnixSeconds, NotGood> {
        let issuer = self.certificate.issuer_text();
        if self.covered == every_reason() {
            return Ok(self.until);
        }
        let fault = match self.fault {
            Some(fault) => fault,
            None if self.covered.is_empty() => CrlFault::OutOfScope { issuer },
            None => CrlFault::ReasonsNotCovered { issuer },
        };
        Err(NotGood::Unknown(fault))
    }

    /// (b): the list's issuing distribution point against the certificate's.
    fn in_scope(&self, point: &DistributionPoint, list: &Crl) -> bool {
        let Some(issuing) = &list.distribution_point else { return true };
        let is_ca = self.certificate.is_ca();
        let kind = !(issuing.only_contains_attribute_certs
            || (issuing.only_contains_user_certs && is_ca)
            || (issuing.only_contains_ca_certs && !is_ca));
        let Some(of_list) = &issuing.distribution_point else { return kind };
        let issuer = self.certificate.issuer();
        let of_certificate = match (&point.distribution_point, &point.crl_issuer) {
            (Some(name), _) => full_names(name, issuer),
            (None, Some(crl_issuer)) => crl_issuer.clone(),
            (None, None) => Vec::new(),
        };
        let of_list = full_names(of_list, issuer);
        kind && of_list.iter().any(|one| of_certificate.iter().any(|other| same_name(one, other)))
    }

    fn current(&self, list: &Crl) -> Result<(), CrlFault> {
        let issuer = || self.certificate.issuer_text();
        let good_until = self.store.good_until(list);
        if self.at < list.this_update {
            return Err(CrlFault::Future { issuer: issuer(), this_update: list.this_update });
        }
        if self.at > good_until {
            return Err(CrlFault::Stale { issuer: issuer(), good_until });
        }
        Ok(())
    }

    /// (c): the newest current delta list for `list`. Where delta lists are published there must be one; RFC 5280 leaves
    /// them to the reader, but a revocation that only a delta list has must not be missed.
    fn delta(&self, complete: &AcceptedCrl) -> Result<Option<&'a Crl>, CrlFault> {
        let list = &complete.crl;
        let fits = |delta: &&Crl| {
            delta.distribution_point_der == list.distribution_point_der
                && delta.delta_base.as_ref().is_some_and(|base| *base <= list.number)
                && self.current(delta).is_ok()
        };
        let same_key = self.lists.iter().filter(|one| one.issuer_key == complete.issuer_key);
        let current =
            same_key.map(|one| &one.crl).filter(fits).max_by(|a, b| a.number.cmp(&b.number));
        let published =
            list.has_freshest || self.certificate.extension(&rfc5912::ID_CE_FRESHEST_CRL).is_some();
        match current {
            Some(delta) if delta.number > list.number => Ok(Some(delta)),
            // As new as the complete list, or older: it adds nothing.
            Some(_) => Ok(None),
            None if published => {
                Err(CrlFault::DeltaMissing { issuer: self.certificate.issuer_text() })
            }
            None => Ok(None),
        }
    }

    /// (i) to (k): the delta list first.
    fn entry(&self, list: &Crl, delta: Option<&Crl>) -> Option<Entry> {
        let serial = self.certificate.serial();
        match delta.and_then(|delta| delta.entry(serial)) {
            Some(entry) if entry.reason == RevocationReason::RemoveFromCrl => None,
            Some(entry) => Some(entry),
            None => list.entry(serial),
        }
    }
}

trait Note<T> {
    fn note(self, question: &mut Question<'_>) -> Option<T>;
}

impl<T> Note<T> for Result<T, CrlFault> {
    /// Keeps the first fault for the answer.
    fn note(self, question: &mut Question<'_>) -> Option<T> {
        match self {
            Ok(value) => Some(value),
            Err(fault) => {
                question.fault.get_or_insert(fault);
                None
            }
        }
    }
}

/// Keys of the certificate's CA that may sign lists (SHA-256 of the SubjectPublicKeyInfo): its issuer's, and those of the
/// certificates of the same name directly above it.
fn list_keys(certificate: &Certificate, issuers: &[&Certificate]) -> Vec<Fingerprint> {
    let same_ca = issuers
        .iter()
        .rev()
        .take_while(|issuer| certval::compare_names(issuer.subject(), certificate.issuer()));
    same_ca
        .filter(|issuer| issuer.key_usage().is_none_or(|usage| usage.crl_sign()))
        .map(|issuer| Fingerprint::of(issuer.spki_der()))
        .collect()
}

/// The certificate's own points that its issuer serves itself, and the issuer's name as the point of its complete lists
/// (end of §6.3.3).
fn distribution_points(certificate: &Certificate) -> Result<Vec<DistributionPoint>, CrlFault> {
    let mut points = match certificate.extension(&rfc5912::ID_CE_CRL_DISTRIBUTION_POINTS) {
        None => Vec::new(),
        Some((_, value)) => {
            CrlDistributionPoints::from_der(value).map_err(|_| CrlFault::DistributionPoints)?.0
        }
    };
    let issuer = GeneralName::DirectoryName(certificate.issuer().clone());
    points.retain(|point| match &point.crl_issuer {
        None => true,
        Some(names) => names.iter().any(|name| same_name(name, &issuer)),
    });
    points.push(DistributionPoint {
        distribution_point: Some(DistributionPointName::FullName(vec![issuer])),
        reasons: None,
        crl_issuer: None,
    });
    Ok(points)
}

/// The names of a point, with a relative one completed (§4.2.1.13).
fn full_names(name: &DistributionPointName, issuer: &Name) -> Vec<GeneralName> {
    match name {
        DistributionPointName::FullName(names) => names.clone(),
        DistributionPointName::NameRelativeToCRLIssuer(relative) => {
            let mut rdns = RdnSequence::from(issuer.clone());
            rdns.push(relative.clone());
            vec![GeneralName::DirectoryName(Name::hazmat_from_rdn_sequence(rdns))]
        }
    }
}

fn same_name(one: &GeneralName, other: &GeneralName) -> bool {
    match (one, other) {
        (GeneralName::DirectoryName(one), GeneralName::DirectoryName(other)) => {
            certval::compare_names(one, other)
        }
        _ => one == other,
    }
}

/// interim_reasons_mask of §6.3.3 (d).
fn reasons(point: &DistributionPoint, list: &Crl) -> ReasonFlags {
    let of_list = list.distribution_point.as_ref().and_then(|point| point.only_some_reasons);
    point.reasons.unwrap_or(every_reason()) & of_list.unwrap_or(every_reason()) & every_reason()
}

fn every_reason() -> ReasonFlags {
    // Not `!Unused`, which would set bits that name no reason.
    ReasonFlags::full() - Reasons::Unused
}
