//! The judge: whether a card (HPKI or My Number), or a second certificate, is good now.
//!
//! It holds the anchors, the intermediates, the accepted revocation lists and the profiles behind one snapshot, so that each
//! judgement sees one consistent state while lists are loaded beside it. It is synchronous, fetches nothing and blocks on
//! nothing but arithmetic. What was found is remembered per certificate until the snapshot changes (see `cache`).
//!
//! After each list, anchor or mode that changed, the caller asks again about every live session: [`Judge::judge_leaf`] for
//! the card of the evidence, [`Judge::judge_second_certificate`] for the certificate that signs.

mod cache;
mod error;
mod jpki;
mod material;
mod profile;

pub use error::CertificateRefusal;
pub use error::MaterialError;
pub use jpki::JPKI_TEST_ORGANIZATION;
pub use jpki::JPKI_USER_AUTHENTICATION_POLICY;
pub use jpki::JpkiIdentity;
pub use jpki::JpkiProfile;
pub use material::Material;
pub use profile::ExtendedKeyUsageRule;
pub use profile::HPKI_AUTHENTICATION_POLICY;
pub use profile::HPKI_SIGNATURE_POLICY;
pub use profile::HPKI_TEST_POLICY;
pub use profile::HcRoleRule;
pub use profile::HcRoleSource;
pub use profile::HpkiLoginProfile;
pub use profile::LoginKeyUsage;
pub use profile::PolicyOid;
pub use profile::Profiles;
pub use profile::SecondCertificateProfile;

use crate::clock::UnixSeconds;
use crate::evidence::CardKind;
use crate::evidence::VerifiedCard;
use crate::hc_role::HcRole;
use crate::hc_role::roles_of;
use crate::path::Certificate;
use crate::path::CertvalValidator;
use crate::path::PathError;
use crate::path::PathRequest;
use crate::path::PathValidator;
use crate::path::PolicySettings;
use crate::path::Revocation;
use crate::path::ValidPath;
use crate::records::Fingerprint;
use crate::revocation;
use crate::revocation::Accepted;
use crate::revocation::CrlFloor;
use crate::revocation::CrlLimits;
use crate::revocation::CrlRefusal;
use crate::revocation::CrlStatus;
use crate::revocation::CrlStore;
use crate::revocation::NotGood;
use arc_swap::ArcSwap;
use cache::Asked;
use cache::Issuers;
use cache::PathCache;
use const_oid::ObjectIdentifier;
use material::Trust;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

/// Most certificates in a second certificate's chain.
pub const MAX_CHAIN: usize = crate::path::MAX_PATH_CERTIFICATES;

/// SHA-256 over issuer DER, serial DER and SubjectPublicKeyInfo DER: what a card is found by, never by a name.
///
/// A renewed card has another serial number and another key, so an old link does not carry over by itself.
pub fn card_fingerprint(certificate: &Certificate) -> Fingerprint {
    let serial = certificate.serial_der();
    Fingerprint::of(&[certificate.issuer_der(), &serial, certificate.spki_der()].concat())
}

/// A card that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardIdentity {
    /// [`card_fingerprint`].
    pub fingerprint: Fingerprint,
    /// Subject, RFC 4514 text; for people, never to find anybody.
    pub subject: String,
    /// Roles in the certificate, known or not.
    pub roles: Vec<HcRole>,
    /// Last second of the certificate.
    pub not_after: UnixSeconds,
    /// Last second at which certificates and lists known now still say that it is good.
    pub good_until: UnixSeconds,
    /// A published test card, accepted in test mode.
    pub is_test_card: bool,
}

/// A second certificate that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondCertificate {
    /// Subject, RFC 4514 text.
    pub subject: String,
    /// Roles in the certificate, known or not.
    pub roles: Vec<HcRole>,
    /// First second of the certificate.
    pub not_before: UnixSeconds,
    /// Last second of the certificate.
    pub not_after: UnixSeconds,
    /// Last second at which certificates and lists known now still say that it is good.
    pub good_until: UnixSeconds,
    /// The certificate, then its issuers without the anchor, DER: the path that was found, for the signature's
    /// certificates.
    pub chain: Vec<Vec<u8>>,
    /// Issued under the policy of published test cards, accepted in test mode.
    pub is_test_card: bool,
}

