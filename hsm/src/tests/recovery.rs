//! The recovery ladder, on faults injected between the pool and SoftHSM. K3, K4 of the attack list.

use crate::Hsm;
use crate::HsmConfig;
use crate::HsmError;
use crate::HsmState;
use crate::PauseForAdmin;
use crate::PinState;
use crate::SignatureValue;
use crate::tests::Bench;
use crate::tests::alone;
use crate::tests::bench::eventually;
use crate::tests::bench::pin;
use crate::tests::bench::refused;
use crate::tests::signing;
use attest::algorithm::KeyType;
use attest::permit::HolderKey;
use cryptoki::object::Attribute;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

fn sign(bench: &Bench, hsm: &Hsm, key: &Arc<HolderKey>) -> Result<SignatureValue, HsmError> {
    signing::sign(bench, hsm, key, key.key_type.default_scheme())
}

/// One session, so that calls can be counted.
fn open_one_session(bench: &Bench) -> (Hsm, Arc<HolderKey>) {
    let config = HsmConfig { sessions: 1, ..bench.faulty_config() };
    let hsm = Hsm::open(config, pin()).unwrap();
    let key = bench.key(&hsm, KeyType::P256);
    bench.forget_calls();
    (hsm, key)
}

/// Ends the login of every session of the process, as a token does that was reset.
fn log_out(bench: &Bench) {
    bench.meddle(|session| session.logout().unwrap());
}

#[test]
fn session_errors_cost_one_retry_and_no_request() {
    alone(|bench| {
        let (hsm, key) = open_one_session(&bench);
        let values = [
            "CKR_SESSION_HANDLE_INVALID",
            "CKR_SESSION_CLOSED",
            "CKR_USER_NOT_LOGGED_IN",
            "CKR_TOKEN_NOT_PRESENT",
            "CKR_DEVICE_REMOVED",
            "CKR_DEVICE_ERROR",
            "CKR_KEY_HANDLE_INVALID",
            "CKR_OPERATION_ACTIVE",
        ];
        for (done, rv) in values.into_iter().enumerate() {
            for function in ["C_SignInit", "C_Sign"] {
                bench.forget_calls();
                bench.faults(&format!("{function} {rv} 1"));
                sign(&bench, &hsm, &key).unwrap_or_else(|error| panic!("{function} {rv}: {error}"));
                assert_eq!(bench.count("C_OpenSession"), 1, "{function} {rv}");
                assert_eq!(bench.count("C_Login"), 0, "{function} {rv}");
                assert_eq!(bench.count("C_Finalize"), 0, "{function} {rv}");
            }
            assert_eq!(hsm.status().counters.session_retries, 2 * (done as u64 + 1));
        }
        assert_eq!(hsm.status().counters.failures, 0);
    });
}

#[test]
fn module_errors_initialise_it_again_and_cost_no_request() {
    alone(|bench| {
        let (hsm, key) = open_one_session(&bench);
        let values = ["CKR_GENERAL_ERROR", "CKR_FUNCTION_FAILED", "CKR_DEVICE_MEMORY"];
        for (done, rv) in values.into_iter().enumerate() {
            bench.forget_calls();
            bench.faults(&format!("C_Sign {rv} 1"));
            sign(&bench, &hsm, &key).unwrap_or_else(|error| panic!("{rv}: {error}"));
            assert_eq!(bench.count("C_Finalize"), 1, "{rv}");
            assert_eq!(bench.count("C_Initialize"), 1, "{rv}");
            assert_eq!(bench.count("C_Login"), 1, "{rv}");
            assert_eq!(hsm.status().counters.reinitialisations, done as u64 + 1);
            assert_eq!(hsm.status().state, HsmState::Serving);
        }
    });
}

#[test]
fn error_of_the_call_itself_is_told_and_the_next_call_goes_on() {
    alone(|bench| {
        let (hsm, key) = open_one_session(&bench);
        for rv in ["CKR_HOST_MEMORY", "CKR_DATA_LEN_RANGE", "CKR_KEY_FUNCTION_NOT_PERMITTED"] {
            bench.forget_calls();
            bench.faults(&format!("C_Sign {rv} 1"));
            let error = refused(sign(&bench, &hsm, &key));
            assert_eq!(error.to_string(), format!("C_Sign returned {rv}"));
            assert_eq!(bench.count("C_Sign"), 1, "{rv} was tried again");
            sign(&bench, &hsm, &key).unwrap();
        }
        assert_eq!(hsm.status().counters.reinitialisations, 0);
    });
}

