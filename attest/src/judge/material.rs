//! What certificates are judged by, parsed once: anchors by purpose, intermediates, profiles, test mode.

use super::error::MaterialError;
use super::profile::Profiles;
use crate::path::Certificate;
use crate::path::MAX_CANDIDATES;
use crate::path::TrustAnchor;
use crate::records::Anchor;
use crate::records::AnchorPurpose;
use crate::records::Fingerprint;
use std::sync::Arc;

/// Configured trust, as the records and files have it.
#[derive(Clone, Debug, Default)]
pub struct Material {
    /// Trust anchors with what each is trusted for.
    pub anchors: Vec<Anchor>,
    /// CA certificates between anchors and leaves, DER, in any order, for HPKI cards and second certificates: cards send
    /// their leaf only.
    pub intermediates: Vec<Vec<u8>>,
    /// Profiles.
    pub profiles: Profiles,
    /// Whether published test cards are accepted: a relaxation that is named, off by default, and loud when on.
    pub danger_test_mode: bool,
}

/// [`Material`], parsed.
pub(super) struct Trust {
    pub card_anchors: Vec<TrustAnchor>,
    pub second_certificate_anchors: Vec<TrustAnchor>,
    pub jpki_anchors: Vec<TrustAnchor>,
    pub intermediates: Vec<Arc<Certificate>>,
    pub profiles: Profiles,
    pub danger_test_mode: bool,
}

impl Trust {
    pub(super) fn parse(material: Material) -> Result<Self, MaterialError> {
        let mut trust = Self {
            card_anchors: Vec::new(),
            second_certificate_anchors: Vec::new(),
            jpki_anchors: Vec::new(),
            intermediates: Vec::new(),
            profiles: material.profiles,
            danger_test_mode: material.danger_test_mode,
        };
        for record in &material.anchors {
            let anchor = TrustAnchor::from_der(&record.certificate_der).map_err(|fault| {
                let fingerprint = Fingerprint::of(&record.certificate_der);
                MaterialError::Anchor { fingerprint, fault }
            })?;
            match record.purpose {
                AnchorPurpose::HpkiCard => trust.card_anchors.push(anchor),
                AnchorPurpose::SecondCertificate => trust.second_certificate_anchors.push(anchor),
                AnchorPurpose::JpkiCard => trust.jpki_anchors.push(anchor),
            }
        }
        if material.intermediates.len() > MAX_CANDIDATES {
            return Err(MaterialError::TooMany(MAX_CANDIDATES));
        }
        for der in &material.intermediates {
            trust.intermediates.push(parse_intermediate(der)?);
        }
        Ok(trust)
    }

    /// Every CA whose lists are accepted.
    pub(super) fn cas(&self) -> impl Iterator<Item = &Certificate> {
        let anchors = self.card_anchors.iter().chain(&self.second_certificate_anchors);
        let anchors = anchors.chain(&self.jpki_anchors);
        let anchors = anchors.map(|anchor| anchor.certificate().as_ref());
        anchors.chain(self.intermediates.iter().map(AsRef::as_ref))
    }
}

fn parse_intermediate(der: &[u8]) -> Result<Arc<Certificate>, MaterialError> {
    let certificate = Certificate::from_der(der).map_err(|fault| MaterialError::Intermediate {
        fingerprint: Fingerprint::of(der),
        fault,
    })?;
    match certificate.is_ca() {
        true => Ok(Arc::new(certificate)),
        false => Err(MaterialError::NotACa { subject: certificate.subject_text() }),
    }
}
