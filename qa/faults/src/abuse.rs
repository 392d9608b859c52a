//! The attack on the edge proxy: what must not get in is tried, then thousands of connections are held open by senders who never
//! finish, and others, who only want to be served, are measured with and without them.
//!
//! `gaps` is what must not get in, `attackers` hold the connections, `others` are measured.

mod attackers;
mod gaps;
mod others;

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{interval, timeout};

use crate::Run;
use crate::report::Journal;
use crate::system::System;
use crate::system::edge::Edge;
use attackers::{ATTACKS, Attack, Attackers, Fate};
use others::{Others, Served};

/// How long others are measured without an attack, and as long with one. Longer than the limits of HAProxy.
const PERIOD: Duration = Duration::from_secs(20);
/// The limits of HAProxy are 10 s; the rest is for a machine that is busy.
const LONGEST_HOLD: Duration = Duration::from_secs(15);
/// As many times as slow as without an attack.
const SLOWER_AT_MOST: f64 = 2.0;
/// Between two looks at the memory of all processes.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// What one process may grow by, in MiB: 2,000 connections with 16 KiB for each direction.
const GROWTH: u64 = 64;
/// What one sender of a body without end may get rid of, in bytes: 64 KiB, and what lies in the buffers on the way.
const SENT_AT_MOST: usize = 8_000_000;

/// Runs the system and checks what others noticed. Nothing runs afterwards.
pub(crate) async fn run(run: &Run, edge: &Edge, lenient: bool) -> Result<()> {
    let Run { journal, length, interrupted, .. } = run;
    let system = System::start_balanced(run, edge).await?;
    journal.begin();
    let tried = gaps::look(&system, journal).await?;
    journal.log(format_args!("{tried} requests that must not get in: tried"));
    let closed = gaps::open_more_than_one_address_may(&system, journal).await?;
    journal.log(format_args!("connections of one address closed as they came: {closed}"));
    let others = Others::log_in(&system.targets()).await?;
    // The first requests open connections to the database.
    others.ask_for(PERIOD / 4, &mut Served::default()).await;
    let (mut quiet, mut attacked, mut fates) = <(Served, Served, _)>::default();
    let processes = system.processes().await.into_iter();
    let mut memory = Vec::from_iter(processes.map(|(name, pid)| Memory { name, pid, before: resident(pid), most: 0 }));
    for period in 1.. {
        others.ask_for(PERIOD, &mut quiet).await;
        let mut attackers = Attackers::start(&system.public[..2]);
        timeout(PERIOD, attackers.arrivals.recv()).await.context("the attackers cannot all connect")?;
        tokio::select! {
            () = others.ask_for(PERIOD, &mut attacked) => {}
            never = watch(&mut memory) => match never {},
        }
        attackers.stop(&mut fates).await;
        journal.log(format_args!("{period} periods of {} s with an attack", PERIOD.as_secs()));
        if journal.elapsed() + 2 * PERIOD >= *length || *interrupted.borrow() {
            break;
        }
    }
    system.stop().await?;
    check_service(journal, quiet, attacked, lenient);
    check_holds(journal, &fates);
    check_memory(journal, &memory);
    Ok(())
}

/// Nobody is refused, and nobody waits much longer.
fn check_service(journal: &Journal, mut quiet: Served, attacked: Served, lenient: bool) {
    for failure in quiet.failures.iter().chain(&attacked.failures) {
        journal.violation(format_args!("not served: {failure}"));
    }
    for (operation, mut attacked) in attacked.latencies {
        let mut quiet = quiet.latencies.remove(operation).unwrap_or_default();
        journal.figure(format_args!("{operation}, {} without and {} with the attack", quiet.len(), attacked.len()));
        for (quantile, percent) in [("median", 50), ("p99", 99)] {
            let [without, with] = [&mut quiet, &mut attacked]
                .map(|latencies| others::quantile(latencies, percent).unwrap_or_default().as_secs_f64() * 1e3);
            let ratio = with / without;
            journal.figure(format_args!("  {quantile} {without:.1} ms without, {with:.1} ms with, ratio {ratio:.2}"));
            if !lenient && percent == 99 && ratio >= SLOWER_AT_MOST {
                journal.violation(format_args!(
                    "{operation}: more than {SLOWER_AT_MOST} times as slow as without the attack"
                ));
            }
        }
    }
}

/// No connection is held for long.
fn check_holds(journal: &Journal, fates: &[Fate; ATTACKS.len()]) {
    for (Attack { name, .. }, fate) in ATTACKS.iter().zip(fates) {
        let Fate { opened, cut, longest, most_sent } = fate;
        let longest_seconds = longest.as_secs_f64();
        journal.figure(format_args!(
            "{name}: {opened} connections, {cut} cut, held for {longest_seconds:.1} s at most, {most_sent} bytes at most"
        ));
        if *cut == 0 || *longest > LONGEST_HOLD {
            let seconds = LONGEST_HOLD.as_secs();
            journal.violation(format_args!("{name}: a connection can be held for longer than {seconds} s"));
        }
        if *most_sent > SENT_AT_MOST {
            journal.violation(format_args!("{name}: of a body without end more is taken than {SENT_AT_MOST} bytes"));
        }
    }
}

/// No process grows with what is thrown at it, nor from one attack to the next.
fn check_memory(journal: &Journal, memory: &[Memory]) {
    for Memory { name, before, most, .. } in memory {
        journal.figure(format_args!("memory of {name}: {before} MiB before the first attack, {most} MiB at most"));
        if *most > before + GROWTH {
            journal.violation(format_args!("{name} grows by more than {GROWTH} MiB"));
        }
    }
}

/// The memory of a process, in MiB as the kernel counts it.
struct Memory {
    name: String,
    pid: u32,
    before: u64,
    /// The most that it had since.
    most: u64,
}

/// Looks again and again, for as long as it is not dropped.
async fn watch(processes: &mut [Memory]) -> std::convert::Infallible {
    let mut ticks = interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        for process in &mut *processes {
            process.most = resident(process.pid).max(process.most);
        }
    }
}

/// In MiB; 0 where the process has ended.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes: Option<u64> = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kibibytes.unwrap_or_default() / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_some_memory_and_one_that_ended_has_none() {
        assert!(resident(std::process::id()) > 1);
        assert_eq!(resident(u32::MAX), 0);
    }
}
