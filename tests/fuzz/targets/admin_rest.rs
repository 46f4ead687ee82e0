//! Requests of the admin listener: `METHOD path?query`, a line break, the body.
#![no_main]

use api::admin::AdminCommand;
use api::admin::command_of;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let (head, body) = octets.split_at(octets.iter().position(|octet| *octet == b'\n').unwrap_or(0));
    let body = body.get(1..).unwrap_or_default();
    let Ok(head) = std::str::from_utf8(head) else { return };
    let (method, target) = head.split_once(' ').unwrap_or((head, ""));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let segments: Vec<&str> = path.split('/').collect();
    if let Ok(command) = command_of(method, &segments, query, body) {
        // Proposals are stored so until a second operator approves them.
        let stored = serde_json::to_vec(&command).expect("a command can be stored");
        let again: AdminCommand = serde_json::from_slice(&stored).expect("and read again");
        assert!(again == command, "as the same command");
    }
});
