//! Answers remembered for a while, and one question at a time about each certificate: a whole shift that signs in at eight
//! o'clock, and every live session that is judged each minute, must not flood a provider.

use super::JpkiValidity;
use super::Validity;
use super::ValidityError;
use crate::clock::UnixSeconds;
use crate::path::Certificate;
use crate::records::Fingerprint;
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::OnceCell;

/// Most certificates remembered; a hospital group has fewer. When full it starts anew.
pub const MAX_REMEMBERED: usize = 32 * 1024;
/// Longest time in seconds for which an answer may be remembered: a revocation is noticed after it at the latest.
pub const MAX_CACHE_SECONDS: u64 = 3_600;

/// How long it is remembered that the provider cannot be reached: whoever asks again at once waits no second time.
const UNAVAILABLE: Duration = Duration::from_secs(10);

/// Another provider's answers, remembered until they are over, `seconds` at most. Errors are told to everybody who waited
/// for them and then forgotten, but that nobody answers, which holds for a few seconds.
pub struct Cached<P> {
    provider: P,
    seconds: u64,
    answers: Mutex<HashMap<Asked, Arc<OnceCell<Answer>>>>,
}

/// Certificate and key of its issuer.
type Asked = (Fingerprint, Fingerprint);

/// What was said, and when.
struct Answer {
    at: UnixSeconds,
    said: Result<Validity, ValidityError>,
}

impl<P: JpkiValidity> Cached<P> {
    /// Remembers what `provider` says for at most `seconds`, which are cut to [`MAX_CACHE_SECONDS`].
    pub fn new(provider: P, seconds: u64) -> Self {
        let seconds = seconds.min(MAX_CACHE_SECONDS);
        Self { provider, seconds, answers: Mutex::default() }
    }

    /// The answer that holds at `now`, or the place where it will be: of several who come to it one asks, the others wait.
    fn place(&self, asked: Asked, now: UnixSeconds) -> Arc<OnceCell<Answer>> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let found = answers.get(&asked);
        if let Some(place) = found
            && place.get().is_none_or(|answer| self.holds(answer, now))
        {
            return place.clone();
        }
        if answers.len() >= MAX_REMEMBERED {
            answers.retain(|_, place| place.get().is_none());
        }
        let place = Arc::<OnceCell<Answer>>::default();
        answers.insert(asked, place.clone());
        place
    }

    fn holds(&self, answer: &Answer, now: UnixSeconds) -> bool {
        let until = match &answer.said {
            Ok(Validity::Good { until, .. }) => *until,
            Ok(Validity::Revoked { .. }) => self.end(answer.at),
            Err(ValidityError::Unavailable { .. }) => answer.at.plus(UNAVAILABLE),
            Err(
                ValidityError::Unknown | ValidityError::NoProvider | ValidityError::Unusable { .. },
            ) => return false,
        };
        (answer.at..=until).contains(&now)
    }

    fn end(&self, at: UnixSeconds) -> UnixSeconds {
        UnixSeconds(at.0.saturating_add(self.seconds))
    }
}

#[async_trait]
impl<P: JpkiValidity> JpkiValidity for Cached<P> {
    async fn check(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        now: UnixSeconds,
    ) -> Result<Validity, ValidityError> {
        let asked = (certificate.fingerprint().clone(), Fingerprint::of(issuer.spki_der()));
        let place = self.place(asked, now);
        let ask = || async {
            let mut said = self.provider.check(certificate, issuer, now).await;
            if let Ok(Validity::Good { until, .. }) = &mut said {
                *until = self.end(now).min(*until);
            }
            Answer { at: now, said }
        };
        place.get_or_init(ask).await.said.clone()
    }

    async fn probe(&self, issuer: &Certificate, now: UnixSeconds) -> Result<(), ValidityError> {
        self.provider.probe(issuer, now).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocation::RevocationReason;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;
    use tokio::sync::Semaphore;
    use tokio::task::JoinHandle;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    /// Says the same to everybody, counts, and waits until it is let on.
    struct Counting {
        said: Result<Validity, ValidityError>,
        asked: AtomicUsize,
        go: Semaphore,
    }

    impl Counting {
        fn saying(said: Result<Validity, ValidityError>) -> Self {
            Self { said, asked: AtomicUsize::new(0), go: Semaphore::new(1_000) }
        }

        fn good(seconds: u64) -> Self {
            let until = UnixSeconds(NOW.0 + seconds);
            Self::saying(Ok(Validity::Good { until, predecessor: None }))
        }
    }

    #[async_trait]
    impl JpkiValidity for Counting {
        async fn check(
            &self,
            _certificate: &Certificate,
            _issuer: &Certificate,
            _now: UnixSeconds,
        ) -> Result<Validity, ValidityError> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.go.acquire().await.unwrap().forget();
            self.said.clone()
        }
    }

    fn certificate() -> Arc<Certificate> {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        Arc::new(Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap())
    }

    fn later(seconds: u64) -> UnixSeconds {
        UnixSeconds(NOW.0 + seconds)
    }

    /// How often the provider was asked, when its answer is asked for at these times one after the other.
    async fn asked(provider: Counting, seconds: u64, times: &[UnixSeconds]) -> usize {
        let provider = Arc::new(provider);
        let cached = Cached::new(provider.clone(), seconds);
        let certificate = certificate();
        for now in times {
            let _ = cached.check(&certificate, &certificate, *now).await;
        }
        provider.asked.load(Ordering::SeqCst)
    }

