//! Rate limits for failed login attempts, without permanent account lockout.
//!
//! Failed attempts fill three kinds of buckets: one per account and address, one per address, and one per account for
//! all addresses that have not logged in to it. An attempt is rejected if one of its buckets is full. For a trusted
//! source (an address that has logged in to the account) only the first kind applies, so that attackers at other
//! addresses cannot lock out the owner.
//!
//! An attempt counts as failed before its password is verified, so that concurrent attempts count each other. Existing
//! and unknown accounts are treated the same.
//!
//! The state is kept in memory and lost on restart. Replicas do not share it, so N replicas allow up to N times as many
//! attempts.

mod bucket;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bucket::{Buckets, Limit};

/// Limit for failed attempts on one account from one address.
const PAIR: Limit = Limit { burst: 5, replenish_interval: Duration::from_secs(30) };
/// Limit for failed attempts from one address on all accounts.
const ADDRESS: Limit = Limit { burst: 30, replenish_interval: Duration::from_secs(5) };
/// Limit for failed attempts on one account from all addresses that are not trusted sources.
const ACCOUNT: Limit = Limit { burst: 50, replenish_interval: Duration::from_secs(10) };
/// Maximum number of buckets of each kind, and of trusted sources.
const CAPACITY: usize = 10_000;

/// Login attempt: the account and the client's address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct LoginAttempt {
    /// Username key.
    account: String,
    address: IpAddr,
}

impl LoginAttempt {
    /// Creates a login attempt for the account with this username key.
    ///
    /// For IPv6 addresses, only the /64 prefix is used, because a client usually controls the whole /64 network.
    pub(crate) fn new(key: &str, address: IpAddr) -> Self {
        let address = match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            address @ IpAddr::V4(_) => address,
        };
        Self { account: key.to_owned(), address }
    }
}

/// Error for an attempt that the throttle rejects.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many failed login attempts: wait before the next attempt")]
pub(crate) struct TooManyAttempts {
    /// Time until the next attempt is allowed, in whole seconds.
    pub(crate) wait: Duration,
}

/// Rate limiter for failed login attempts.
#[derive(Debug)]
pub(crate) struct Throttle(Mutex<State>);

#[derive(Debug)]
struct State {
    pairs: Buckets<LoginAttempt>,
    addresses: Buckets<IpAddr>,
    accounts: Buckets<String>,
    /// Pairs of an account and an address that has logged in to it, with the time of the last login.
    trusted_sources: HashMap<LoginAttempt, Instant>,
}

impl State {
    fn check(&self, attempt: &LoginAttempt, now: Instant) -> Result<(), TooManyAttempts> {
        let mut wait = self.pairs.wait(attempt, now);
        if !self.trusted_sources.contains_key(attempt) {
            let account = self.accounts.wait(&attempt.account, now);
            wait = wait.max(account).max(self.addresses.wait(&attempt.address, now));
        }
        if wait.is_zero() { Ok(()) } else { Err(TooManyAttempts { wait: round_up_to_seconds(wait) }) }
    }
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    fn with_capacity(capacity: usize) -> Self {
        Self(Mutex::new(State {
            pairs: Buckets::new(PAIR, capacity),
            addresses: Buckets::new(ADDRESS, capacity),
            accounts: Buckets::new(ACCOUNT, capacity),
            trusted_sources: HashMap::new(),
        }))
    }

    /// Checks that the attempt is allowed now, without counting it.
    pub(crate) fn check(&self, attempt: &LoginAttempt, now: Instant) -> Result<(), TooManyAttempts> {
        self.lock().check(attempt, now)
    }

    /// Checks that the attempt is allowed now, and counts it as failed until [`Self::record_success`].
    pub(crate) fn admit(&self, attempt: &LoginAttempt, now: Instant) -> Result<(), TooManyAttempts> {
        let mut state = self.lock();
        state.check(attempt, now)?;
        state.pairs.add(attempt, now);
        state.addresses.add(&attempt.address, now);
        if !state.trusted_sources.contains_key(attempt) {
            state.accounts.add(&attempt.account, now);
        }
        Ok(())
    }

    /// Records that an admitted attempt succeeded.
    ///
    /// Failed attempts from the same address on other accounts still count. Otherwise, attackers could reset the limit
    /// by logging in to their own account.
    pub(crate) fn record_success(&self, attempt: &LoginAttempt, now: Instant) {
        let mut state = self.lock();
        state.pairs.clear(attempt);
        state.addresses.remove_one(&attempt.address, now);
        if !state.trusted_sources.contains_key(attempt) {
            state.accounts.remove_one(&attempt.account, now);
        }
        let capacity = state.pairs.capacity();
        if !state.trusted_sources.contains_key(attempt) && state.trusted_sources.len() >= capacity {
            let oldest =
                state.trusted_sources.iter().min_by_key(|(_, when)| **when).map(|(attempt, _)| attempt.clone());
            oldest.and_then(|attempt| state.trusted_sources.remove(&attempt));
        }
        state.trusted_sources.insert(attempt.clone(), now);
    }

    /// Locks the state. The state remains usable after another thread has panicked, because each individual update
    /// leaves it valid.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rounds the wait up, so that an attempt after the reported wait is allowed.
fn round_up_to_seconds(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}