impl SecondCertificate {
    /// Texts of the roles under HPKI's coding scheme: what a credential's record keeps.
    pub fn role_texts(&self) -> Vec<String> {
        self.roles.iter().filter(|role| role.is_hpki).map(|role| role.text.clone()).collect()
    }
}

struct Snapshot {
    trust: Arc<Trust>,
    lists: CrlStore,
    cache: PathCache,
}

/// Judges certificates. Shared; every method takes `&self`.
pub struct Judge {
    validator: CertvalValidator,
    snapshot: ArcSwap<Snapshot>,
    /// Held while a new snapshot is made, so that two loads do not lose each other's list.
    writing: Mutex<()>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Purpose {
    Card,
    SecondCertificate,
    Jpki,
}

impl Judge {
    /// A judge without lists: until each CA's list is loaded, every certificate is refused.
    ///
    /// # Errors
    /// [`MaterialError`], naming the certificate.
    pub fn new(
        material: Material,
        limits: CrlLimits,
        floors: &[CrlFloor],
    ) -> Result<Self, MaterialError> {
        let trust = Arc::new(Trust::parse(material)?);
        let lists = CrlStore::new(limits, floors).ok_or(MaterialError::Floors)?;
        let snapshot = Snapshot { trust, lists, cache: PathCache::default() };
        Ok(Self {
            validator: CertvalValidator::new(),
            snapshot: ArcSwap::from_pointee(snapshot),
            writing: Mutex::new(()),
        })
    }

    /// Puts other anchors, intermediates, profiles or test mode in place; accepted lists stay.
    ///
    /// # Errors
    /// [`MaterialError`]; nothing is changed then.
    pub fn replace_material(&self, material: Material) -> Result<(), MaterialError> {
        let trust = Arc::new(Trust::parse(material)?);
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let lists = self.snapshot.load().lists.clone();
        self.put(trust, lists);
        Ok(())
    }

    /// Accepts a revocation list, DER. The caller then judges live sessions again.
    ///
    /// # Errors
    /// [`CrlRefusal`]; the lists accepted before stay.
    pub fn load_crl(&self, der: &[u8], now: UnixSeconds) -> Result<Accepted, CrlRefusal> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.snapshot.load();
        let mut lists = snapshot.lists.clone();
        let accepted = lists.accept(der, snapshot.trust.cas(), now)?;
        if accepted.is_new {
            self.put(Arc::clone(&snapshot.trust), lists);
        }
        Ok(accepted)
    }

    /// Where every list stands.
    pub fn crl_status(&self, now: UnixSeconds) -> Vec<CrlStatus> {
        self.snapshot.load().lists.status(now)
    }

    /// What must be kept over a restart so that no list goes back.
    pub fn crl_floors(&self) -> Vec<CrlFloor> {
        self.snapshot.load().lists.floors()
    }

    /// Whether published test cards are accepted.
    pub fn is_test_mode(&self) -> bool {
        self.snapshot.load().trust.danger_test_mode
    }

    /// The rule for qualifications, to be asked with the roles of both certificates: see [`HcRoleRule::is_kept`].
    pub fn hc_role_rule(&self) -> HcRoleRule {
        self.snapshot.load().trust.profiles.card.hc_role.clone()
    }

    /// Judges the card of verified evidence.
    ///
    /// # Errors
    /// [`CertificateRefusal`] with the one reason to tell the person.
    pub fn judge_card(
        &self,
        evidence: &VerifiedCard,
        now: UnixSeconds,
    ) -> Result<CardIdentity, CertificateRefusal> {
        match evidence.kind() {
            CardKind::Hpki => self.judge_leaf(evidence.leaf_der(), now),
            CardKind::Jpki => Err(CertificateRefusal::OtherKind),
        }
    }

