//! How often somebody may guess a password, without locking anyone out for good.
//!
//! Wrong guesses fill three kinds of buckets: of an account from one address, of an address whatever the account, and of an
//! account from all addresses that never got into it. Full ones refuse. An address that got in before is judged by the first
//! kind alone, so nobody can lock an owner out from elsewhere. Nothing here knows whether an account exists. A guess counts as
//! wrong from before it is compared until it turns out to be right: so those that are compared at the same moment see each other.
//!
//! It is the memory of one process: replicas do not share it, so with N of them there are up to N times as many guesses. It
//! ends with the process.

mod bucket;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bucket::{Buckets, Limit};

/// What one address may get wrong of one account.
const PAIR: Limit = Limit { at_once: 5, then_every: Duration::from_secs(30) };
/// What one address may get wrong of all accounts together.
const ADDRESS: Limit = Limit { at_once: 30, then_every: Duration::from_secs(5) };
/// What all addresses together that never got in may get wrong of one account.
const ACCOUNT: Limit = Limit { at_once: 50, then_every: Duration::from_secs(10) };
/// The most that is remembered of each kind.
const MOST: usize = 10_000;

/// Whose password is guessed, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Guess {
    /// The key of the operator's name.
    account: String,
    from: IpAddr,
}

impl Guess {
    /// At the account whose name has this key. Of an IPv6 address the first half counts: who has one has the whole network.
    pub(crate) fn new(key: &str, from: IpAddr) -> Self {
        let from = match from.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            address @ IpAddr::V4(_) => address,
        };
        Self { account: key.to_owned(), from }
    }
}

/// There were too many wrong guesses.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many wrong passwords: wait before the next attempt")]
pub(crate) struct TooMany {
    /// Until the next attempt, in whole seconds.
    pub(crate) wait: Duration,
}

/// Counts wrong guesses.
#[derive(Debug)]
pub(crate) struct Throttle(Mutex<Counts>);

#[derive(Debug)]
struct Counts {
    pairs: Buckets<Guess>,
    addresses: Buckets<IpAddr>,
    accounts: Buckets<String>,
    /// From where accounts were logged in to, and when last.
    at_home: HashMap<Guess, Instant>,
}

impl Counts {
    fn check(&self, guess: &Guess, now: Instant) -> Result<(), TooMany> {
        let mut wait = self.pairs.wait(guess, now);
        if !self.at_home.contains_key(guess) {
            let elsewhere = self.accounts.wait(&guess.account, now);
            wait = wait.max(elsewhere).max(self.addresses.wait(&guess.from, now));
        }
        if wait.is_zero() { Ok(()) } else { Err(TooMany { wait: in_whole_seconds(wait) }) }
    }
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self::remembering(MOST)
    }

    fn remembering(most: usize) -> Self {
        Self(Mutex::new(Counts {
            pairs: Buckets::new(PAIR, most),
            addresses: Buckets::new(ADDRESS, most),
            accounts: Buckets::new(ACCOUNT, most),
            at_home: HashMap::new(),
        }))
    }

    /// Whether this may be tried now.
    pub(crate) fn check(&self, guess: &Guess, now: Instant) -> Result<(), TooMany> {
        self.counts().check(guess, now)
    }

    /// Whether this may be tried now, and if so it is: it counts as wrong until it is said to have [`Self::succeeded`].
    pub(crate) fn begin(&self, guess: &Guess, now: Instant) -> Result<(), TooMany> {
        let mut counts = self.counts();
        counts.check(guess, now)?;
        counts.pairs.add(guess, now);
        counts.addresses.add(&guess.from, now);
        if !counts.at_home.contains_key(guess) {
            counts.accounts.add(&guess.account, now);
        }
        Ok(())
    }

    /// What was begun was right. What the address got wrong of other accounts still counts: else whoever has an account of
    /// their own could guess without end.
    pub(crate) fn succeeded(&self, guess: &Guess, now: Instant) {
        let mut counts = self.counts();
        counts.pairs.clear(guess);
        counts.addresses.take_back(&guess.from, now);
        if !counts.at_home.contains_key(guess) {
            counts.accounts.take_back(&guess.account, now);
        }
        let most = counts.pairs.most();
        if !counts.at_home.contains_key(guess) && counts.at_home.len() >= most {
            let longest_ago = counts.at_home.iter().min_by_key(|(_, when)| **when).map(|(guess, _)| guess.clone());
            longest_ago.and_then(|guess| counts.at_home.remove(&guess));
        }
        counts.at_home.insert(guess.clone(), now);
    }

    /// A thread that panicked left counts that are as good as any.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rounded up: whoever waits so long is let through.
fn in_whole_seconds(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}
