//! The attack on the edge proxy: what must not get in is tried, then thousands of connections are held open by senders who never
//! finish, and others, who only want to be served, are measured with and without them.
//!
//! `gaps` is what must not get in, `attackers` hold the connections, `others` are measured, `memory` looks at the processes.

mod attackers;
mod gaps;
mod memory;
mod others;

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::timeout;

use crate::Run;
use crate::replicas::{Edge, System};
use crate::report::Journal;
use attackers::{Attackers, Fate, Held};
use memory::Memory;
use others::{Others, Served};

/// How long others are measured without an attack, and as long with one. Longer than the limits of HAProxy.
const PERIOD: Duration = Duration::from_secs(20);
/// The limits of HAProxy are 10 s; the rest is for a machine that is busy.
const LONGEST_HOLD: Duration = Duration::from_secs(15);
/// As many times as slow as without an attack.
const SLOWER_AT_MOST: f64 = 2.0;
/// What one process may grow by, in MiB: 2,000 connections with 16 KiB for each direction.
const GROWTH: u64 = 64;
/// What one sender of a body without end may get rid of, in bytes: 64 KiB, and what lies in the buffers on the way.
const SENT_AT_MOST: usize = 8_000_000;

/// Runs the system and checks what others noticed. Nothing runs afterwards.
///
/// # Errors
///
/// Where the system cannot be started, or others cannot log in.
pub(crate) async fn run(run: &Run, edge: &Edge, lenient: bool) -> Result<()> {
    let Run { journal, length, interrupted, .. } = run;
    let system = System::start(run, edge).await?;
    journal.begin();
    let tried = gaps::look(&system, journal).await?;
    journal.log(format_args!("{tried} requests that must not get in: tried"));
    let closed = gaps::open_more_than_one_address_may(&system, journal).await?;
    journal.log(format_args!("connections of one address closed as they came: {closed}"));
    let others = Others::log_in(&system.targets()).await?;
    // The first requests open connections to the database.
    others.ask_for(PERIOD / 4).await;
    let (mut quiet, mut attacked, mut held) = (Vec::new(), Vec::new(), Held::default());
    let (mut before, mut memory) = (Memory::default(), Memory::default());
    before.look(&system);
    while attacked.is_empty() || (journal.elapsed() + 2 * PERIOD < *length && !*interrupted.borrow()) {
        quiet.push(others.ask_for(PERIOD).await);
        let attackers = Attackers::start(&system);
        timeout(PERIOD, attackers.all_hold()).await.context("the attackers cannot all connect")?;
        attacked.push(tokio::select! {
            served = others.ask_for(PERIOD) => served,
            never = memory.watch(&system) => match never {},
        });
        held.add(&attackers.stop().await);
        journal.log(format_args!("{} periods of {} s with an attack", attacked.len(), PERIOD.as_secs()));
    }
    system.stop().await?;
    check_service(journal, quiet, attacked, lenient);
    check_holds(journal, &held);
    check_memory(journal, &before, &memory);
    Ok(())
}

/// Nobody is refused, and nobody waits much longer.
fn check_service(journal: &Journal, quiet: Vec<Served>, attacked: Vec<Served>, lenient: bool) {
    let (quiet, attacked) = (Served::all(quiet), Served::all(attacked));
    for failure in quiet.failures.iter().chain(&attacked.failures) {
        journal.violation(format_args!("not served: {failure}"));
    }
    for (name, mut quiet, mut attacked) in
        [("GET /customers/{id}", quiet.reads, attacked.reads), ("POST /orders", quiet.orders, attacked.orders)]
    {
        journal.figure(format_args!("{name}, {} without and {} with the attack", quiet.len(), attacked.len()));
        for (quantile, share) in [("median", 0.5), ("p99", 0.99)] {
            let [without, with] = [&mut quiet, &mut attacked].map(|latencies| others::quantile(latencies, share));
            let [without, with] = [without, with].map(|latency| latency.unwrap_or_default().as_secs_f64() * 1e3);
            let ratio = with / without;
            journal.figure(format_args!("  {quantile} {without:.1} ms without, {with:.1} ms with, ratio {ratio:.2}"));
            if !lenient && share > 0.5 && ratio >= SLOWER_AT_MOST {
                journal
                    .violation(format_args!("{name}: more than {SLOWER_AT_MOST} times as slow as without the attack"));
            }
        }
    }
}

/// No connection is held for long.
fn check_holds(journal: &Journal, held: &Held) {
    for (kind, Fate { opened, cut, longest, most_sent }) in held.fates() {
        let longest_seconds = longest.as_secs_f64();
        journal.figure(format_args!(
            "{kind:?}: {opened} connections, {cut} cut, held for {longest_seconds:.1} s at most, {most_sent} bytes at most"
        ));
        if cut == 0 || longest > LONGEST_HOLD {
            let seconds = LONGEST_HOLD.as_secs();
            journal.violation(format_args!("{kind:?}: a connection can be held for longer than {seconds} s"));
        }
        if most_sent > SENT_AT_MOST {
            journal.violation(format_args!("{kind:?}: of a body without end more is taken than {SENT_AT_MOST} bytes"));
        }
    }
}

/// No process grows with what is thrown at it, nor from one attack to the next.
fn check_memory(journal: &Journal, before: &Memory, attacked: &Memory) {
    for (name, most) in attacked.mebibytes() {
        let usual = before.of(name);
        journal.figure(format_args!("memory of {name}: {usual} MiB before the first attack, {most} MiB at most"));
        if most > usual + GROWTH {
            journal.violation(format_args!("{name} grows by more than {GROWTH} MiB"));
        }
    }
}