    /// Judges a card's certificate by itself: before it is registered, and again for every live session after a change.
    /// A certificate proves nobody's presence; at a sign-in [`Judge::judge_card`] is the door.
    ///
    /// # Errors
    /// [`CertificateRefusal`].
    pub fn judge_leaf(
        &self,
        leaf_der: &[u8],
        now: UnixSeconds,
    ) -> Result<CardIdentity, CertificateRefusal> {
        let snapshot = self.snapshot.load();
        let profile = &snapshot.trust.profiles.card;
        let leaf = Arc::new(Certificate::from_der(leaf_der)?);
        let path = self.find_path(&snapshot, Purpose::Card, &leaf, &[], now)?;
        if !profile.key_usage.is_kept(&leaf) {
            return Err(CertificateRefusal::KeyUsage);
        }
        if !profile.extended_key_usage.is_kept(&leaf) {
            return Err(CertificateRefusal::ExtendedKeyUsage);
        }
        let roles = roles_of(&leaf)?;
        if profile.hc_role.source == HcRoleSource::Card && !profile.hc_role.knows(&roles) {
            return Err(role_missing(&roles));
        }
        Ok(CardIdentity {
            fingerprint: card_fingerprint(&leaf),
            subject: leaf.subject_text(),
            roles,
            not_after: leaf.not_after(),
            good_until: path.good_until,
            is_test_card: is_test_card(&leaf),
        })
    }

    /// Judges a second certificate: `chain` is the certificate, then any of its issuers, DER; `spki_der` the public key that
    /// was generated for it.
    ///
    /// # Errors
    /// [`CertificateRefusal`].
    pub fn judge_second_certificate(
        &self,
        chain: &[Vec<u8>],
        spki_der: &[u8],
        now: UnixSeconds,
    ) -> Result<SecondCertificate, CertificateRefusal> {
        let snapshot = self.snapshot.load();
        let (leaf, issuers) = parse_chain(chain)?;
        if leaf.spki_der() != spki_der {
            return Err(CertificateRefusal::OtherKey);
        }
        let purpose = Purpose::SecondCertificate;
        let path = self.find_path(&snapshot, purpose, &leaf, &issuers, now)?;
        if !leaf.key_usage().is_some_and(|usage| usage.non_repudiation()) {
            return Err(CertificateRefusal::KeyUsage);
        }
        let roles = roles_of(&leaf)?;
        let rule = &snapshot.trust.profiles.card.hc_role;
        if rule.source == HcRoleSource::SecondCertificate && !rule.knows(&roles) {
            return Err(role_missing(&roles));
        }
        let chain = std::iter::once(&leaf).chain(path.certificates.iter().rev());
        Ok(SecondCertificate {
            subject: leaf.subject_text(),
            roles,
            not_before: leaf.not_before(),
            not_after: leaf.not_after(),
            good_until: path.good_until,
            chain: chain.map(|one| one.as_der().to_vec()).collect(),
            is_test_card: is_test_card(&leaf),
        })
    }

    /// Whether the accepted lists say that `certificate`, which the key of `issuer` signed, is not revoked; until when.
    /// Path and signature are the caller's.
    ///
    /// # Errors
    /// [`NotGood`].
    pub fn revocation(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        now: UnixSeconds,
    ) -> Result<UnixSeconds, NotGood> {
        revocation::check(&self.snapshot.load().lists, certificate, &[issuer], now)
    }

