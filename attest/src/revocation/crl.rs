//! One certificate revocation list: parsed in one pass into 32 octets an entry, whatever it claims to contain.

use crate::clock::UnixSeconds;
use crate::path::Certificate;
use crate::path::seconds;
use crate::path::signature;
use crate::path::signature::SignatureFault;
use crate::records::Fingerprint;
use const_oid::db::rfc5912;
use der::Decode;
use der::Reader;
use der::SliceReader;
use der::Tag;
use der::TagNumber;
use der::asn1::BitStringRef;
use der::asn1::ContextSpecific;
use der::asn1::IntRef;
use serde::Deserialize;
use serde::Serialize;
use spki::AlgorithmIdentifierOwned;
use std::fmt;
use x509_cert::ext::Extensions;
use x509_cert::ext::pkix::AuthorityKeyIdentifier;
use x509_cert::ext::pkix::CrlReason;
use x509_cert::ext::pkix::IssuingDistributionPoint;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::name::GeneralNames;
use x509_cert::name::Name;
use x509_cert::time::Time;

/// Why octets are no list that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrlParseError {
    /// Longer than the limit.
    #[error("a list of {actual} octets is longer than the limit of {limit}")]
    TooLarge {
        /// Octets given.
        actual: usize,
        /// Octets allowed.
        limit: usize,
    },
    /// Not DER, or no CRL.
    #[error("the list is not well formed: {0}")]
    Encoding(String),
    /// It does not keep to RFC 5280 §5, which names what a CA may publish.
    #[error("the list does not keep to RFC 5280: {0}")]
    Profile(&'static str),
    /// A critical extension of the list or of an entry is not understood, so the list says nothing (§5.2, §5.3).
    #[error("the list has a critical extension that is not understood: {0}")]
    CriticalExtension(String),
    /// An entry names its own issuer in a list that is not indirect (§5.3.3).
    #[error("an entry of a direct list names another issuer")]
    ForeignEntry,
}

impl From<der::Error> for CrlParseError {
    fn from(error: der::Error) -> Self {
        Self::Encoding(error.to_string())
    }
}

/// Why a certificate was revoked (RFC 5280 §5.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum RevocationReason {
    /// No reason, or `unspecified`.
    #[default]
    Unspecified = 0,
    /// The key may be known to others.
    KeyCompromise = 1,
    /// The CA's key may be known to others.
    CaCompromise = 2,
    /// Name or other facts changed.
    AffiliationChanged = 3,
    /// Another certificate took its place.
    Superseded = 4,
    /// No longer needed.
    CessationOfOperation = 5,
    /// On hold for now.
    CertificateHold = 6,
    /// In a delta list only: no longer on hold, or expired.
    RemoveFromCrl = 8,
    /// A right in it was withdrawn.
    PrivilegeWithdrawn = 9,
    /// The attribute authority's key may be known to others.
    AaCompromise = 10,
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key compromise",
            Self::CaCompromise => "CA compromise",
            Self::AffiliationChanged => "affiliation changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation of operation",
            Self::CertificateHold => "certificate hold",
            Self::RemoveFromCrl => "removed from the list",
            Self::PrivilegeWithdrawn => "privilege withdrawn",
            Self::AaCompromise => "attribute authority compromise",
        })
    }
}

impl From<CrlReason> for RevocationReason {
    fn from(reason: CrlReason) -> Self {
        match reason {
            CrlReason::Unspecified => Self::Unspecified,
            CrlReason::KeyCompromise => Self::KeyCompromise,
            CrlReason::CaCompromise => Self::CaCompromise,
            CrlReason::AffiliationChanged => Self::AffiliationChanged,
            CrlReason::Superseded => Self::Superseded,
            CrlReason::CessationOfOperation => Self::CessationOfOperation,
            CrlReason::CertificateHold => Self::CertificateHold,
            CrlReason::RemoveFromCRL => Self::RemoveFromCrl,
            CrlReason::PrivilegeWithdrawn => Self::PrivilegeWithdrawn,
            CrlReason::AaCompromise => Self::AaCompromise,
        }
    }
}

/// A CRLNumber: content octets without leading zeros, so that the length orders first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CrlNumber(Vec<u8>);

impl CrlNumber {
    /// From the content octets of an INTEGER; at most 20 (§5.2.3), not negative.
    pub(super) fn from_content(content: &[u8]) -> Option<Self> {
        let negative = content.first().is_none_or(|first| first & 0x80 != 0);
        let stripped = match content {
            [0, rest @ ..] => rest,
            all => all,
        };
        (!negative && stripped.len() <= 20).then(|| Self(stripped.to_vec()))
    }

