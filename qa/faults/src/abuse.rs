//! Attack on the edge proxy: sends requests that the proxy must reject, then holds thousands of connections open with
//! requests that never complete, and measures regular clients with and without the attack.
//!
//! `gaps` sends the forbidden requests, `attackers` holds connections open, and `regular` runs the measured clients.

mod attackers;
mod gaps;
mod regular;

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{interval, timeout};

use crate::Run;
use crate::report::Journal;
use crate::system::System;
use crate::system::edge::Edge;
use attackers::{ATTACKS, Attack, Attackers, Holds};
use regular::{Measured, RegularClients};

/// Duration of each measurement. Longer than HAProxy's timeouts for headers and body, which are 10 s.
const PERIOD: Duration = Duration::from_secs(20);
/// Maximum time for which a connection may stay open: HAProxy's timeout of 10 s, plus tolerance for a busy machine.
const MAX_HOLD: Duration = Duration::from_secs(15);
/// Maximum ratio of the latency with an attack to the latency without one.
const MAX_LATENCY_RATIO: f64 = 2.0;
/// Interval at which the memory usage of all processes is sampled.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Maximum memory growth of one process in MiB: 2,000 connections, each with a 16 KiB buffer per direction.
const MAX_GROWTH: u32 = 64;
/// Maximum number of bytes of an endless body that may be accepted: 64 KiB, plus buffers along the path.
const MAX_SENT: usize = 8_000_000;

/// Runs the attack, checks its effect on regular clients, and stops the system.
pub(crate) async fn run(run: &Run, edge: &Edge, lenient: bool) -> Result<()> {
    let Run { journal, length, interrupted, .. } = run;
    let system = System::start_balanced(run, edge).await?;
    journal.begin();
    let sent = gaps::send_forbidden_requests(&system, journal).await?;
    journal.log(format_args!("{sent} forbidden requests sent"));
    let closed = gaps::exceed_connection_limit(&system, journal).await?;
    journal.log(format_args!("connections above the limit per address closed: {closed}"));
    let regular = RegularClients::log_in(&system.targets()).await?;
    // Warm up, because the first requests open database connections.
    regular.measure(PERIOD / 4, &mut Measured::default()).await;
    let (mut quiet, mut attacked, mut holds) = <(Measured, Measured, _)>::default();
    let processes = system.processes().await.into_iter();
    let mut memory =
        Vec::from_iter(processes.map(|(name, pid)| Memory { name, pid, before: resident_mib(pid), peak: 0 }));
    for period in 1.. {
        regular.measure(PERIOD, &mut quiet).await;
        let mut attackers = Attackers::start(&system.public[..2]);
        timeout(PERIOD, attackers.arrivals.recv()).await.context("not all attackers can connect")?;
        tokio::select! {
            () = regular.measure(PERIOD, &mut attacked) => {}
            never = watch(&mut memory) => match never {},
        }
        attackers.stop(&mut holds).await;
        journal.log(format_args!("{period} periods of {} s with an attack", PERIOD.as_secs()));
        if journal.elapsed() + 2 * PERIOD >= *length || *interrupted.borrow() {
            break;
        }
    }
    system.stop().await?;
    check_regular_clients(journal, quiet, attacked, lenient);
    check_holds(journal, &holds);
    check_memory(journal, &memory);
    Ok(())
}

/// Checks that regular clients receive all responses, and that latency does not increase too much under attack.
fn check_regular_clients(journal: &Journal, mut quiet: Measured, attacked: Measured, lenient: bool) {
    for failure in quiet.failures.iter().chain(&attacked.failures) {
        journal.violation(format_args!("request of a regular client failed: {failure}"));
    }
    for (operation, mut attacked) in attacked.latencies {
        let mut quiet = quiet.latencies.remove(operation).unwrap_or_default();
        let (without, with) = (quiet.len(), attacked.len());
        journal.summary_line(format_args!("{operation}, {without} requests without and {with} with the attack"));
        for (quantile, percent) in [("median", 50), ("p99", 99)] {
            let [without, with] = [&mut quiet, &mut attacked]
                .map(|latencies| regular::quantile(latencies, percent).unwrap_or_default().as_secs_f64() * 1e3);
            let ratio = with / without;
            journal.summary_line(format_args!(
                "  {quantile} {without:.1} ms without, {with:.1} ms with, ratio {ratio:.2}"
            ));
            if !lenient && percent == 99 && ratio >= MAX_LATENCY_RATIO {
                journal.violation(format_args!(
                    "{operation}: p99 is more than {MAX_LATENCY_RATIO} times that without the attack"
                ));
            }
        }
    }
}

/// Checks that the edge proxy closes the attackers' connections in time.
fn check_holds(journal: &Journal, holds: &[Holds; ATTACKS.len()]) {
    for (Attack { name, .. }, holds) in ATTACKS.iter().zip(holds) {
        let Holds { opened, cut, longest, most_sent } = holds;
        let longest_seconds = longest.as_secs_f64();
        journal.summary_line(format_args!(
            "{name}: {opened} connections opened, {cut} closed by the server, held for at most {longest_seconds:.1} s, at most \
             {most_sent} bytes accepted"
        ));
        if *cut == 0 || *longest > MAX_HOLD {
            let seconds = MAX_HOLD.as_secs();
            journal.violation(format_args!("{name}: a connection can be held open for longer than {seconds} s"));
        }
        if *most_sent > MAX_SENT {
            journal.violation(format_args!("{name}: more than {MAX_SENT} bytes of an endless body are accepted"));
        }
    }
}

/// Checks that the memory usage of no process grows too much during an attack or from one attack to the next.
fn check_memory(journal: &Journal, memory: &[Memory]) {
    for Memory { name, before, peak, .. } in memory {
        journal.summary_line(format_args!(
            "memory of {name}: {before} MiB before the first attack, at most {peak} MiB later"
        ));
        if *peak > before + MAX_GROWTH {
            journal.violation(format_args!("{name} grows by more than {MAX_GROWTH} MiB"));
        }
    }
}

/// Resident memory of a process, in MiB.
struct Memory {
    name: String,
    pid: u32,
    before: u32,
    /// Maximum after the first attack started.
    peak: u32,
}

/// Samples the memory usage until the value is dropped.
async fn watch(processes: &mut [Memory]) -> std::convert::Infallible {
    let mut ticks = interval(POLL_INTERVAL);
    loop {
        ticks.tick().await;
        for process in &mut *processes {
            process.peak = resident_mib(process.pid).max(process.peak);
        }
    }
}

/// Returns the resident memory of a process in MiB, or 0 if the process has exited.
fn resident_mib(pid: u32) -> u32 {
    harness::memory_kib(pid, "VmRSS").unwrap_or_default() / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_process_has_memory_and_exited_one_has_none() {
        assert!(resident_mib(std::process::id()) > 1);
        assert_eq!(resident_mib(u32::MAX), 0);
    }
}
