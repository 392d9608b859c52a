//! Leaky buckets (GCRA) for many keys, in bounded memory.
//!
//! The state of a bucket is the instant at which it will be empty. Each added cell delays that instant by the replenish
//! interval. A bucket is full while that instant is more than `burst - 1` intervals in the future.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Rate limit of a bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    /// Number of cells that fit into an empty bucket.
    pub(super) burst: u32,
    /// Time after which a bucket loses one cell.
    pub(super) replenish_interval: Duration,
}

/// Buckets by key, with a common limit. A key without an entry has an empty bucket.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    limit: Limit,
    capacity: usize,
    empty_at: HashMap<K, Instant>,
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    pub(super) fn new(limit: Limit, capacity: usize) -> Self {
        Self { limit, capacity, empty_at: HashMap::new() }
    }

    /// Returns the maximum number of buckets that are stored.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns the time until the bucket has room for one more cell, or zero if it has room now.
    pub(super) fn wait(&self, key: &K, now: Instant) -> Duration {
        let Some(empty_at) = self.empty_at.get(key) else { return Duration::ZERO };
        let tolerance = self.limit.replenish_interval * self.limit.burst.saturating_sub(1);
        empty_at.saturating_duration_since(now).saturating_sub(tolerance)
    }

    /// Adds a cell, even to a full bucket.
    pub(super) fn add(&mut self, key: &K, now: Instant) {
        if !self.empty_at.contains_key(key) {
            self.evict(now);
        }
        let empty_at = self.empty_at.entry(key.clone()).or_insert(now);
        *empty_at = (*empty_at).max(now) + self.limit.replenish_interval;
    }

    /// Removes one cell.
    pub(super) fn remove_one(&mut self, key: &K, now: Instant) {
        let earlier = self.empty_at.get(key).and_then(|empty_at| empty_at.checked_sub(self.limit.replenish_interval));
        match earlier.filter(|empty_at| *empty_at > now) {
            Some(empty_at) => drop(self.empty_at.insert(key.clone(), empty_at)),
            None => self.clear(key),
        }
    }

    /// Empties a bucket.
    pub(super) fn clear(&mut self, key: &K) {
        self.empty_at.remove(key);
    }

    /// Makes room for a new bucket: removes all empty buckets or, if there are none, the bucket that will be empty
    /// first.
    fn evict(&mut self, now: Instant) {
        if self.empty_at.len() < self.capacity {
            return;
        }
        self.empty_at.retain(|_, empty_at| *empty_at > now);
        while self.empty_at.len() >= self.capacity {
            let Some(next) = self.empty_at.iter().min_by_key(|(_, empty_at)| **empty_at) else { return };
            let next = next.0.clone();
            self.empty_at.remove(&next);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.empty_at.len()
    }
}
