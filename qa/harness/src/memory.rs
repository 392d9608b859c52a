//! Memory usage of processes.

/// Returns the value in KiB of a field of `/proc/PID/status`, such as `VmRSS`, or `None` if the process has exited.
pub fn memory_kib(pid: u32, field: &str) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    value.trim().trim_end_matches(" kB").parse().ok()
}