    pub(super) fn from_hex(text: &str) -> Option<Self> {
        let octets = hex::decode(text).ok()?;
        (octets.len() <= 20 && octets.first() != Some(&0)).then_some(Self(octets))
    }

    pub(super) fn to_hex(&self) -> String {
        hex::encode(&self.0)
    }
}

impl Ord for CrlNumber {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for CrlNumber {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// One revoked certificate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    serial: Serial,
    pub(super) reason: RevocationReason,
    pub(super) at: UnixSeconds,
}

/// A serial number of at most 21 content octets, compared without an allocation of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Serial {
    len: u8,
    octets: [u8; 21],
}

impl Serial {
    fn new(content: &[u8]) -> Option<Self> {
        let mut octets = [0; 21];
        octets.get_mut(..content.len())?.copy_from_slice(content);
        Some(Self { len: u8::try_from(content.len()).ok()?, octets })
    }
}

/// The facts of a list. Whether they may be believed is said by where it stands: see [`SignedCrl::verify`].
#[derive(Clone, Debug)]
pub struct Crl {
    pub(super) issuer: Name,
    pub(super) number: CrlNumber,
    pub(super) this_update: UnixSeconds,
    pub(super) next_update: UnixSeconds,
    pub(super) distribution_point: Option<IssuingDistributionPoint>,
    pub(super) distribution_point_der: Vec<u8>,
    /// BaseCRLNumber, for a delta list.
    pub(super) delta_base: Option<CrlNumber>,
    /// Whether it points to delta lists.
    pub(super) has_freshest: bool,
    pub(super) fingerprint: Fingerprint,
    entries: Vec<Entry>,
}

impl Crl {
    /// What the list says of a serial number (content octets). Of several entries the one that revokes wins.
    pub(super) fn entry(&self, serial: &[u8]) -> Option<Entry> {
        let serial = Serial::new(serial)?;
        let first = self.entries.partition_point(|entry| entry.serial < serial);
        let same = || self.entries.iter().skip(first).take_while(|entry| entry.serial == serial);
        same()
            .find(|entry| entry.reason != RevocationReason::RemoveFromCrl)
            .or(same().next())
            .copied()
    }

    /// Revoked certificates in it.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// A list whose signature has not been checked.
pub struct SignedCrl<'a> {
    crl: Crl,
    tbs_der: &'a [u8],
    algorithm: AlgorithmIdentifierOwned,
    signature: &'a [u8],
}

impl<'a> SignedCrl<'a> {
    /// Parses one DER list of at most `max_bytes`.
    ///
    /// # Errors
    /// [`CrlParseError`]; never panics, whatever the octets.
    /// # Source
    /// RFC 5280 §5.1 to §5.3: version 2, nextUpdate and CRLNumber are mandatory there, and so they are here.
    pub fn parse(der: &'a [u8], max_bytes: usize) -> Result<Self, CrlParseError> {
        if der.len() > max_bytes {
            return Err(CrlParseError::TooLarge { actual: der.len(), limit: max_bytes });
        }
        let mut reader = SliceReader::new(der)?;
        let (tbs_der, algorithm, signature) = reader.sequence(|inner| {
            let tbs_der = inner.tlv_bytes()?;
            let algorithm = AlgorithmIdentifierOwned::decode(inner)?;
            Ok::<_, der::Error>((tbs_der, algorithm, BitStringRef::decode(inner)?))
        })?;
        reader.finish()?;
        let fields = Fields::parse(tbs_der)?;
        if fields.algorithm != algorithm {
            return Err(CrlParseError::Profile("two different signature algorithms (§5.1.1.2)"));
        }
        let signature = signature
            .as_bytes()
            .ok_or(CrlParseError::Profile("the signature is no string of octets"))?;
        Ok(Self { crl: fields.into_crl(der)?, tbs_der, algorithm, signature })
    }

    /// Who says to have issued it.
    pub fn issuer(&self) -> &Name {
        &self.crl.issuer
    }

    /// Checks that the key of `ca` signed it; only then its facts can be had.
    ///
    /// # Errors
    /// [`SignatureFault`].
    pub fn verify(&self, ca: &Certificate) -> Result<&Crl, SignatureFault> {
        let scheme = signature::scheme_of(&self.algorithm)?;
        signature::verify(scheme, ca.public_key(), self.tbs_der, self.signature)?;
        Ok(&self.crl)
    }
}

