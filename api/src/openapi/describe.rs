//! What the document says about each route of the native door.

use crate::door::sessions::LONGEST_WAIT_SECONDS;
use crate::door::sign::NAME_BYTES;
use crate::http::label::CHARACTERS;
use crate::routes::Route;
use crate::wire;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde_json::Value;
use serde_json::json;

/// One operation in words and types.
pub(super) struct Description {
    pub(super) summary: &'static str,
    pub(super) parameters: Vec<Value>,
    pub(super) request: Vec<Body>,
    pub(super) answers: Vec<Answer>,
    pub(super) refusals: Refusals,
    pub(super) needs_certificate: bool,
}

/// In what form a refusal is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusals {
    /// To programs.
    Problem,
    /// To people.
    Page,
}

/// A body of a media type.
pub(super) struct Body {
    pub(super) media_type: &'static str,
    /// `None`: any octets.
    pub(super) schema: Option<fn(&mut SchemaGenerator) -> Schema>,
}

/// An answer that is no problem.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) summary: &'static str,
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) bodies: Vec<Body>,
}

pub(super) fn describe(route: Route) -> Description {
    match route {
        Route::Sign => sign(),
        Route::SignDigests => sign_digests(),
        Route::CreateSession => asking::<wire::NewSession, wire::SessionCreated>(
            "Asks a holder to sign in; the answer has the link for the holder's browser",
            201,
        ),
        Route::Session => Description {
            parameters: vec![query(
                "wait",
                "Seconds to wait for a change of state",
                json!({"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT_SECONDS}),
            )],
            ..answering::<wire::SessionView>("Where a session stands")
        },
        Route::Activate => asking::<wire::Activate, wire::Activated>(
            "Exchanges the code that the holder's browser brought for a signing token",
            200,
        ),
        Route::EndSession => Description {
            answers: vec![Answer {
                status: 204,
                summary: "Over: nothing is released under it any more.",
                headers: Vec::new(),
                bodies: Vec::new(),
            }],
            ..with_certificate("Signs the holder out")
        },
        Route::Credentials => Description {
            parameters: vec![required(query("holder", "本人ID", json!({"type": "string"})))],
            ..answering::<Vec<wire::CredentialView>>("Credentials that this system may name")
        },
        Route::Info => answering::<wire::Info>("Versions, algorithms, limits"),
        Route::OpenApi => Description {
            answers: vec![ok("This document.", vec![any("application/json")])],
            ..with_certificate("This document")
        },
        Route::LoginPage => login_page(),
        Route::LoginForm => login_form(),
        Route::EnrolPage => page("The page on which a card registers a phone"),
        Route::EnrolForm => leading("What its form sends; the next page leads to the portal"),
        Route::EnrolKeyPage => page("The page on which a card registers a security key"),
        Route::EnrolKeyForm => leading("What its form sends; the next page leads to the portal"),
        Route::EnrolStarted => page("The page that leads to the portal"),
        Route::ConfirmEnrolPage => page("The page on which the same card confirms what was proved"),
        Route::ConfirmEnrolForm => page("What its form sends"),
        Route::LinkPage => page("The page on which an HPKI card registers a My Number card"),
        Route::LinkForm => {
            leading("What its form sends; the next page leads to the listener `jpki`")
        }
        Route::LinkStarted => page("The page that leads to the listener `jpki`"),
        Route::PortalIndex
        | Route::Script
        | Route::ChoicePage
        | Route::AskPhone
        | Route::AskCard
        | Route::GoOn
        | Route::ForgetSaved
        | Route::Arrive
        | Route::OwnPage
        | Route::OwnAction
        | Route::OwnSignIn
        | Route::OwnDevice
        | Route::OwnDeviceRemove
        | Route::OwnSignatures
        | Route::RememberWait
        | Route::WaitPage
        | Route::WaitState
        | Route::ChangePhone
        | Route::AnswerChange
        | Route::PcPage
        | Route::PcOptions
        | Route::PcFinish
        | Route::PcDeny
        | Route::PhonePage
        | Route::PhoneOptions
        | Route::PhoneFinish
        | Route::PhoneDeny
        | Route::LetterPage
        | Route::LetterPassword
        | Route::LetterOptions
        | Route::LetterFinish
        | Route::RememberLink
        | Route::LinkMeet
        | Route::LinkConfirm => for_anybody("For the portal's own pages"),
        Route::Admin => for_anybody("Operators' commands"),
        Route::Metrics => plain("Prometheus text exposition format"),
        Route::Health => yes_or_no("Whether the process answers"),
        Route::Readiness => yes_or_no("Whether signatures can be made now"),
    }
}

fn sign() -> Description {
    let name = |max: usize| json!({"type": "string", "minLength": 1, "maxLength": max});
    Description {
        parameters: vec![
            query("level", "Signature level", json!({"enum": ["B-B"]})),
            query("packaging", "detached when left out", json!({"enum": ["detached", "attached"]})),
            query(
                "credential",
                "Which key; may be left out when the holder has exactly one usable",
                json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,255}$"}),
            ),
            signing_session(),
            header(
                "Content-Digest",
                "RFC 9530, sha-256 or sha-512: compared with the body",
                json!({"type": "string", "pattern": CONTENT_DIGEST}),
            ),
            header("Idempotency-Key", "The same again gives the same signature", name(NAME_BYTES)),
            header(
                "Document-Label",
                "What the document is called: UTF-8 or percent-encoded UTF-8",
                json!({"type": "string", "maxLength": CHARACTERS}),
            ),
        ],
        request: vec![any("application/octet-stream"), any("*/*")],
        answers: vec![Answer {
            status: 200,
            summary: "CMS SignedData, DER: a CAdES signature.",
            headers: vec![("Signature-Receipt", "Names the audit record"), REMAINING],
            bodies: vec![any("application/pkcs7-signature"), any("application/pkcs7-mime")],
        }],
        ..with_certificate("Signs a document of any size: the body is the document itself")
    }
}

fn sign_digests() -> Description {
    let mut description = asking::<wire::SignDigests, wire::SignedDigests>(
        "Signs digests, or octets as they are where the registration allows it",
        200,
    );
    let name = json!({"type": "string", "minLength": 1, "maxLength": NAME_BYTES});
    description.parameters = vec![
        signing_session(),
        header("Idempotency-Key", "The same again gives the same signatures", name),
    ];
    for answer in &mut description.answers {
        answer.headers = vec![REMAINING];
    }
    description
}

fn signing_session() -> Value {
    let schema = json!({"type": "string", "minLength": 1, "maxLength": NAME_BYTES});
    required(header("Signing-Session", "The signing token", schema))
}

fn login_page() -> Description {
    Description {
        parameters: vec![
            query("lang", "Language", json!({"enum": ["ja", "en"]})),
            query(
                "again",
                "How often the browser was sent here again for a new handshake",
                json!({"type": "string"}),
            ),
        ],
        answers: vec![
            ok("The page.", vec![any("text/html")]),
            Answer {
                status: 303,
                summary: "To the same page, on a connection whose handshake is new.",
                headers: vec![("Location", "The page, with `again`")],
                bodies: Vec::new(),
            },
        ],
        refusals: Refusals::Page,
        ..for_anybody("The page of a login link, for a browser with a card")
    }
}

fn login_form() -> Description {
    Description {
        request: vec![Body {
            media_type: "application/x-www-form-urlencoded",
            schema: Some(SchemaGenerator::subschema_for::<LoginForm>),
        }],
        refusals: Refusals::Page,
        answers: vec![
            ok("Done or denied: a page.", vec![any("text/html")]),
            Answer {
                status: 303,
                summary: "Back to the signing system.",
                headers: vec![("Location", "The return URL with `code` and `state`")],
                bodies: Vec::new(),
            },
        ],
        ..for_anybody("The holder's decision")
    }
}

/// The form of `POST /login/{link}`, for the document only: it is read pair by pair.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "a description")]
struct LoginForm {
    /// The hidden field of the page.
    form_token: String,
    /// What the holder pressed.
    decision: Decision,
    /// The number on the asking screen, where the page asks for it.
    number: Option<String>,
    /// `en` when the page was English.
    lang: Option<String>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "a description")]
