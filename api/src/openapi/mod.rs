//! The OpenAPI 3.1 document, made from the types of the wire and the tables of routes: `/v1/openapi.json`.

mod describe;

use crate::admin::answer::ProposedView;
use crate::admin::check::FINGERPRINT;
use crate::admin::check::ID;
use crate::admin::check::MAX_AUDIT_RECORDS;
use crate::admin::rest;
use crate::http::answer::ProblemDocument;
use crate::routes::Listener;
use crate::routes::ROUTES;
use describe::Body;
use describe::Description;
use describe::Refusals;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use std::sync::LazyLock;

static DOCUMENT: LazyLock<Value> = LazyLock::new(build);

/// The document, the same for as long as the process runs.
pub fn document() -> &'static Value {
    &DOCUMENT
}

fn build() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for entry in ROUTES.iter().filter(|entry| entry.is_described()) {
        let mut operation = operation(&describe::describe(entry.route), &mut schemas);
        put(&mut operation, "operationId", json!(entry.route.name()));
        put(&mut operation, "tags", json!([entry.listener.name()]));
        let parameters = parameters(entry.path, operation.get("parameters"));
        put(&mut operation, "parameters", parameters);
        add(&mut paths, entry.path, entry.method, operation);
    }
    for route in rest::ROUTES {
        let path = format!("{}{}", rest::PREFIX, route.path);
        add(&mut paths, &path, route.method, admin_operation(route, &path, &mut schemas));
    }
    let problem = schemas.subschema_for::<ProblemDocument>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Inkan",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "HSM-backed signatures for medical professionals. Signing systems use the listener \
                `signing`, operators the listener `admin`, browsers with a card `hpki` (and with a My Number card, \
                by the same paths, `jpki`), monitoring `metrics`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "responses": {
                "Problem": {
                    "description": "Refused: `code` says why, `retryable` whether to try again.",
                    "headers": {
                        "Request-Id": {"schema": {"type": "string"}},
                        "Retry-After": {"schema": {"type": "integer"}},
                    },
                    "content": {"application/problem+json": {"schema": problem}},
                },
                "Page": {
                    "description": "Refused: the page says why, and what to do.",
                    "headers": {"Request-Id": {"schema": {"type": "string"}}},
                    "content": {"text/html": {}},
                },
            },
            "securitySchemes": {
                "mutualTLS": {"type": "mutualTLS", "description": "A registered client certificate."},
            },
        },
    })
}

fn operation(description: &Description, schemas: &mut SchemaGenerator) -> Map<String, Value> {
    let mut responses = refusals(match description.refusals {
        Refusals::Problem => "Problem",
        Refusals::Page => "Page",
    });
    for answer in &description.answers {
        let mut response = Map::new();
        put(&mut response, "description", json!(answer.summary));
        if !answer.headers.is_empty() {
            let headers = answer.headers.iter().map(|(name, summary)| {
                let header = json!({"description": summary, "schema": {"type": "string"}});
                ((*name).to_owned(), header)
            });
            put(&mut response, "headers", Value::Object(headers.collect()));
        }
        if !answer.bodies.is_empty() {
            put(&mut response, "content", content(&answer.bodies, schemas));
        }
        put(&mut responses, &answer.status.to_string(), Value::Object(response));
    }
    let mut operation = Map::new();
    put(&mut operation, "summary", json!(description.summary));
    put(&mut operation, "responses", Value::Object(responses));
    if !description.parameters.is_empty() {
        put(&mut operation, "parameters", json!(description.parameters));
    }
    if !description.request.is_empty() {
        let content = content(&description.request, schemas);
        put(&mut operation, "requestBody", json!({"required": true, "content": content}));
    }
    if description.needs_certificate {
        put(&mut operation, "security", json!([{"mutualTLS": []}]));
    }
    operation
}

fn admin_operation(
    route: &rest::Route,
    path: &str,
    schemas: &mut SchemaGenerator,
) -> Map<String, Value> {
    let mut responses = refusals("Problem");
    let answer = json!({"application/json": {"schema": (route.answer)(schemas)}});
    put(&mut responses, "200", json!({"description": "Done.", "content": answer.clone()}));
    if route.method == "POST" && route.body.is_some() {
        put(&mut responses, "201", json!({"description": "Made.", "content": answer}));
    }
    if route.may_be_proposed {
        let proposed = schemas.subschema_for::<ProposedView>();
        let proposed = json!({"application/json": {"schema": proposed}});
        let summary = "Waits for a second operator; nothing has changed.";
        put(&mut responses, "202", json!({"description": summary, "content": proposed}));
    }
    let mut operation = Map::new();
    let name = path.trim_start_matches(rest::PREFIX).replace(['{', '}'], "");
    let name = name.replace(['/', '-'], "_");
    let method = route.method.to_lowercase();
    put(&mut operation, "operationId", json!(format!("admin_{method}{name}")));
    put(&mut operation, "summary", json!(route.summary));
    put(&mut operation, "tags", json!([Listener::Admin.name()]));
    let query = route.query.iter().map(
        |name| json!({"name": name, "in": "query", "required": false, "schema": schema_of(name)}),
    );
    let query = Value::Array(query.collect());
    put(&mut operation, "parameters", parameters(path, Some(&query)));
    if let Some(body) = route.body {
        let content = json!({"application/json": {"schema": body(schemas)}});
        put(&mut operation, "requestBody", json!({"required": true, "content": content}));
    }
    put(&mut operation, "responses", Value::Object(responses));
    put(&mut operation, "security", json!([{"mutualTLS": []}]));
    operation
}

