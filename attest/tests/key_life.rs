//! The life of a second certificate's pairs in any order of officers and clock: the pair that signs is never destroyed, none
//! twice, none too early, and no certificate that ever signed is lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

use attest::algorithm::KeyType;
use attest::clock::UnixSeconds;
use attest::danger_testing::START;
use attest::danger_testing::credential;
use attest::key_life::Ended;
use attest::key_life::NextPair;
use attest::key_life::NotSpent;
use attest::permit::HolderKey;
use attest::records::Credential;
use attest::records::CredentialStatus;
use attest::records::Fingerprint;
use attest::registry::LiveCredential;
use proptest::collection::vec;
use proptest::prelude::Just;
use proptest::prelude::Strategy;
use proptest::prop_oneof;
use proptest::proptest;
use std::collections::HashMap;
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(100);

#[derive(Clone, Debug)]
enum Act {
    /// The next pair is made.
    Renew,
    /// Its certificate is installed.
    Install,
    /// The credential ends.
    Revoke,
    /// Two officers end the pair of this number, if they may.
    Destroy(usize),
    /// Time passes.
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::Renew),
        4 => Just(Act::Install),
        1 => Just(Act::Revoke),
        6 => (0..6_usize).prop_map(Act::Destroy),
        3 => (1..150_u64).prop_map(Act::Wait),
    ]
}

/// A credential, its pairs by number, and what became of them.
struct Life {
    record: Credential,
    now: UnixSeconds,
    pairs: Vec<Vec<u8>>,
    /// When each ceased to sign.
    ceased: HashMap<usize, UnixSeconds>,
    destroyed: Vec<usize>,
    /// Certificates that ever signed.
    certificates: Vec<Vec<u8>>,
}

impl Life {
    fn new() -> Self {
        let spki_der = b"pair 0".to_vec();
        let key = HolderKey { cka_id: vec![0; 16], spki_der, key_type: KeyType::P256 };
        let chain = vec![b"certificate 0".to_vec()];
        Self {
            record: Credential { chain: chain.clone(), ..credential("key", "u-1", key) },
            now: UnixSeconds(START),
            pairs: vec![b"pair 0".to_vec()],
            ceased: HashMap::new(),
            destroyed: Vec::new(),
            certificates: chain,
        }
    }

    fn signing(&self) -> usize {
        self.pairs.iter().position(|pair| *pair == self.record.spki_der).expect("a known pair")
    }

    fn perform(&mut self, act: Act) {
        let is_active = self.record.status == CredentialStatus::Active;
        match (act, self.record.life.next.clone()) {
            (Act::Renew, None) if is_active => {
                let number = self.pairs.len();
                let spki_der = format!("pair {number}").into_bytes();
                self.pairs.push(spki_der.clone());
                let cka_id = vec![u8::try_from(number).unwrap(); 16];
                let subject = "CN=x".to_owned();
                self.record.life.next =
                    Some(NextPair { cka_id, spki_der, subject, created_at: self.now });
            }
            (Act::Install, Some(next)) if is_active => {
                self.ceased.insert(self.signing(), self.now);
                let certificate = format!("certificate {}", self.certificates.len()).into_bytes();
                self.certificates.push(certificate.clone());
                self.record = self.record.clone().switched(next, vec![certificate], self.now);
            }
            (Act::Revoke, _) if !self.record.status.is_final() => {
                self.ceased.insert(self.signing(), self.now);
                self.record.status = CredentialStatus::Revoked;
                self.record.life.revoked = Some(Ended { at: self.now, reason: None });
            }
            (Act::Destroy(number), _) => self.destroy(number),
            (Act::Wait(seconds), _) => self.now = self.now.plus(Duration::from_secs(seconds)),
            (Act::Renew | Act::Install | Act::Revoke, _) => {}
        }
    }

    fn destroy(&mut self, number: usize) {
        let Some(pair) = self.pairs.get(number) else { return };
        let is_next = self.record.life.next.as_ref().is_some_and(|next| next.spki_der == *pair);
        match self.record.spent(&Fingerprint::of(pair), GRACE, self.now) {
            Ok(spent) if self.now >= spent.from => {
                assert_eq!(spent.key.spki_der, *pair);
                assert!(!self.destroyed.contains(&number), "destroyed twice");
                assert!(number != self.signing() || self.ceased.contains_key(&number));
                let ceased = self.ceased.get(&number);
                assert!(is_next || ceased.is_some_and(|at| self.now >= at.plus(GRACE)));
                self.destroyed.push(number);
                self.record = spent.after;
            }
            Ok(_) => {}
            Err(NotSpent::InUse) => assert_eq!(number, self.signing()),
            Err(NotSpent::Destroyed | NotSpent::Unknown) => {
                assert!(self.destroyed.contains(&number), "a pair that is there is not known");
            }
        }
    }

    fn check(&self) {
        let live = LiveCredential::new(self.record.clone());
        for certificate in &self.certificates {
            let chain = live.chain_of(&Fingerprint::of(certificate));
            assert_eq!(chain, Some(std::slice::from_ref(certificate)), "a certificate is lost");
            assert!(live.has_one_of(&[Fingerprint::of(certificate)]));
        }
        assert!(!live.has_one_of(&[Fingerprint::of(b"another")]));
        if self.record.status == CredentialStatus::Active {
            assert!(!self.destroyed.contains(&self.signing()), "the pair that signs is destroyed");
        }
        let stored = serde_json::to_string(&self.record).unwrap();
        assert_eq!(serde_json::from_str::<Credential>(&stored).unwrap(), self.record);
    }
}

proptest! {
    #[test]
    fn pair_that_signs_is_never_destroyed_and_no_certificate_is_lost(acts in vec(act(), 1..40)) {
        let mut life = Life::new();
        for act in acts {
            life.perform(act);
            life.check();
        }
    }
}

#[test]
fn pair_is_kept_to_the_last_second_of_its_grace_time() {
    let mut life = Life::new();
    [Act::Renew, Act::Install, Act::Wait(99)].into_iter().for_each(|act| life.perform(act));
    life.perform(Act::Destroy(0));
    assert!(life.destroyed.is_empty());
    life.perform(Act::Wait(1));
    life.perform(Act::Destroy(0));
    assert_eq!(life.destroyed, [0]);
}