enum Decision {
    Approve,
    Deny,
}

fn asking<B: JsonSchema, A: JsonSchema>(summary: &'static str, status: u16) -> Description {
    let mut description = answering::<A>(summary);
    description.request = vec![json_of::<B>()];
    for answer in &mut description.answers {
        answer.status = status;
    }
    description
}

fn answering<A: JsonSchema>(summary: &'static str) -> Description {
    Description { answers: vec![ok("Done.", vec![json_of::<A>()])], ..with_certificate(summary) }
}

fn plain(summary: &'static str) -> Description {
    Description { answers: vec![ok("As text.", vec![any("text/plain")])], ..for_anybody(summary) }
}

fn yes_or_no(summary: &'static str) -> Description {
    let mut description = plain(summary);
    let no = Answer { status: 503, ..ok("No; what is missing.", vec![any("text/plain")]) };
    description.answers.push(no);
    description
}

fn with_certificate(summary: &'static str) -> Description {
    Description { needs_certificate: true, ..for_anybody(summary) }
}

fn for_anybody(summary: &'static str) -> Description {
    Description {
        summary,
        parameters: Vec::new(),
        request: Vec::new(),
        answers: Vec::new(),
        refusals: Refusals::Problem,
        needs_certificate: false,
    }
}

fn page(summary: &'static str) -> Description {
    Description {
        refusals: Refusals::Page,
        answers: vec![ok("The page.", vec![any("text/html")])],
        ..for_anybody(summary)
    }
}

fn leading(summary: &'static str) -> Description {
    let next = Answer {
        status: 303,
        summary: "On to the next page.",
        headers: vec![("Location", "The page"), ("Set-Cookie", "Its secret")],
        bodies: Vec::new(),
    };
    Description { answers: vec![next], ..page(summary) }
}

fn ok(summary: &'static str, bodies: Vec<Body>) -> Answer {
    Answer { status: 200, summary, headers: Vec::new(), bodies }
}

fn json_of<T: JsonSchema>() -> Body {
    Body { media_type: "application/json", schema: Some(SchemaGenerator::subschema_for::<T>) }
}

fn any(media_type: &'static str) -> Body {
    Body { media_type, schema: None }
}

fn query(name: &str, summary: &str, schema: Value) -> Value {
    json!({"name": name, "in": "query", "description": summary, "schema": schema})
}

fn header(name: &str, summary: &str, schema: Value) -> Value {
    json!({"name": name, "in": "header", "description": summary, "schema": schema})
}

fn required(mut parameter: Value) -> Value {
    if let Some(parameter) = parameter.as_object_mut() {
        parameter.insert("required".to_owned(), json!(true));
    }
    parameter
}

const REMAINING: (&str, &str) =
    ("Signing-Session-Remaining", "Signatures and seconds left: `signatures=49, seconds=28800`");
/// A dictionary with one byte sequence for each algorithm.
const CONTENT_DIGEST: &str = "^(sha-256=:[A-Za-z0-9+/]{43}=:|sha-512=:[A-Za-z0-9+/]{86}==:)$";
