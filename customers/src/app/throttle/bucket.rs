//! Leaky buckets, many of one kind, in bounded memory.
//!
//! A bucket is one moment: when it will have leaked empty. Each drop puts that moment off by the time one drop takes to
//! leak; a bucket is full while the moment is further away than its drops but one need.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How much a bucket holds and how fast it leaks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    /// Drops that fit into an empty bucket.
    pub(super) at_once: u32,
    /// The time in which one leaks.
    pub(super) then_every: Duration,
}

/// Buckets under one limit, at most so many. What is not here is an empty bucket.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    limit: Limit,
    most: usize,
    empty_at: HashMap<K, Instant>,
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    pub(super) fn new(limit: Limit, most: usize) -> Self {
        Self { limit, most, empty_at: HashMap::new() }
    }

    /// How many buckets are remembered at most.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// How long until there is room for one more drop; zero where there is.
    pub(super) fn wait(&self, key: &K, now: Instant) -> Duration {
        let Some(empty_at) = self.empty_at.get(key) else { return Duration::ZERO };
        let room = self.limit.then_every * self.limit.at_once.saturating_sub(1);
        empty_at.saturating_duration_since(now).saturating_sub(room)
    }

    /// Puts a drop in, whether there is room or not.
    pub(super) fn add(&mut self, key: &K, now: Instant) {
        if !self.empty_at.contains_key(key) {
            self.make_room(now);
        }
        let empty_at = self.empty_at.entry(key.clone()).or_insert(now);
        *empty_at = (*empty_at).max(now) + self.limit.then_every;
    }

    /// Takes one drop out again.
    pub(super) fn take_back(&mut self, key: &K, now: Instant) {
        let left = self.empty_at.get(key).and_then(|empty_at| empty_at.checked_sub(self.limit.then_every));
        match left.filter(|empty_at| *empty_at > now) {
            Some(empty_at) => drop(self.empty_at.insert(key.clone(), empty_at)),
            None => self.clear(key),
        }
    }

    /// Empties a bucket.
    pub(super) fn clear(&mut self, key: &K) {
        self.empty_at.remove(key);
    }

    /// Those that are empty go first; else the one that would be empty next.
    fn make_room(&mut self, now: Instant) {
        if self.empty_at.len() < self.most {
            return;
        }
        self.empty_at.retain(|_, empty_at| *empty_at > now);
        while self.empty_at.len() >= self.most {
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
