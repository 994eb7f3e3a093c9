//! What a process has used, from `/proc`.

use std::time::Duration;

/// CPU time of a process since its start, user and system; the kernel counts in ticks of some 10 ms.
pub fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a running process");
    // The second field is the name in parentheses, which may hold anything.
    let (_, rest) = stat.rsplit_once(')').expect("a name in parentheses");
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks: u64 = [11, 12]
        .iter()
        .map(|at: &usize| fields[*at].parse::<u64>().expect("ticks"))
        .sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// Resident memory of a process in MiB: now, and at most since its start.
pub fn memory(pid: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let field = |name: &str| -> u64 {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .expect("a field");
        line.split_whitespace()
            .next()
            .and_then(|number| number.parse().ok())
            .expect("kilobytes")
    };
    (field("VmRSS:") / 1024, field("VmHWM:") / 1024)
}