#[test]
fn lost_login_is_renewed_once_and_keys_are_found_again() {
    alone(|bench| {
        let (hsm, key) = open_one_session(&bench);
        for _ in 0..3 {
            bench.forget_calls();
            log_out(&bench);
            sign(&bench, &hsm, &key).unwrap();
            assert_eq!(bench.count("C_Login"), 1);
            assert_eq!(bench.count("C_Finalize"), 0);
        }
    });
}

#[test]
fn pin_refused_at_a_renewed_login_is_never_presented_again() {
    alone(|bench| {
        for (rv, state) in [
            ("CKR_PIN_INCORRECT", PinState::Refused),
            ("CKR_PIN_EXPIRED", PinState::Refused),
            ("CKR_PIN_LOCKED", PinState::Locked),
        ] {
            let hsm = Hsm::open(bench.faulty_config(), pin()).unwrap();
            let key = bench.key(&hsm, KeyType::P256);
            bench.forget_calls();
            bench.faults(&format!("C_Login {rv}"));
            log_out(&bench);
            for _ in 0..20 {
                let error = refused(sign(&bench, &hsm, &key));
                let is_final = matches!(
                    error,
                    HsmError::PinRefused(_) | HsmError::PinLocked | HsmError::Down { .. }
                );
                assert!(is_final, "{rv}: {error}");
            }
            eventually("the pool says so", || hsm.status().state == HsmState::PinRefused);
            assert_eq!(hsm.status().pin, state);
            std::thread::sleep(Duration::from_millis(500));
            assert_eq!(bench.count("C_Login"), 1, "{rv}");
            bench.block_on(hsm.shutdown());
            bench.faults("");
        }
    });
}

#[test]
fn token_that_stays_away_refuses_at_once_and_comes_back_by_itself() {
    alone(|bench| {
        let (hsm, key) = open_one_session(&bench);
        bench.faults(
            "C_SignInit CKR_DEVICE_REMOVED\nC_OpenSession CKR_TOKEN_NOT_PRESENT\nC_GetTokenInfo CKR_TOKEN_NOT_PRESENT",
        );
        let error = refused(sign(&bench, &hsm, &key));
        assert!(error.is_retryable(), "{error}");
        eventually("the pool is down", || matches!(hsm.status().state, HsmState::Down { .. }));
        let before = Instant::now();
        let error = refused(sign(&bench, &hsm, &key));
        assert!(matches!(error, HsmError::Down { .. }), "{error}");
        assert!(before.elapsed() < Duration::from_secs(5), "it waited");
        let error = refused(bench.block_on(hsm.generate(KeyType::P256)));
        assert!(matches!(error, HsmError::Down { .. }), "{error}");

        bench.faults("");
        eventually("the pool serves", || hsm.status().state == HsmState::Serving);
        sign(&bench, &hsm, &key).unwrap();
    });
}

#[test]
fn token_lost_while_nobody_signs_is_noticed() {
    alone(|bench| {
        let (hsm, key) = open_one_session(&bench);
        bench.faults("C_GetSessionInfo CKR_DEVICE_REMOVED\nC_OpenSession CKR_TOKEN_NOT_PRESENT");
        eventually("the pool is down", || matches!(hsm.status().state, HsmState::Down { .. }));
        bench.faults("");
        eventually("the pool serves", || hsm.status().state == HsmState::Serving);
        sign(&bench, &hsm, &key).unwrap();
    });
}

#[test]
fn trouble_met_by_administration_is_recovered_from() {
    alone(|bench| {
        let (hsm, key) = open_one_session(&bench);
        for fault in
            ["C_GenerateKeyPair CKR_GENERAL_ERROR 1", "C_GenerateKeyPair CKR_DEVICE_REMOVED 1"]
        {
            bench.faults(fault);
            let error = refused(bench.block_on(hsm.generate(KeyType::P256)));
            assert!(error.is_retryable(), "{error}");
            bench.key(&hsm, KeyType::P256);
            sign(&bench, &hsm, &key).unwrap();
        }
        assert_eq!(hsm.status().counters.reinitialisations, 1);
    });
}

