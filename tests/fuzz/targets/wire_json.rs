//! Bodies of the native door: the strict JSON reader, then each type that a peer may send.
#![no_main]

use api::parse_strict_json;
use api::wire::Activate;
use api::wire::NewSession;
use api::wire::SignDigests;
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

fuzz_target!(|octets: &[u8]| {
    round_trip::<NewSession>(octets);
    round_trip::<SignDigests>(octets);
    round_trip::<Activate>(octets);
    if let Ok(value) = parse_strict_json::<Value>(octets) {
        assert!(depth(&value) <= 16, "deeper than the reader's limit");
    }
});

/// What is read can be written, and is then read as the same.
fn round_trip<T: Serialize + DeserializeOwned + PartialEq>(octets: &[u8]) {
    if let Ok(request) = parse_strict_json::<T>(octets) {
        let written = serde_json::to_vec(&request).expect("what was read can be written");
        assert!(parse_strict_json::<T>(&written).is_ok_and(|again| again == request));
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
