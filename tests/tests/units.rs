//! The service's fence cannot silently fall: its exposure score is measured where systemd is at hand.

use std::path::Path;
use std::process::Command;

/// Exposure times ten, as `--threshold` counts it: 1.0.
const THRESHOLD: &str = "10";

#[test]
fn exposure_of_the_service_is_at_most_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let unit = root.join("systemd/inkan.service");
    let analyze = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", "--threshold", THRESHOLD])
        .arg(&unit)
        .output();
    let Ok(analyze) = analyze else {
        println!("skipped: no systemd-analyze here");
        return;
    };
    let report = String::from_utf8_lossy(&analyze.stdout);
    assert!(analyze.status.success(), "{report}");
    assert!(report.contains("Overall exposure level"), "{report}");
}

#[test]
fn every_socket_has_a_name_that_the_daemon_knows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root.join("systemd")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "socket") {
            let text = std::fs::read_to_string(&path).unwrap();
            let name = text.lines().find_map(|line| line.strip_prefix("FileDescriptorName="));
            names.push(name.unwrap().to_owned());
        }
    }
    names.sort();
    assert_eq!(names, ["admin", "hpki", "jpki", "metrics", "portal", "signing"]);
}

#[test]
fn sockets_listen_on_the_ports_that_the_example_and_so_the_doctor_look_for() {
    let example: toml::Table = appliance::config::EXAMPLE.parse().unwrap();
    let units = [
        ("signing", ""),
        ("hpki", "-hpki"),
        ("jpki", "-jpki"),
        ("portal", "-portal"),
        ("admin", "-admin"),
        ("metrics", "-metrics"),
    ];
    for (listener, suffix) in units {
        let unit = format!("{}/../systemd/inkan{suffix}.socket", env!("CARGO_MANIFEST_DIR"));
        let unit = std::fs::read_to_string(unit).unwrap();
        let stream = unit.lines().find_map(|line| line.strip_prefix("ListenStream=")).unwrap();
        let address = example["listeners"][listener]["address"].as_str().unwrap();
        let port = |text: &str| text.rsplit(':').next().unwrap().to_owned();
        assert_eq!(port(stream), port(address), "{listener}");
        assert!(unit.contains(&format!("FileDescriptorName={listener}\n")), "{listener}");
    }
}