    type Said = Result<Validity, ValidityError>;

    /// A provider that waits until it is let on, and what asks it beside others.
    fn slow(said: Said) -> (Arc<Counting>, impl Fn() -> JoinHandle<Said>) {
        let provider = Arc::new(Counting { go: Semaphore::new(0), ..Counting::saying(said) });
        let cached = Arc::new(Cached::new(provider.clone(), 600));
        let certificate = certificate();
        let ask = move || {
            let (cached, certificate) = (cached.clone(), certificate.clone());
            tokio::spawn(async move { cached.check(&certificate, &certificate, NOW).await })
        };
        (provider, ask)
    }

    #[tokio::test]
    async fn answer_is_remembered_to_its_end_and_not_a_second_longer() {
        let good = || Counting::good(10);
        assert_eq!(asked(good(), 600, &[NOW, later(10)]).await, 1);
        assert_eq!(asked(good(), 600, &[NOW, later(11)]).await, 2);
        assert_eq!(asked(good(), 5, &[NOW, later(5)]).await, 1, "the shorter end counts");
        assert_eq!(asked(good(), 5, &[NOW, later(6)]).await, 2);
        assert_eq!(asked(good(), 600, &[later(1), NOW]).await, 2, "the clock went back");
    }

    #[tokio::test]
    async fn revocation_is_remembered_and_an_error_is_not() {
        let reason = RevocationReason::Superseded;
        let revoked = || Counting::saying(Ok(Validity::Revoked { at: NOW, reason }));
        assert_eq!(asked(revoked(), 600, &[NOW, later(600)]).await, 1);
        assert_eq!(asked(revoked(), 600, &[NOW, later(601)]).await, 2);
        for error in [ValidityError::Unknown, ValidityError::NoProvider] {
            assert_eq!(asked(Counting::saying(Err(error)), 600, &[NOW, NOW]).await, 2);
        }
    }

    #[tokio::test]
    async fn provider_that_cannot_be_reached_is_not_asked_again_for_ten_seconds() {
        let gone = || Counting::saying(Err(ValidityError::Unavailable { reason: "gone".into() }));
        assert_eq!(asked(gone(), 600, &[NOW, later(10)]).await, 1);
        assert_eq!(asked(gone(), 600, &[NOW, later(11)]).await, 2);
        assert_eq!(asked(gone(), 600, &[later(1), NOW]).await, 2, "the clock went back");
    }

    #[tokio::test]
    async fn answer_is_believed_no_longer_than_it_is_remembered() {
        let certificate = certificate();
        for (wanted, seconds) in [(60, 60), (MAX_CACHE_SECONDS, MAX_CACHE_SECONDS + 1)] {
            let cached = Cached::new(Arc::new(Counting::good(1_000_000)), seconds);
            let said = cached.check(&certificate, &certificate, NOW).await;
            assert_eq!(said, Ok(Validity::Good { until: later(wanted), predecessor: None }));
        }
    }

    #[tokio::test]
    async fn many_who_ask_at_once_ask_the_provider_once_and_hear_the_same() {
        for said in [Counting::good(60).said, Err(ValidityError::Unknown)] {
            let (provider, ask) = slow(said.clone());
            let waiting: Vec<_> = (0..50).map(|_| ask()).collect();
            tokio::task::yield_now().await;
            provider.go.add_permits(1);
            for one in waiting {
                assert_eq!(one.await.unwrap(), said);
            }
            assert_eq!(provider.asked.load(Ordering::SeqCst), 1);
        }
    }

    #[tokio::test]
    async fn one_who_gives_up_leaves_the_question_to_the_next() {
        let (provider, ask) = slow(Counting::good(60).said);
        let first = ask();
        tokio::task::yield_now().await;
        let second = ask();
        tokio::task::yield_now().await;
        first.abort();
        provider.go.add_permits(1);
        assert!(second.await.unwrap().is_ok());
        assert_eq!(provider.asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn certificates_and_issuers_are_told_apart() {
        let provider = Arc::new(Counting::good(60));
        let cached = Cached::new(provider.clone(), 600);
        let (one, other) = (certificate(), certificate());
        for (certificate, issuer) in [(&one, &one), (&other, &one), (&one, &other)] {
            cached.check(certificate, issuer, NOW).await.unwrap();
        }
        assert_eq!(provider.asked.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn full_memory_starts_anew_and_forgets_nobody_who_waits() {
        let cached = Cached::new(Arc::new(Counting::good(60)), 600);
        let asked = |number: usize| {
            let name = Fingerprint(number.to_string());
            (name.clone(), name)
        };
        let waiting = cached.place(asked(0), NOW);
        for number in 1..MAX_REMEMBERED {
            let said = Ok(Validity::Good { until: later(60), predecessor: None });
            assert!(cached.place(asked(number), NOW).set(Answer { at: NOW, said }).is_ok());
        }
        assert!(cached.place(asked(1), NOW).get().is_some(), "at the limit");
        cached.place(asked(MAX_REMEMBERED), NOW);
        assert!(cached.place(asked(1), NOW).get().is_none(), "one past it");
        assert!(Arc::ptr_eq(&cached.place(asked(0), NOW), &waiting));
    }
}
