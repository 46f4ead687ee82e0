//! Many callers at once: limits, abandoned work, exclusion, and SoftHSM under load. K1.

use crate::Hsm;
use crate::HsmConfig;
use crate::HsmError;
use crate::tests::Bench;
use crate::tests::alone;
use crate::tests::bench::eventually;
use crate::tests::bench::pin;
use crate::tests::signing::to_sign;
use crate::verify;
use attest::algorithm::KeyType;
use attest::permit::HolderKey;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

async fn sign_and_verify(
    hsm: Arc<Hsm>,
    key: Arc<HolderKey>,
    message: Vec<u8>,
) -> Result<(), HsmError> {
    let scheme = key.key_type.default_scheme();
    let signature = hsm.sign_for_holder(&key, scheme, &to_sign(scheme, &message)).await?;
    assert!(verify::verifies(&key.spki_der, scheme, &message, &signature).unwrap());
    Ok(())
}

fn open(bench: &Bench, config: HsmConfig) -> (Arc<Hsm>, Arc<HolderKey>) {
    let hsm = Arc::new(Hsm::open(config, pin()).unwrap());
    let key = bench.key(&hsm, KeyType::P256);
    (hsm, key)
}

#[test]
fn signature_costs_two_calls_and_nothing_else() {
    alone(|bench| {
        let (hsm, key) = open(&bench, HsmConfig { sessions: 1, ..bench.faulty_config() });
        let rsa = bench.key(&hsm, KeyType::Rsa2048);
        bench.forget_calls();
        bench.block_on(async {
            for key in [&key, &rsa, &key, &rsa] {
                sign_and_verify(Arc::clone(&hsm), Arc::clone(key), b"x".to_vec()).await.unwrap();
            }
        });
        assert_eq!(bench.calls(), ["C_SignInit CKR_OK", "C_Sign CKR_OK"].repeat(4));
    });
}

#[test]
fn full_queue_is_busy_and_the_rest_is_signed() {
    alone(|bench| {
        let config = HsmConfig { sessions: 1, queue: 2, ..bench.faulty_config() };
        let (hsm, key) = open(&bench, config);
        bench.faults("C_Sign sleep 300ms 1");
        let results = bench.block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..8 {
                tasks.spawn(sign_and_verify(Arc::clone(&hsm), Arc::clone(&key), b"x".to_vec()));
            }
            tasks.join_all().await
        });
        let busy = results.iter().filter(|result| matches!(result, Err(HsmError::Busy))).count();
        let signed = results.iter().filter(|result| result.is_ok()).count();
        // One inside the module, two in the queue; the worker may fetch the first before or after the third comes.
        assert!((2..=3).contains(&signed), "{signed}");
        assert_eq!(busy, 8 - signed);
        assert_eq!(hsm.status().counters.busy, busy as u64);
    });
}

#[test]
fn job_whose_caller_gave_up_is_not_signed() {
    alone(|bench| {
        let (hsm, key) = open(&bench, HsmConfig { sessions: 1, ..bench.faulty_config() });
        bench.faults("C_Sign sleep 500ms 1");
        bench.forget_calls();
        bench.block_on(async {
            let first = tokio::spawn(sign_and_verify(Arc::clone(&hsm), Arc::clone(&key), vec![1]));
            while hsm.status().queue_depth > 0 || bench.count("C_SignInit") == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let second = sign_and_verify(Arc::clone(&hsm), Arc::clone(&key), vec![2]);
            assert!(timeout(Duration::from_millis(50), second).await.is_err());
            first.await.unwrap().unwrap();
        });
        eventually("the job was dropped", || hsm.status().counters.abandoned == 1);
        assert_eq!(bench.count("C_Sign"), 1);
    });
}

#[test]
fn deadline_holds_for_a_slow_token() {
    alone(|bench| {
        let config = HsmConfig { sessions: 1, deadline_ms: 100, ..bench.faulty_config() };
        let (hsm, key) = open(&bench, config);
        bench.faults("C_Sign sleep 2s 1");
        let late = bench.block_on(sign_and_verify(Arc::clone(&hsm), Arc::clone(&key), vec![1]));
        assert!(matches!(late, Err(HsmError::Deadline)));
        assert_eq!(hsm.status().counters.deadlines, 1);
        eventually("the token is quick again", || {
            bench.block_on(sign_and_verify(Arc::clone(&hsm), Arc::clone(&key), vec![1])).is_ok()
        });
    });
}

#[test]
fn keys_are_made_and_destroyed_while_others_sign() {
    alone(|bench| {
        let (hsm, key) = open(&bench, bench.config());
        bench.block_on(async {
            let mut tasks = JoinSet::new();
            for task in 0..8u8 {
                let (hsm, key) = (Arc::clone(&hsm), Arc::clone(&key));
                tasks.spawn(async move {
                    for round in 0..100u8 {
                        sign_and_verify(Arc::clone(&hsm), Arc::clone(&key), vec![task, round])
                            .await
                            .unwrap();
                    }
                });
            }
            for _ in 0..20 {
                let made = Arc::new(HolderKey::from(hsm.generate(KeyType::P256).await.unwrap()));
                hsm.load(&made).await.unwrap();
                sign_and_verify(Arc::clone(&hsm), Arc::clone(&made), vec![0]).await.unwrap();
                hsm.destroy(&made).await.unwrap();
            }
            tasks.join_all().await;
        });
        assert_eq!(hsm.status().counters.failures, 0);
        assert_eq!(hsm.status().counters.operations, 8 * 100 + 20);
    });
}

#[test]
fn sixty_four_tasks_get_correct_signatures() {
    alone(|bench| {
        let (hsm, p256) = open(&bench, bench.config());
        let keys = [p256, bench.key(&hsm, KeyType::P384), bench.key(&hsm, KeyType::Rsa2048)];
        bench.block_on(async {
            let mut tasks = JoinSet::new();
            for task in 0..64u8 {
                let (hsm, keys) = (Arc::clone(&hsm), keys.clone());
                tasks.spawn(async move {
                    for round in 0..60u8 {
                        let key = &keys[usize::from(round % 3)];
                        sign_and_verify(Arc::clone(&hsm), Arc::clone(key), vec![task, round])
                            .await
                            .unwrap();
                    }
                });
            }
            tasks.join_all().await;
        });
        let status = hsm.status();
        assert_eq!(status.counters.operations, 64 * 60);
        assert_eq!((status.counters.failures, status.counters.session_retries), (0, 0));
        assert_eq!(status.queue_depth, 0);
    });
}

#[test]
fn shutdown_serves_what_waits_and_refuses_what_comes() {
    alone(|bench| {
        let (hsm, key) = open(&bench, HsmConfig { sessions: 1, ..bench.faulty_config() });
        bench.faults("C_Sign sleep 100ms");
        let results = bench.block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..5 {
                tasks.spawn(sign_and_verify(Arc::clone(&hsm), Arc::clone(&key), vec![1]));
            }
            while bench.count("C_SignInit") == 0 || hsm.status().queue_depth < 4 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            hsm.shutdown().await;
            tasks.join_all().await
        });
        assert!(results.iter().all(Result::is_ok));
        let late = bench.block_on(sign_and_verify(Arc::clone(&hsm), Arc::clone(&key), vec![1]));
        assert!(matches!(late, Err(HsmError::ShutDown)));
        assert!(matches!(bench.block_on(hsm.generate(KeyType::P256)), Err(HsmError::ShutDown)));
        assert_eq!(bench.count("C_Finalize"), 1);
    });
}
