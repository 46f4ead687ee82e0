//! Who says whether a My Number card's certificate is valid: what the configuration chose, behind one trait.
//!
//! ```text
//! keeper ─> counted ─> remembered, one question for all who wait ─> timed ─> OCSP responder │ platform operator's service
//!              └────> revocation lists that the judge holds
//! ```

pub mod contract;
mod http;
mod metrics;
mod ocsp;

pub use metrics::ValidityMetrics;

use crate::config::Config;
use crate::config::ValidityProvider;
use crate::fetch::FetchError;
use crate::fetch::Fetcher;
use crate::fetch::Service;
use api::ClientTls;
use api::error::FrontError;
use attest::judge::Judge;
use attest::validity::Cached;
use attest::validity::CrlValidity;
use attest::validity::JpkiValidity;
use attest::validity::NoProvider;
use attest::validity::OcspRules;
use attest::validity::ValidityError;
use metrics::Counted;
use metrics::Timed;
use std::sync::Arc;

/// Target id of the service that is asked.
const TARGET: &str = "jpki-validity";

/// The service that is asked, if one is, for the fetcher.
///
/// # Errors
/// [`FrontError`] naming the TLS file that cannot be used.
pub fn with_service(fetcher: Fetcher, config: &Config) -> Result<Fetcher, FrontError> {
    let Some(validity) = &config.jpki.validity else {
        return Ok(fetcher);
    };
    let timeout = validity.timeout();
    Ok(match validity.provider() {
        None | Some(ValidityProvider::Crl(_)) => fetcher,
        Some(ValidityProvider::Ocsp(ocsp)) => {
            let service = Service::new(ocsp.url.clone(), ocsp::MEDIA, timeout, None);
            fetcher.with_service(TARGET, service)
        }
        Some(ValidityProvider::Http(http)) => {
            let (ca, certificate) = (http.ca.clone(), http.certificate.clone());
            let tls = ClientTls::open(ca, certificate, http.key.clone())?;
            let service = Service::new(http.url.clone(), http::MEDIA, timeout, Some(tls));
            fetcher.with_service(TARGET, service)
        }
    })
}

/// The provider that `config` chose.
pub fn provider(
    config: &Config,
    fetcher: &Arc<Fetcher>,
    judge: &Arc<Judge>,
    metrics: &ValidityMetrics,
) -> Arc<dyn JpkiValidity> {
    let outside = Outside { config, metrics };
    let (max_age_seconds, target_id) = (config.crl_limits().max_age_seconds, TARGET);
    let provider = config.jpki.validity.as_ref().and_then(|validity| validity.provider());
    let provider: Arc<dyn JpkiValidity> = match provider {
        None => Arc::new(NoProvider),
        Some(ValidityProvider::Crl(_)) => Arc::new(CrlValidity::new(judge.clone())),
        Some(ValidityProvider::Ocsp(chosen)) => {
            let hash = chosen.certificate_id_hash;
            let rules = OcspRules { hash, nonce: chosen.nonce, max_age_seconds };
            let (fetcher, judge) = (fetcher.clone(), judge.clone());
            outside.remembered(ocsp::OcspValidity { fetcher, target_id, rules, judge })
        }
        Some(ValidityProvider::Http(_)) => {
            let fetcher = fetcher.clone();
            outside.remembered(http::HttpValidity { fetcher, target_id, max_age_seconds })
        }
    };
    Arc::new(Counted { provider, metrics: metrics.clone() })
}

/// What is around every provider outside the house.
struct Outside<'a> {
    config: &'a Config,
    metrics: &'a ValidityMetrics,
}

impl Outside<'_> {
    fn remembered<P: JpkiValidity + 'static>(&self, provider: P) -> Arc<dyn JpkiValidity> {
        let seconds = self.config.jpki.validity.as_ref().map(|validity| validity.cache_seconds);
        let timed = Timed { provider, metrics: self.metrics.clone() };
        Arc::new(Cached::new(timed, seconds.unwrap_or_default()))
    }
}

/// What does not pass by itself is for the operator; the rest is asked again another time.
fn unreachable(error: FetchError) -> ValidityError {
    let reason = error.to_string();
    match error.may_pass() {
        true => ValidityError::Unavailable { reason },
        false => ValidityError::Unusable { reason },
    }
}
