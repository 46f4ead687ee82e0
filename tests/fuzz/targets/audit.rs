//! What `inkan audit verify` reads: frames, heads and records of segments, and checkpoints.
#![no_main]

use appliance::audit::Record;
use appliance::audit::SignedCheckpoint;
use appliance::audit::frame::frame_at;
use appliance::audit::frame::next_frame_after;
use appliance::audit::head::Head;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let mut offset = 0;
    while let Ok(Some(frame)) = frame_at(octets, offset) {
        assert!(frame.end() > offset && frame.end() <= octets.len(), "frames go forward");
        read(frame.record);
        offset = frame.end();
    }
    if let Some(frame) = next_frame_after(octets, 0) {
        assert!(frame.offset > 0);
    }
    // Past the check sum, which a fuzzer does not guess.
    read(octets);
    if let Ok(text) = std::str::from_utf8(octets) {
        let _ = text.parse::<SignedCheckpoint>().map(|checkpoint| checkpoint.verify(&[]));
    }
});

fn read(record: &[u8]) {
    let _ = Head::parse(record);
    if let Ok(record) = serde_json::from_slice::<Record>(record) {
        let written = serde_json::to_vec(&record).expect("what was read can be written");
        assert_eq!(serde_json::from_slice::<Record>(&written).ok(), Some(record));
    }
}
