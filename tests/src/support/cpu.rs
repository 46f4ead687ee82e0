//! What a process has used, from `/proc`.

use std::time::Duration;

/// User and system time of process `pid`, all threads, since its start. Resolution: one clock tick (10 ms).
pub fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a running process");
    // The name may hold spaces and parentheses: fields are counted behind its end (proc(5)).
    let (_, fields) = stat.rsplit_once(") ").expect("stat");
    let ticks =
        fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks"));
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// Resident memory of process `pid`, octets.
pub fn resident_bytes(pid: u32) -> u64 {
    status_kilobytes(pid, "VmRSS:") * 1024
}

/// The most resident memory that process `pid` ever had, octets.
pub fn peak_resident_bytes(pid: u32) -> u64 {
    status_kilobytes(pid, "VmHWM:") * 1024
}

fn status_kilobytes(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the line");
    line.trim().trim_end_matches(" kB").parse().expect("kilobytes")
}