fn refusals(form: &str) -> Map<String, Value> {
    let refusal = json!({"$ref": format!("#/components/responses/{form}")});
    ["4XX", "5XX"].map(|class| (class.to_owned(), refusal.clone())).into_iter().collect()
}

fn content(bodies: &[Body], schemas: &mut SchemaGenerator) -> Value {
    let content = bodies.iter().map(|body| {
        let media = match body.schema {
            Some(schema) => json!({"schema": schema(schemas)}),
            None => json!({}),
        };
        (body.media_type.to_owned(), media)
    });
    Value::Object(content.collect())
}

/// The names in a path, then what else is given.
fn parameters(path: &str, more: Option<&Value>) -> Value {
    let names = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let mut all: Vec<Value> = names
        .map(
            |name| json!({"name": name, "in": "path", "required": true, "schema": schema_of(name)}),
        )
        .collect();
    all.extend(more.and_then(Value::as_array).cloned().unwrap_or_default());
    Value::Array(all)
}

/// What a name in a path, or a filter of operators, must look like.
fn schema_of(name: &str) -> Value {
    match name {
        "since" | "until" | "from" => json!({"type": "integer", "minimum": 0}),
        "limit" => json!({"type": "integer", "minimum": 1, "maximum": MAX_AUDIT_RECORDS}),
        "card" | "fingerprint" => json!({"type": "string", "pattern": FINGERPRINT}),
        "purpose" => json!({"enum": ["hpki_card", "second_certificate"]}),
        "link" => json!({"type": "string", "pattern": "^[A-Za-z0-9._~-]+$"}),
        _ => json!({"type": "string", "pattern": ID}),
    }
}

fn add(paths: &mut Map<String, Value>, path: &str, method: &str, operation: Map<String, Value>) {
    let item = paths.entry(path).or_insert_with(|| json!({}));
    if let Some(item) = item.as_object_mut() {
        item.insert(method.to_lowercase(), Value::Object(operation));
    }
}

fn put(into: &mut Map<String, Value>, name: &str, value: Value) {
    into.insert(name.to_owned(), value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn described() -> BTreeSet<(String, String)> {
        let paths = document()["paths"].as_object().unwrap();
        let operations = paths.iter().flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone()))
        });
        operations.collect()
    }

    #[test]
    fn document_has_the_routes_of_the_tables_and_no_others() {
        let native = ROUTES.iter().filter(|entry| entry.is_described());
        let native = native.map(|entry| (entry.method.to_owned(), entry.path.to_owned()));
        let admin = rest::ROUTES
            .iter()
            .map(|route| (route.method.to_owned(), format!("{}{}", rest::PREFIX, route.path)));
        assert_eq!(described(), native.chain(admin).collect());
    }

    #[test]
    fn operation_ids_are_unique() {
        let paths = document()["paths"].as_object().unwrap();
        let operations = paths.values().flat_map(|item| item.as_object().unwrap().values());
        let ids: Vec<_> = operations.map(|op| op["operationId"].as_str().unwrap()).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut references = 0;
        each(document, &mut |value| {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                references += 1;
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
        });
        assert!(references > 20);
    }

    #[test]
    fn request_types_refuse_unknown_names_in_the_document_too() {
        for name in ["NewSession", "Activate", "SignDigests", "DigestItem"] {
            let schema = &document()["components"]["schemas"][name];
            assert_eq!(schema["additionalProperties"], false, "{name}");
        }
    }

    #[test]
    fn refusals_are_told_in_the_form_of_their_listener() {
        let responses = |path: &str, method: &str| &document()["paths"][path][method]["responses"];
        let problem = json!({"$ref": "#/components/responses/Problem"});
        let page = json!({"$ref": "#/components/responses/Page"});
        assert_eq!(responses("/v1/sign", "post")["4XX"], problem);
        assert_eq!(responses("/admin/v1/status", "get")["5XX"], problem);
        assert_eq!(responses("/login/{link}", "get")["4XX"], page);
        assert_eq!(responses("/login/{link}", "post")["4XX"], page);
        for path in ["/healthz", "/readyz"] {
            assert!(responses(path, "get")["503"]["content"]["text/plain"].is_object());
        }
    }

    #[test]
    fn both_ways_to_sign_say_what_remains() {
        for path in ["/v1/sign", "/v1/sign/digest"] {
            let answer = &document()["paths"][path]["post"]["responses"]["200"];
            assert!(answer["headers"]["Signing-Session-Remaining"].is_object(), "{path}");
        }
    }

    #[test]
    fn every_code_stands_in_the_document() {
        let code = document()["components"]["schemas"]["Code"].to_string();
        for known in crate::problem::Code::ALL {
            assert!(code.contains(&format!("\"{}\"", known.name())), "{}", known.name());
        }
    }

    fn each(value: &Value, visit: &mut impl FnMut(&Value)) {
        visit(value);
        match value {
            Value::Array(items) => items.iter().for_each(|item| each(item, visit)),
            Value::Object(members) => members.values().for_each(|member| each(member, visit)),
            _ => {}
        }
    }
}