/// The fields of TBSCertList in their order.
struct Fields {
    algorithm: AlgorithmIdentifierOwned,
    issuer: Name,
    this_update: Time,
    next_update: Option<Time>,
    entries: Vec<ParsedEntry>,
    extensions: Extensions,
}

impl Fields {
    fn parse(tbs_der: &[u8]) -> Result<Self, CrlParseError> {
        let mut reader = SliceReader::new(tbs_der)?;
        reader.sequence(|tbs| {
            if u8::decode(tbs)? != 1 {
                return Err(CrlParseError::Profile("the version must be 2 (§5.1.2.1)"));
            }
            let algorithm = AlgorithmIdentifierOwned::decode(tbs)?;
            let issuer = Name::decode(tbs)?;
            let this_update = Time::decode(tbs)?;
            let next_update = match peek(tbs) {
                Some(Tag::UtcTime | Tag::GeneralizedTime) => Some(Time::decode(tbs)?),
                _ => None,
            };
            let entries = match peek(tbs) {
                Some(Tag::Sequence) => tbs.sequence(parse_entries)?,
                _ => Vec::new(),
            };
            let extensions = match tbs.is_finished() {
                true => Extensions::new(),
                false => parse_extensions(tbs)?,
            };
            Ok(Self { algorithm, issuer, this_update, next_update, entries, extensions })
        })
    }

    fn into_crl(self, der: &[u8]) -> Result<Crl, CrlParseError> {
        let next_update = self
            .next_update
            .ok_or(CrlParseError::Profile("nextUpdate must be present (§5.1.2.5)"))?;
        let known = ListExtensions::parse(&self.extensions)?;
        let number = known
            .number
            .ok_or(CrlParseError::Profile("the CRL number must be present (§5.2.3)"))?;
        let is_indirect = known.distribution_point.as_ref().is_some_and(|dp| dp.indirect_crl);
        let entries = own_entries(&self.issuer, self.entries, is_indirect)?;
        Ok(Crl {
            issuer: self.issuer,
            number,
            this_update: seconds(self.this_update),
            next_update: seconds(next_update),
            distribution_point: known.distribution_point,
            distribution_point_der: known.distribution_point_der,
            delta_base: known.delta_base,
            has_freshest: known.has_freshest,
            fingerprint: Fingerprint::of(der),
            entries,
        })
    }
}

#[derive(Default)]
struct ListExtensions {
    number: Option<CrlNumber>,
    delta_base: Option<CrlNumber>,
    distribution_point: Option<IssuingDistributionPoint>,
    distribution_point_der: Vec<u8>,
    has_freshest: bool,
}

impl ListExtensions {
    /// §5.2. Unknown critical extensions and repeated ones end it.
    fn parse(extensions: &Extensions) -> Result<Self, CrlParseError> {
        let mut known = Self::default();
        for (index, extension) in extensions.iter().enumerate() {
            if extensions.iter().skip(index + 1).any(|other| other.extn_id == extension.extn_id) {
                return Err(CrlParseError::Profile("an extension occurs twice (§5.2)"));
            }
            let value = extension.extn_value.as_bytes();
            match extension.extn_id {
                rfc5912::ID_CE_CRL_NUMBER if extension.critical => {
                    return Err(CrlParseError::Profile(
                        "the CRL number must not be critical (§5.2.3)",
                    ));
                }
                rfc5912::ID_CE_CRL_NUMBER => known.number = Some(crl_number(value)?),
                rfc5912::ID_CE_DELTA_CRL_INDICATOR => known.delta_base = Some(crl_number(value)?),
                rfc5912::ID_CE_ISSUING_DISTRIBUTION_POINT => {
                    known.distribution_point = Some(distribution_point(value)?);
                    known.distribution_point_der = value.to_vec();
                }
                // Well formed or refused; which key signed is found out by trying.
                rfc5912::ID_CE_AUTHORITY_KEY_IDENTIFIER => {
                    AuthorityKeyIdentifier::from_der(value)?;
                }
                rfc5912::ID_CE_FRESHEST_CRL => known.has_freshest = true,
                unknown if extension.critical => {
                    return Err(CrlParseError::CriticalExtension(unknown.to_string()));
                }
                _ => {}
            }
        }
        Ok(known)
    }
}

