//! The attack on the door: what must not get in is tried, then thousands of connections are held open by senders who never
//! finish, and others, who only want to be served, are measured with and without them.
//!
//! `gaps` is what must not get in, `attackers` hold the connections, `others` are measured, `memory` looks at the processes.

mod attackers;
mod gaps;
mod memory;
mod others;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::replicas::{Door, System};
use crate::report::{Journal, Verdict};
use attackers::{Attackers, Fate, Held};
use memory::Memory;
use others::{Others, Served};

/// How long others are measured without an attack, and as long with one. Longer than the limits of the door.
const PERIOD: Duration = Duration::from_secs(20);
/// The limits of the door are 10 s; the rest is for a machine that is busy.
const LONGEST_HOLD: Duration = Duration::from_secs(15);
/// As many times as slow as without an attack.
const SLOWER_AT_MOST: f64 = 2.0;
/// What one process may grow by, in MiB: 2,000 connections with 16 KiB for each direction.
const GROWTH: u64 = 64;
/// What one sender of a body without end may get rid of, in bytes: 64 KiB, and what lies in the buffers on the way.
const SENT_AT_MOST: usize = 8_000_000;

/// What to run.
pub(crate) struct Abuse {
    /// How long it lasts, at least one period with and one without an attack.
    pub(crate) length: Duration,
    /// The database server.
    pub(crate) program: private_server::Program,
    /// What stands before the services.
    pub(crate) door: Door,
    /// How much slower others are is no failure.
    pub(crate) lenient: bool,
}

impl Abuse {
    /// Runs the system in `directory` and judges what others noticed. Nothing runs afterwards.
    ///
    /// # Errors
    ///
    /// Where the system cannot be started, or others cannot log in.
    pub(crate) async fn run(self, directory: &Path, interrupted: watch::Receiver<bool>) -> Result<Verdict> {
        let system = System::start(self.program, &self.door, directory).await?;
        let journal = Journal::begin();
        let tried = gaps::look(&system, &journal).await?;
        journal.say(format_args!("{tried} requests that must not get in: tried"));
        let closed = gaps::open_more_than_one_address_may(&system, &journal).await?;
        journal.say(format_args!("connections of one address closed as they came: {closed}"));
        let others = Others::log_in(&system.targets()).await?;
        // The first requests open connections to the database.
        others.ask_for(PERIOD / 4).await;
        let (mut quiet, mut attacked, mut held) = (Vec::new(), Vec::new(), Held::default());
        let (mut before, mut memory) = (Memory::default(), Memory::default());
        before.look(&system);
        while attacked.is_empty() || (journal.elapsed() + 2 * PERIOD < self.length && !*interrupted.borrow()) {
            quiet.push(others.ask_for(PERIOD).await);
            let attackers = Attackers::start(&system);
            timeout(PERIOD, attackers.all_hold()).await.context("the attackers cannot all connect")?;
            attacked.push(tokio::select! {
                served = others.ask_for(PERIOD) => served,
                never = memory.watch(&system) => match never {},
            });
            held.add(&attackers.stop().await);
            journal.say(format_args!("{} periods of {} s with an attack", attacked.len(), PERIOD.as_secs()));
        }
        system.stop().await?;
        let mut verdict = Verdict { text: String::new(), is_well: journal.is_well() };
        judge_service(&mut verdict, quiet, attacked, self.lenient);
        judge_holds(&mut verdict, &held);
        judge_memory(&mut verdict, &before, &memory);
        verdict.text.push_str(if verdict.is_well { "all is well" } else { "FAILED" });
        Ok(verdict)
    }
}

/// Nobody is refused, and nobody waits much longer.
fn judge_service(verdict: &mut Verdict, quiet: Vec<Served>, attacked: Vec<Served>, lenient: bool) {
    let (quiet, attacked) = (Served::all(quiet), Served::all(attacked));
    for failure in quiet.failures.iter().chain(&attacked.failures) {
        verdict.fail(format_args!("not served: {failure}"));
    }
    for (name, mut quiet, mut attacked) in
        [("GET /customers/{id}", quiet.reads, attacked.reads), ("POST /orders", quiet.orders, attacked.orders)]
    {
        verdict.say(format_args!("{name}, {} without and {} with the attack", quiet.len(), attacked.len()));
        for (quantile, share) in [("median", 0.5), ("p99", 0.99)] {
            let [without, with] = [&mut quiet, &mut attacked].map(|latencies| others::quantile(latencies, share));
            let [without, with] = [without, with].map(|latency| latency.unwrap_or_default().as_secs_f64() * 1e3);
            let ratio = with / without;
            verdict.say(format_args!("  {quantile} {without:.1} ms without, {with:.1} ms with, ratio {ratio:.2}"));
            if !lenient && share > 0.5 && ratio >= SLOWER_AT_MOST {
                verdict.fail(format_args!("{name}: more than {SLOWER_AT_MOST} times as slow as without the attack"));
            }
        }
    }
}

/// No connection is held for long.
fn judge_holds(verdict: &mut Verdict, held: &Held) {
    for (kind, Fate { opened, cut, longest, most_sent }) in held.fates() {
        let longest_seconds = longest.as_secs_f64();
        verdict.say(format_args!(
            "{kind:?}: {opened} connections, {cut} cut, held for {longest_seconds:.1} s at most, {most_sent} bytes at most"
        ));
        if cut == 0 || longest > LONGEST_HOLD {
            let seconds = LONGEST_HOLD.as_secs();
            verdict.fail(format_args!("{kind:?}: a connection can be held for longer than {seconds} s"));
        }
        if most_sent > SENT_AT_MOST {
            verdict.fail(format_args!("{kind:?}: of a body without end more is taken than {SENT_AT_MOST} bytes"));
        }
    }
}

/// No process grows with what is thrown at it, nor from one attack to the next.
fn judge_memory(verdict: &mut Verdict, before: &Memory, attacked: &Memory) {
    for (name, most) in attacked.mebibytes() {
        let usual = before.of(name);
        verdict.say(format_args!("memory of {name}: {usual} MiB before the first attack, {most} MiB at most"));
        if most > usual + GROWTH {
            verdict.fail(format_args!("{name} grows by more than {GROWTH} MiB"));
        }
    }
}
