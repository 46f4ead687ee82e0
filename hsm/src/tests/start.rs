//! Start: module, token, PIN.

use crate::Hsm;
use crate::HsmConfig;
use crate::HsmError;
use crate::HsmState;
use crate::PinState;
use crate::TokenSelector;
use crate::tests::alone;
use crate::tests::bench::LABEL;
use crate::tests::bench::init_token;
use crate::tests::bench::pin;
use crate::tests::bench::refused;
use secrecy::SecretString;
use std::path::PathBuf;

#[test]
fn wrong_pin_is_tried_once_and_named() {
    alone(|bench| {
        let mut config = bench.faulty_config();
        config.start_attempts = 5;
        let error = refused(Hsm::open(config, SecretString::from("wrong-pin")));
        assert!(matches!(error, HsmError::PinRefused(_)), "{error}");
        assert!(error.to_string().contains("C_Login returned CKR_PIN_INCORRECT"), "{error}");
        assert!(!error.to_string().contains("wrong-pin"));
        assert_eq!(bench.count("C_Login"), 1);
        assert_eq!(bench.count("C_Finalize"), 1, "the module was not closed");
    });
}

#[test]
fn locked_pin_is_named() {
    alone(|bench| {
        bench.faults("C_Login CKR_PIN_LOCKED");
        let error = refused(Hsm::open(bench.faulty_config(), pin()));
        assert!(matches!(error, HsmError::PinLocked), "{error}");
        assert_eq!(bench.count("C_Login"), 1);
    });
}

/// Some modules say CKR_FUNCTION_FAILED of a wrong PIN: what the token counts tells.
#[test]
fn pin_whose_refusal_goes_by_another_name_is_tried_once() {
    alone(|bench| {
        let config = HsmConfig { start_attempts: 3, ..bench.faulty_config() };
        bench.faults("C_Login CKR_FUNCTION_FAILED\nC_GetTokenInfo flags 0x10000");
        let error = refused(Hsm::open(config.clone(), pin()));
        assert!(matches!(error, HsmError::PinRefused(_)), "{error}");
        assert_eq!(bench.count("C_Login"), 1);

        // Where the token counts nothing the login failed for another reason.
        bench.forget_calls();
        bench.faults("C_Login CKR_FUNCTION_FAILED 2");
        Hsm::open(config, pin()).unwrap();
        assert_eq!(bench.count("C_Login"), 3);
    });
}

#[test]
fn pin_is_not_presented_when_the_token_warns_of_the_last_try() {
    alone(|bench| {
        // CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED
        bench.faults("C_GetTokenInfo flags 0x20000");
        let error = refused(Hsm::open(bench.faulty_config(), pin()));
        assert!(matches!(error, HsmError::PinFinalTry), "{error}");
        bench.faults("C_GetTokenInfo flags 0x40000");
        let error = refused(Hsm::open(bench.faulty_config(), pin()));
        assert!(matches!(error, HsmError::PinLocked), "{error}");
        assert_eq!(bench.count("C_Login"), 0);
    });
}

#[test]
fn missing_token_is_named_with_those_present() {
    alone(|bench| {
        let config = HsmConfig { token: TokenSelector::Label("other".into()), ..bench.config() };
        let error = refused(Hsm::open(config, pin())).to_string();
        assert!(error.contains("\"other\"") && error.contains(LABEL), "{error}");
    });
}

#[test]
fn two_tokens_of_one_label_are_refused_and_told_apart_by_serial() {
    alone(|bench| {
        let hsm = bench.open();
        let serial = hsm.status().token.serial;
        bench.block_on(hsm.shutdown());
        init_token(&bench.dir, LABEL);

        let error = refused(Hsm::open(bench.config(), pin()));
        assert!(matches!(error, HsmError::TokenAmbiguous { count: 2, .. }), "{error}");

        let config = HsmConfig { token: TokenSelector::Serial(serial.clone()), ..bench.config() };
        let hsm = Hsm::open(config, pin()).unwrap();
        assert_eq!(hsm.status().token.serial, serial);
    });
}

#[test]
fn start_is_tried_again_within_its_bound() {
    alone(|bench| {
        bench.faults("C_Initialize CKR_GENERAL_ERROR 2");
        let error =
            refused(Hsm::open(HsmConfig { start_attempts: 2, ..bench.faulty_config() }, pin()));
        assert!(error.to_string().contains("C_Initialize returned CKR_GENERAL_ERROR"), "{error}");

        bench.faults("C_Initialize CKR_GENERAL_ERROR 2\n");
        let config = HsmConfig { start_attempts: 3, ..bench.faulty_config() };
        let hsm = Hsm::open(config, pin()).unwrap();
        assert_eq!(hsm.status().state, HsmState::Serving);
    });
}

#[test]
fn file_that_is_no_module_is_refused() {
    alone(|bench| {
        for path in ["/nonexistent/module.so", "/usr/lib/x86_64-linux-gnu/libm.so.6", "/etc/passwd"]
        {
            let config = HsmConfig { module: PathBuf::from(path), ..bench.config() };
            let error = refused(Hsm::open(config, pin()));
            assert!(matches!(error, HsmError::ModuleLoad { .. }), "{path}: {error}");
        }
    });
}

#[test]
fn one_process_opens_one_module_and_can_open_it_again_after_shutdown() {
    alone(|bench| {
        let hsm = bench.open();
        assert!(matches!(refused(Hsm::open(bench.config(), pin())), HsmError::AlreadyOpen));
        bench.block_on(hsm.shutdown());
        assert_eq!(hsm.status().state, HsmState::ShutDown);
        let again = bench.open();
        assert_eq!(again.status().state, HsmState::Serving);
    });
}

#[test]
fn status_names_token_and_sessions() {
    alone(|bench| {
        let hsm = bench.open();
        let status = hsm.status();
        assert_eq!(status.token.label, LABEL);
        assert!(status.token.module.starts_with("SoftHSM"), "{}", status.token.module);
        assert_eq!(status.token.firmware, "2.6");
        assert_eq!(status.pin, PinState::Accepted);
        assert_eq!((status.sessions_live, status.sessions_hung), (4, 0));
        assert_eq!((status.queue_depth, status.queue_capacity), (0, 256));
    });
}

#[test]
fn fingerprint_is_that_of_the_file() {
    alone(|bench| {
        let module = bench.config().module;
        let output = std::process::Command::new("sha256sum").arg(&module).output().unwrap();
        let expected = String::from_utf8(output.stdout).unwrap();
        let fingerprint = hex::encode(crate::module_fingerprint(&module).unwrap());
        assert_eq!(expected.split(' ').next(), Some(fingerprint.as_str()));
        assert!(crate::module_fingerprint(&bench.dir.join("none")).is_err());
    });
}
