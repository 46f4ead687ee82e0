//! What the document says about each route of the native door.

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
    pub(super) needs_certificate: bool,
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
            parameters: vec![query("wait", "Seconds to wait for a change of state, at most 60")],
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
            parameters: vec![required(query("holder", "本人ID"))],
            ..answering::<Vec<wire::CredentialView>>("Credentials that this system may name")
        },
        Route::Info => answering::<wire::Info>("Versions, algorithms, limits"),
        Route::OpenApi => Description {
            answers: vec![ok("This document.", vec![any("application/json")])],
            ..with_certificate("This document")
        },
        Route::LoginPage => Description {
            parameters: vec![
                query("lang", "ja or en"),
                query("again", "How often the browser was sent here again for a new handshake"),
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
            ..for_anybody("The page of a login link, for a browser with a card")
        },
        Route::LoginForm => login_form(),
        Route::Admin => for_anybody("Operators' commands"),
        Route::Metrics => plain("Prometheus text exposition format"),
        Route::Health => plain("Whether the process answers"),
        Route::Readiness => plain("Whether signatures can be made now"),
    }
}

fn sign() -> Description {
    let session = "Signatures and seconds left: `signatures=49, seconds=28800`";
    Description {
        parameters: vec![
            query("level", "Signature level: B-B"),
            query("packaging", "detached (as it stands when left out) or attached"),
            query(
                "credential",
                "Which key; may be left out when the holder has exactly one usable",
            ),
            required(header("Signing-Session", "The signing token")),
            header("Content-Digest", "RFC 9530, sha-256 or sha-512: compared with the body"),
            header("Idempotency-Key", "The same again gives the same signature"),
            header("Document-Label", "What the document is called: UTF-8 or percent-encoded UTF-8"),
        ],
        request: vec![any("application/octet-stream"), any("*/*")],
        answers: vec![Answer {
            status: 200,
            summary: "CMS SignedData, DER: a CAdES signature.",
            headers: vec![
                ("Signature-Receipt", "Names the audit record"),
                ("Signing-Session-Remaining", session),
            ],
            bodies: vec![any("application/pkcs7-signature"), any("application/pkcs7-mime")],
        }],
        ..with_certificate("Signs a document of any size: the body is the document itself")
    }
}

fn sign_digests() -> Description {
    Description {
        parameters: vec![
            required(header("Signing-Session", "The signing token")),
            header("Idempotency-Key", "The same again gives the same signatures"),
        ],
        ..asking::<wire::SignDigests, wire::SignedDigests>(
            "Signs digests, or octets as they are where the registration allows it",
            200,
        )
    }
}

fn login_form() -> Description {
    Description {
        request: vec![any("application/x-www-form-urlencoded")],
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

fn with_certificate(summary: &'static str) -> Description {
    Description { needs_certificate: true, ..for_anybody(summary) }
}

fn for_anybody(summary: &'static str) -> Description {
    Description {
        summary,
        parameters: Vec::new(),
        request: Vec::new(),
        answers: Vec::new(),
        needs_certificate: false,
    }
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

fn query(name: &str, summary: &str) -> Value {
    json!({"name": name, "in": "query", "description": summary, "schema": {"type": "string"}})
}

fn header(name: &str, summary: &str) -> Value {
    json!({"name": name, "in": "header", "description": summary, "schema": {"type": "string"}})
}

fn required(mut parameter: Value) -> Value {
    if let Some(parameter) = parameter.as_object_mut() {
        parameter.insert("required".to_owned(), json!(true));
    }
    parameter
}
