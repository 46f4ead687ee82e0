//! Every way to say no: stable code, status, whether a retry can help, and one public sentence in two languages.
//!
//! Status codes exist in this file only. Internal detail goes to the log and the audit record under the request id.

use serde::Deserialize;
use serde::Serialize;
use std::time::Duration;

macro_rules! codes {
    ($($variant:ident $name:literal $status:literal $retryable:literal $en:literal $ja:literal)+) => {
        /// The stable code of a problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Code {
            $(#[doc = $en] $variant,)+
        }

        impl Code {
            /// Every code, for the OpenAPI file and for tests.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code on the wire.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// Whether the same request may succeed later without any change.
            pub fn is_retryable(self) -> bool {
                match self { $(Self::$variant => $retryable,)+ }
            }

            /// The public sentence, English.
            pub fn title_en(self) -> &'static str {
                match self { $(Self::$variant => $en,)+ }
            }

            /// The public sentence, Japanese.
            pub fn title_ja(self) -> &'static str {
                match self { $(Self::$variant => $ja,)+ }
            }
        }
    };
}

codes! {
    MalformedRequest "malformed_request" 400 false
        "The request is not well formed." "リクエストの形式が正しくありません。"
    UnsupportedLevel "unsupported_level" 400 false
        "This signature level is not offered." "この署名レベルには対応していません。"
    NotPermitted "not_permitted" 403 false
        "This is not permitted." "この操作は許可されていません。"
    ClientUnknown "client_unknown" 403 false
        "This client certificate is not registered." "このクライアント証明書は登録されていません。"
    NotFound "not_found" 404 false
        "There is nothing under this address." "指定された宛先は存在しません。"
    MethodNotAllowed "method_not_allowed" 405 false
        "This method is not offered here." "このメソッドは利用できません。"
    UnsupportedMediaType "unsupported_media_type" 415 false
        "This content type is not accepted here." "このコンテンツタイプは受け付けられません。"
    MisdirectedRequest "misdirected_request" 421 false
        "This host name is not served here." "このホスト名は提供していません。"
    HeaderTooLarge "header_too_large" 431 false
        "The request header is too large." "リクエストヘッダーが大きすぎます。"
    RequestTimeout "request_timeout" 408 true
        "The request took too long to arrive." "リクエストの受信が時間内に完了しませんでした。"
    SessionUnknown "session_unknown" 404 false
        "There is no such session." "該当するセッションはありません。"
    SessionPending "session_pending" 409 true
        "The holder has not signed in yet." "本人の認証がまだ完了していません。"
    SessionEnded "session_ended" 401 false
        "The session has ended; ask the holder to sign in again." "セッションは終了しました。再度認証してください。"
    SessionExpired "session_expired" 401 false
        "The session has expired; ask the holder to sign in again." "セッションの有効期限が切れました。再度認証してください。"
    SessionExhausted "session_exhausted" 401 false
        "Every signature of the session is used; ask the holder to sign in again." "署名回数の上限に達しました。再度認証してください。"
    LoginDenied "login_denied" 403 false
        "The sign-in was denied." "認証が拒否されました。"
    FactorRefused "factor_refused" 403 false
        "This way to sign in is not accepted." "この認証方法は受け付けられません。"
    DigestNotAuthorized "digest_not_authorized" 403 false
        "This digest was not authorised." "このダイジェストは承認されていません。"
    HolderUnknown "holder_unknown" 404 false
        "There is no such holder." "該当する本人は登録されていません。"
    HolderDisabled "holder_disabled" 403 false
        "The holder is disabled." "この本人の利用は停止されています。"
    CredentialUnknown "credential_unknown" 404 false
        "There is no such credential." "該当する証明書はありません。"
    CredentialExpired "credential_expired" 409 false
        "The certificate is outside its validity." "証明書は有効期間外です。"
    CredentialRevoked "credential_revoked" 409 false
        "The certificate is revoked." "証明書は失効しています。"
    CredentialAmbiguous "credential_ambiguous" 409 false
        "The holder has several credentials; name one." "複数の証明書があります。1つを指定してください。"
    CredentialQuarantined "credential_quarantined" 409 false
        "The key is quarantined; an operator must look at it." "鍵は隔離されています。管理者の確認が必要です。"
    BodyTooLarge "body_too_large" 413 false
        "The body is too large." "本文が大きすぎます。"
    DigestMismatch "digest_mismatch" 422 false
        "The body does not match its Content-Digest." "本文が Content-Digest と一致しません。"
    IdempotencyConflict "idempotency_conflict" 422 false
        "The idempotency key was used for another request." "この冪等キーは別のリクエストで使用済みです。"
    IdempotencyRunning "idempotency_running" 409 true
        "The first request with this idempotency key is still running." "同じ冪等キーのリクエストが処理中です。"
    ProposalUnknown "proposal_unknown" 404 false
        "There is no such proposal." "該当する申請はありません。"
    Conflict "conflict" 409 false
        "This does not fit what is registered now." "現在の登録内容と合わないため、実行できません。"
    RateLimited "rate_limited" 429 true
        "Too many requests; wait and try again." "リクエストが多すぎます。しばらく待ってください。"
    HsmUnavailable "hsm_unavailable" 503 true
        "The HSM is not available; nothing was signed." "HSM を利用できません。署名は行われていません。"
    TimestampUnavailable "timestamp_unavailable" 503 true
        "No time stamp can be had; nothing was signed." "タイムスタンプを取得できません。署名は行われていません。"
    RevocationUnavailable "revocation_unavailable" 503 true
        "The revocation status cannot be determined." "失効状態を確認できません。"
    AuditUnavailable "audit_unavailable" 503 true
        "The audit log cannot be written; nothing was released." "監査ログに記録できません。署名は交付されていません。"
    NotOperational "not_operational" 503 true
        "The appliance is not operational." "装置は稼働状態ではありません。"
    Internal "internal" 500 false
        "An internal error; the request id leads to it." "内部エラーが発生しました。リクエスト ID でお問い合わせください。"
}

/// A refusal as it crosses the seam; the wire adds the request id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}", .code.name())]
pub struct Problem {
    /// What it is.
    pub code: Code,
    /// What exactly was wrong and what to do, for the peer; never a secret, never internal.
    pub detail: Option<String>,
    /// When a retry makes sense, whole seconds.
    pub retry_after_seconds: Option<u64>,
}

impl Problem {
    /// A problem that its code says all about.
    pub fn new(code: Code) -> Self {
        Self { code, detail: None, retry_after_seconds: None }
    }

    /// Too much was asked for: come back after `wait`.
    pub fn rate_limited(wait: Duration) -> Self {
        Self::new(Code::RateLimited).retry_after(wait)
    }

    /// Adds what exactly was wrong.
    pub fn with_detail(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: Some(detail.into()), retry_after_seconds: None }
    }

    /// Adds when to come back.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after_seconds = Some(wait.as_secs().max(1));
        self
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_name_of_each_code_is_its_serde_name() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.name());
        }
    }

    #[test]
    fn retryable_codes_are_never_the_callers_fault_for_good() {
        for code in Code::ALL.iter().filter(|code| code.is_retryable()) {
            assert!([408, 409, 429, 503].contains(&code.status()), "{}", code.name());
        }
    }
}
