//! What listeners and routes are called in logs and metrics.

use super::Listener;
use super::Route;

impl Listener {
    /// Its name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::Hpki => "hpki",
            Self::Jpki => "jpki",
            Self::Portal => "portal",
            Self::Admin => "admin",
            Self::Metrics => "metrics",
        }
    }
}

impl Route {
    /// Its name in logs and metrics, and its `operationId`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::OpenApi => "openapi",
            Self::CreateSession => "create_session",
            Self::Session => "session",
            Self::Activate => "activate",
            Self::EndSession => "end_session",
            Self::Credentials => "credentials",
            Self::Sign => "sign",
            Self::SignDigests => "sign_digests",
            Self::LoginPage => "login_page",
            Self::LoginForm => "login_form",
            Self::PortalIndex => "portal_index",
            Self::ChoicePage => "choice_page",
            Self::AskPhone => "ask_phone",
            Self::AskCard => "ask_card",
            Self::GoOn => "go_on",
            Self::ForgetSaved => "forget_saved",
            Self::Arrive => "arrive",
            Self::OwnPage => "own_page",
            Self::OwnAction => "own_action",
            Self::OwnSignIn => "own_sign_in",
            Self::OwnDevice => "own_device",
            Self::OwnDeviceRemove => "own_device_remove",
            Self::OwnSignatures => "own_signatures",
            Self::RememberWait => "remember_wait",
            Self::WaitPage => "wait_page",
            Self::WaitState => "wait_state",
            Self::ChangePhone => "change_phone",
            Self::AnswerChange => "answer_change",
            Self::PcPage => "pc_page",
            Self::PcOptions => "pc_options",
            Self::PcFinish => "pc_finish",
            Self::PcDeny => "pc_deny",
            Self::PhonePage => "phone_page",
            Self::PhoneOptions => "phone_options",
            Self::PhoneFinish => "phone_finish",
            Self::PhoneDeny => "phone_deny",
            Self::LetterPage => "letter_page",
            Self::LetterPassword => "letter_password",
            Self::LetterOptions => "letter_options",
            Self::LetterFinish => "letter_finish",
            Self::Script => "script",
            Self::EnrolPage => "enrol_page",
            Self::EnrolForm => "enrol_form",
            Self::EnrolKeyPage => "enrol_key_page",
            Self::EnrolKeyForm => "enrol_key_form",
            Self::EnrolStarted => "enrol_started",
            Self::ConfirmEnrolPage => "confirm_enrol_page",
            Self::ConfirmEnrolForm => "confirm_enrol_form",
            Self::LinkPage => "link_page",
            Self::LinkForm => "link_form",
            Self::LinkStarted => "link_started",
            Self::RememberLink => "remember_link",
            Self::LinkMeet => "link_meet",
            Self::LinkConfirm => "link_confirm",
            Self::Admin => "admin",
            Self::Metrics => "metrics",
            Self::Health => "health",
            Self::Readiness => "readiness",
        }
    }
}