    fn find_path(
        &self,
        snapshot: &Snapshot,
        purpose: Purpose,
        leaf: &Arc<Certificate>,
        more: &[Arc<Certificate>],
        now: UnixSeconds,
    ) -> Result<Arc<Issuers>, CertificateRefusal> {
        let trust = &snapshot.trust;
        let (anchors, policies) = match purpose {
            Purpose::Card => (&trust.card_anchors, &trust.profiles.card.policy_oids),
            Purpose::SecondCertificate => {
                (&trust.second_certificate_anchors, &trust.profiles.second_certificate.policy_oids)
            }
            Purpose::Jpki => (&trust.jpki_anchors, &trust.profiles.jpki.policy_oids),
        };
        let policies: Vec<_> = policies.iter().map(|policy| policy.0).collect();
        let is_test_card = is_test_card(leaf);
        let is_of_test_hierarchy = purpose == Purpose::Jpki && jpki::is_of_test_hierarchy(leaf);
        if (is_test_card || is_of_test_hierarchy) && !trust.danger_test_mode {
            return Err(CertificateRefusal::TestCard);
        }
        if leaf.is_ca() {
            return Err(CertificateRefusal::IsCa);
        }
        let asked = Asked::new(purpose, leaf, more);
        if let Some(found) = snapshot.cache.get(&asked, now) {
            return Ok(found?);
        }
        let settings = if is_test_card { any_policy() } else { PolicySettings::exactly(&policies) };
        let (intermediates, revocation) = match purpose {
            Purpose::Card | Purpose::SecondCertificate => {
                ([more, &trust.intermediates].concat(), Revocation::Lists(&snapshot.lists))
            }
            Purpose::Jpki => (Vec::new(), Revocation::OfLeafByProvider),
        };
        let mut found = self.validator.validate(&PathRequest {
            anchors,
            intermediates: &intermediates,
            target: leaf,
            at: now,
            policies: &settings,
            revocation,
        });
        if is_test_card {
            found = found.and_then(|path| check_issuers_of_test_card(path, &policies));
        }
        let found = found.map(|path| Arc::new(Issuers::from(path)));
        snapshot.cache.put(asked, now, &found);
        Ok(found?)
    }

    fn put(&self, trust: Arc<Trust>, lists: CrlStore) {
        self.snapshot.store(Arc::new(Snapshot { trust, lists, cache: PathCache::default() }));
    }
}

fn parse_chain(
    chain: &[Vec<u8>],
) -> Result<(Arc<Certificate>, Vec<Arc<Certificate>>), CertificateRefusal> {
    let [leaf, issuers @ ..] = chain else { return Err(CertificateRefusal::NoCertificate) };
    if chain.len() > MAX_CHAIN {
        return Err(CertificateRefusal::Path(PathError::PathTooLong));
    }
    let leaf = Arc::new(Certificate::from_der(leaf)?);
    let issuers = issuers
        .iter()
        .map(|der| Certificate::from_der(der).map(Arc::new))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((leaf, issuers))
}

fn is_test_card(leaf: &Certificate) -> bool {
    leaf.policies().contains(&HPKI_TEST_POLICY)
}

/// The relaxation of test mode: the card carries the test policy and its CA the real one, so that RFC 5280's policy tree is
/// empty whatever the initial set is. The tree is not asked for then; everything else of path validation stays.
fn any_policy() -> PolicySettings {
    PolicySettings {
        initial_set: vec![const_oid::db::rfc5280::ANY_POLICY],
        explicit: false,
        inhibit_mapping: true,
        inhibit_any: true,
    }
}

/// What is left of the policy check in test mode: every CA below the anchor is one for a policy of the profile.
fn check_issuers_of_test_card(
    path: ValidPath,
    policies: &[ObjectIdentifier],
) -> Result<ValidPath, PathError> {
    for issuer in path.certificates.iter().rev().skip(1) {
        let asserted = issuer.policies();
        if !asserted.iter().any(|policy| policies.contains(policy)) {
            let asserted = asserted.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            return Err(PathError::Policy { asserted });
        }
    }
    Ok(path)
}

fn role_missing(roles: &[HcRole]) -> CertificateRefusal {
    let found = match roles.is_empty() {
        true => "none".to_owned(),
        false => roles.iter().map(|role| role.text.as_str()).collect::<Vec<_>>().join(", "),
    };
    CertificateRefusal::RoleMissing { found }
}