#[test]
fn token_without_another_session_goes_on_with_those_it_has() {
    alone(|bench| {
        let config = HsmConfig { sessions: 2, deadline_ms: 1_000, ..bench.faulty_config() };
        let hsm = Hsm::open(config, pin()).unwrap();
        let key = bench.key(&hsm, KeyType::P256);
        bench.faults("C_Sign hang 1\nC_OpenSession CKR_SESSION_COUNT");
        assert!(matches!(refused(sign(&bench, &hsm, &key)), HsmError::Deadline));
        eventually("the hang is seen", || hsm.status().sessions_hung == 1);
        for _ in 0..10 {
            sign(&bench, &hsm, &key).unwrap();
        }
        assert_eq!(hsm.status().state, HsmState::Serving);
        assert_eq!(hsm.status().sessions_live, 1);
    });
}

#[test]
fn reconnections_that_help_nobody_are_backed_off() {
    alone(|bench| {
        let (hsm, key) = open_one_session(&bench);
        bench.faults("C_Sign CKR_GENERAL_ERROR");
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            assert!(sign(&bench, &hsm, &key).is_err());
            std::thread::sleep(Duration::from_millis(2));
        }
        // Pauses of 0, 0.2, 0.4, 0.8 and 1.6 s: five begin within three seconds.
        let reinitialisations = hsm.status().counters.reinitialisations;
        assert!((2..=5).contains(&reinitialisations), "{reinitialisations}");

        bench.faults("");
        eventually("the pool serves", || sign(&bench, &hsm, &key).is_ok());
    });
}

#[test]
fn token_directory_that_was_away_is_used_again() {
    alone(|bench| {
        let hsm = bench.open();
        let key = bench.key(&hsm, KeyType::P256);
        let (tokens, away) = (bench.dir.join("tokens"), bench.dir.join("away"));
        std::fs::rename(&tokens, &away).unwrap();
        assert!(sign(&bench, &hsm, &key).is_err());
        std::fs::rename(&away, &tokens).unwrap();
        eventually("the pool signs", || sign(&bench, &hsm, &key).is_ok());
    });
}

#[test]
fn key_destroyed_behind_the_appliances_back_is_refused_and_does_not_disturb_others() {
    alone(|bench| {
        let (hsm, key) = open_one_session(&bench);
        let other = bench.key(&hsm, KeyType::P256);
        bench.meddle(|session| {
            let template = [Attribute::Id(key.cka_id.clone())];
            for object in session.find_objects(&template).unwrap() {
                session.destroy_object(object).unwrap();
            }
        });
        for _ in 0..10 {
            let error = refused(sign(&bench, &hsm, &key));
            assert!(matches!(error, HsmError::KeyRefused { .. }), "{error}");
            sign(&bench, &hsm, &other).unwrap();
        }
        assert_eq!(hsm.status().counters.reinitialisations, 1);
    });
}

#[test]
fn hanging_call_costs_its_caller_a_deadline_and_others_nothing() {
    alone(|bench| {
        let config = HsmConfig { sessions: 2, deadline_ms: 2_000, ..bench.faulty_config() };
        let hsm = Hsm::open(config, pin()).unwrap();
        let key = bench.key(&hsm, KeyType::P256);
        bench.faults("C_Sign hang 1");
        let before = Instant::now();
        let error = refused(sign(&bench, &hsm, &key));
        assert!(matches!(error, HsmError::Deadline), "{error}");
        assert!(before.elapsed() < Duration::from_secs(10));
        for _ in 0..20 {
            sign(&bench, &hsm, &key).unwrap();
        }
        eventually("the hung session is replaced", || {
            let status = hsm.status();
            (status.sessions_live, status.sessions_hung) == (2, 1)
        });
        assert_eq!(hsm.status().counters.hangs, 1);
        assert_eq!(hsm.status().counters.deadlines, 1);

        // Keys are not changed beside a call of which nobody knows what it does.
        let error = refused(bench.block_on(hsm.generate(KeyType::P256)));
        assert!(matches!(error, HsmError::Hung), "{error}");
        sign(&bench, &hsm, &key).unwrap();

        bench.faults("release");
        eventually("the hung call came back", || hsm.status().sessions_hung == 0);
        bench.key(&hsm, KeyType::P256);
        assert_eq!(hsm.status().sessions_live, 2);
    });
}