fn crl_number(value: &[u8]) -> Result<CrlNumber, CrlParseError> {
    let number = IntRef::from_der(value)?;
    CrlNumber::from_content(number.as_bytes()).ok_or(CrlParseError::Profile(
        "a CRL number must be positive and at most 20 octets (§5.2.3)",
    ))
}

/// §5.2.5.
fn distribution_point(value: &[u8]) -> Result<IssuingDistributionPoint, CrlParseError> {
    let point = IssuingDistributionPoint::from_der(value)?;
    let only = [
        point.only_contains_user_certs,
        point.only_contains_ca_certs,
        point.only_contains_attribute_certs,
    ];
    match only.into_iter().filter(|set| *set).count() {
        0 | 1 => Ok(point),
        _ => Err(CrlParseError::Profile("at most one onlyContains may be set (§5.2.5)")),
    }
}

/// An entry, and the certificateIssuer that stands with it (§5.3.3).
struct ParsedEntry {
    entry: Entry,
    issuer: Option<GeneralNames>,
}

fn parse_entries(list: &mut SliceReader<'_>) -> Result<Vec<ParsedEntry>, CrlParseError> {
    let mut entries = Vec::new();
    while !list.is_finished() {
        entries.push(list.sequence(parse_entry)?);
    }
    Ok(entries)
}

fn parse_entry(entry: &mut SliceReader<'_>) -> Result<ParsedEntry, CrlParseError> {
    let number = IntRef::decode(entry)?;
    let serial = Serial::new(number.as_bytes())
        .ok_or(CrlParseError::Profile("a serial number is longer than 20 octets (§4.1.2.2)"))?;
    let at = seconds(Time::decode(entry)?);
    let extensions = match entry.is_finished() {
        true => EntryExtensions { reason: RevocationReason::Unspecified, issuer: None },
        false => EntryExtensions::parse(&Extensions::decode(entry)?)?,
    };
    let EntryExtensions { reason, issuer } = extensions;
    Ok(ParsedEntry { entry: Entry { serial, reason, at }, issuer })
}

struct EntryExtensions {
    reason: RevocationReason,
    issuer: Option<GeneralNames>,
}

impl EntryExtensions {
    /// §5.3. Invalidity dates and hold instructions change nothing here.
    fn parse(extensions: &Extensions) -> Result<Self, CrlParseError> {
        let mut known = Self { reason: RevocationReason::Unspecified, issuer: None };
        for extension in extensions {
            let value = extension.extn_value.as_bytes();
            match extension.extn_id {
                rfc5912::ID_CE_CRL_REASONS => {
                    known.reason = CrlReason::from_der(value)?.into();
                }
                rfc5912::ID_CE_CERTIFICATE_ISSUER => {
                    known.issuer = Some(GeneralNames::from_der(value)?);
                }
                rfc5912::ID_CE_INVALIDITY_DATE | rfc5912::ID_CE_HOLD_INSTRUCTION_CODE => {}
                unknown if extension.critical => {
                    return Err(CrlParseError::CriticalExtension(unknown.to_string()));
                }
                _ => {}
            }
        }
        Ok(known)
    }
}

/// The entries for the list issuer's own certificates. In an indirect list a certificateIssuer holds for the entries that
/// follow it too (§5.3.3); entries for others are passed over, for this list never speaks for them here.
fn own_entries(
    issuer: &Name,
    entries: Vec<ParsedEntry>,
    is_indirect: bool,
) -> Result<Vec<Entry>, CrlParseError> {
    let mut own = Vec::with_capacity(entries.len());
    let mut is_own = true;
    for ParsedEntry { entry, issuer: named } in entries {
        if let Some(named) = named {
            if !is_indirect {
                return Err(CrlParseError::ForeignEntry);
            }
            is_own = named.iter().any(|name| match name {
                GeneralName::DirectoryName(name) => certval::compare_names(name, issuer),
                _ => false,
            });
        }
        if is_own {
            own.push(entry);
        }
    }
    own.sort_by_key(|entry| entry.serial);
    Ok(own)
}

fn parse_extensions(tbs: &mut SliceReader<'_>) -> der::Result<Extensions> {
    let field = ContextSpecific::<Extensions>::decode_explicit(tbs, TagNumber(0))?;
    field.map(|field| field.value).ok_or_else(|| tbs.error(der::ErrorKind::Failed))
}

fn peek(reader: &SliceReader<'_>) -> Option<Tag> {
    Tag::peek(reader).ok()
}