#[test]
fn sessions_that_all_hang_are_replaced_up_to_a_bound() {
    alone(|bench| {
        let config = HsmConfig { sessions: 1, deadline_ms: 200, ..bench.faulty_config() };
        let hsm = Hsm::open(config, pin()).unwrap();
        let key = bench.key(&hsm, KeyType::P256);
        bench.faults("C_Sign hang");
        for _ in 0..4 {
            assert!(matches!(refused(sign(&bench, &hsm, &key)), HsmError::Deadline));
        }
        eventually("both hang", || hsm.status().sessions_hung == 2);
        assert_eq!(hsm.status().sessions_live, 0);
        assert_eq!(bench.count("C_Finalize"), 0, "finalised under a running call");
        bench.faults("release");
        eventually("the pool signs", || sign(&bench, &hsm, &key).is_ok());
    });
}

#[test]
fn module_is_not_closed_under_a_hanging_call() {
    alone(|bench| {
        let config = HsmConfig { sessions: 2, deadline_ms: 300, ..bench.faulty_config() };
        let hsm = Hsm::open(config, pin()).unwrap();
        let key = bench.key(&hsm, KeyType::P256);
        bench.faults("C_Sign hang 1\nC_Sign CKR_GENERAL_ERROR 1");
        assert!(matches!(refused(sign(&bench, &hsm, &key)), HsmError::Deadline));
        assert!(sign(&bench, &hsm, &key).is_err());
        eventually("the pool is down", || matches!(hsm.status().state, HsmState::Down { .. }));
        assert_eq!(bench.count("C_Finalize"), 0);
        bench.faults("release");
        eventually("the pool serves", || hsm.status().state == HsmState::Serving);
        assert_eq!(bench.count("C_Finalize"), 1);
        sign(&bench, &hsm, &key).unwrap();
    });
}

#[test]
fn act_of_administration_that_panics_takes_nothing_down() {
    alone(|bench| {
        let (hsm, key) = open_one_session(&bench);
        let error = refused(bench.block_on(hsm.panic_in_administration()));
        assert!(matches!(error, HsmError::Unreachable(_)), "{error}");
        sign(&bench, &hsm, &key).unwrap();
        bench.block_on(hsm.generate(KeyType::P256)).unwrap();
    });
}

#[test]
fn generation_that_hangs_for_ever_does_not_stop_signing_for_ever() {
    alone(|bench| {
        let config = HsmConfig {
            deadline_ms: 500,
            admin_deadline_ms: 5_000,
            pause_for_admin: PauseForAdmin::Always,
            ..bench.faulty_config()
        };
        let hsm = Hsm::open(config, pin()).unwrap();
        let key = bench.key(&hsm, KeyType::P256);
        bench.faults("C_GenerateKeyPair hang 1");
        let error = refused(bench.block_on(hsm.generate(KeyType::P256)));
        assert!(matches!(error, HsmError::Deadline), "{error}");
        eventually("the pool signs beside it", || sign(&bench, &hsm, &key).is_ok());
        for _ in 0..20 {
            sign(&bench, &hsm, &key).unwrap();
        }
        bench.faults("release");
        eventually("keys can be made again", || {
            bench.block_on(hsm.generate(KeyType::P256)).is_ok()
        });
    });
}

#[test]
fn shutdown_ends_beside_a_hanging_call() {
    alone(|bench| {
        let config = HsmConfig { deadline_ms: 300, ..bench.faulty_config() };
        let hsm = Hsm::open(config, pin()).unwrap();
        let key = bench.key(&hsm, KeyType::P256);
        bench.faults("C_Sign hang 1");
        assert!(matches!(refused(sign(&bench, &hsm, &key)), HsmError::Deadline));
        let before = Instant::now();
        bench.block_on(hsm.shutdown());
        assert!(before.elapsed() < Duration::from_secs(10));
        assert!(matches!(refused(sign(&bench, &hsm, &key)), HsmError::ShutDown));
        assert!(matches!(refused(Hsm::open(bench.config(), pin())), HsmError::AlreadyOpen));
    });
}
