//! Fault schedule: which faults are injected, when, and for how long; a pure function of the seed and the duration.
//!
//! Faults are drawn from a shuffled pool. The first ones include each kind, so that a short run covers all kinds. The
//! pool then contains every combination of kind and target, so that a long run covers all. `system` injects the faults.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use harness::Service;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use crate::proxy::{Behaviour, CommitSide};

/// Time before the first fault, during which the load starts.
const WARM_UP: Duration = Duration::from_secs(5);
/// Time without faults at the end of the run.
const COOL_DOWN: Duration = Duration::from_secs(5);
/// On average, one in this many faults overlaps with a second fault.
const OVERLAP_RATIO: u32 = 5;

/// Faults per kind in a pool: per service, for the database, and per side of COMMIT; plus one of five kinds per link.
const KILLS: usize = 4;
const PAUSES: usize = 2;
const DATABASE: usize = 5;
const COMMITS: usize = 6;

/// Network link between two components, identified by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
}

impl Link {
    /// All links of the system. The clients' links come first, in the order of the services.
    pub(crate) const ALL: [Self; 8] = [
        Self { from: "client", to: "customers" },
        Self { from: "client", to: "orders" },
        Self { from: "client", to: "orchestrator" },
        Self { from: "orchestrator", to: "customers" },
        Self { from: "orchestrator", to: "orders" },
        Self { from: "orders", to: "customers" },
        Self { from: "customers", to: "database" },
        Self::ORDERS_TO_DATABASE,
    ];

    /// Link on which connections are reset at COMMIT.
    pub(crate) const ORDERS_TO_DATABASE: Self = Self { from: "orders", to: "database" };
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.from, self.to)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Kills a service with SIGKILL, and starts a new process at the end.
    Kill(Service),
    /// Pauses a service with SIGSTOP, and resumes it with SIGCONT at the end.
    Pause(Service),
    /// Kills the database server with SIGKILL, and starts a new process with crash recovery at the end.
    KillDatabase,
    /// Stops the database server gracefully, and starts a new process at the end.
    RestartDatabase,
    Disturb(Link, Behaviour),
}

impl Fault {
    /// Returns the name of the kind, its duration range in ms, and the expected startup time after it in seconds.
    fn properties(self) -> (&'static str, RangeInclusive<u64>, u64) {
        match self {
            Self::Kill(_) => ("service killed", 0..=2_000, 1),
            Self::Pause(_) => ("service paused and resumed", 1_000..=8_000, 0),
            Self::KillDatabase => ("database killed", 0..=2_000, 4),
            Self::RestartDatabase => ("database restarted", 0..=2_000, 4),
            Self::Disturb(_, behaviour) => match behaviour {
                Behaviour::Pass => ("nothing", 0..=0, 0),
                Behaviour::Cut => ("connections cut", 0..=0, 0),
                Behaviour::Refuse => ("connections refused", 500..=8_000, 0),
                Behaviour::Delay(_) => ("delay", 500..=8_000, 0),
                Behaviour::Truncate(_) => ("responses truncated", 500..=8_000, 0),
                Behaviour::BlackHole => ("black hole", 500..=8_000, 0),
                Behaviour::CutAtCommit(CommitSide::Before, _) => ("cut before COMMIT", 4_000..=8_000, 0),
                Behaviour::CutAtCommit(CommitSide::After, _) => ("cut after COMMIT", 4_000..=8_000, 0),
            },
        }
    }

    pub(crate) fn kind(self) -> &'static str {
        self.properties().0
    }

    fn duration(self, rng: &mut ChaCha12Rng) -> Duration {
        Duration::from_millis(rng.random_range(self.properties().1))
    }

    /// Returns the target. Two overlapping faults must not have the same target.
    fn target(self) -> String {
        match self {
            Self::Kill(service) | Self::Pause(service) => service.name().to_owned(),
            Self::KillDatabase | Self::RestartDatabase => "database".to_owned(),
            Self::Disturb(link, _) => link.to_string(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, target) = (self.kind(), self.target());
        match self {
            Self::KillDatabase | Self::RestartDatabase => f.write_str(kind),
            Self::Disturb(_, Behaviour::Delay(delay)) => write!(f, "{kind} of {} ms: {target}", delay.as_millis()),
            Self::Disturb(_, Behaviour::Truncate(percent)) => write!(f, "{kind} after {percent} %: {target}"),
            Self::Disturb(_, Behaviour::CutAtCommit(_, commits)) => write!(f, "{kind}: the next {commits}"),
            _ => write!(f, "{kind}: {target}"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Start time, relative to the start of the run.
    pub(crate) starts: Duration,
    pub(crate) lasts: Duration,
    pub(crate) fault: Fault,
}

impl Planned {
    /// Returns the expected time of recovery.
    fn ends(&self) -> Duration {
        self.starts + self.lasts + Duration::from_secs(self.fault.properties().2)
    }
}

/// One fault or two overlapping faults, followed by a period without faults.
pub(crate) type Episode = Vec<Planned>;

pub(crate) fn schedule(seed: u64, length: Duration) -> Vec<Episode> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let (mut pool, mut seen) = (shuffled_pool(&mut rng), BTreeSet::new());
    // The first faults include one of each kind.
    pool.retain(|fault| seen.insert(fault.kind()));
    let mut episodes = Vec::new();
    let mut starts = WARM_UP;
    loop {
        let episode = episode(starts, &mut pool, &mut rng);
        let ends = episode.iter().map(Planned::ends).max().unwrap_or(starts);
        if ends + COOL_DOWN > length {
            return episodes;
        }
        episodes.push(episode);
        starts = ends + Duration::from_millis(rng.random_range(2_000..=6_000));
    }
}

fn episode(starts: Duration, pool: &mut Vec<Fault>, rng: &mut ChaCha12Rng) -> Episode {
    let fault = draw(pool, rng, |_| true);
    let first = Planned { starts, lasts: fault.duration(rng), fault };
    if first.lasts.is_zero() || !rng.random_ratio(1, OVERLAP_RATIO) {
        return vec![first];
    }
    let second = draw(pool, rng, |other| other.target() != fault.target());
    let starts = starts + first.lasts.mul_f64(rng.random());
    vec![first, Planned { starts, lasts: second.duration(rng), fault: second }]
}

/// Removes the first suitable fault from the pool and returns it.
fn draw(pool: &mut Vec<Fault>, rng: &mut ChaCha12Rng, is_suitable: impl Fn(Fault) -> bool) -> Fault {
    loop {
        if let Some(index) = pool.iter().position(|fault| is_suitable(*fault)) {
            return pool.remove(index);
        }
        // Faults that were not suitable remain first in the pool.
        pool.extend(shuffled_pool(rng));
    }
}

fn shuffled_pool(rng: &mut ChaCha12Rng) -> Vec<Fault> {
    let mut pool = Vec::new();
    for service in Service::ALL {
        pool.extend([Fault::Kill(service); KILLS]);
        pool.extend([Fault::Pause(service); PAUSES]);
    }
    pool.extend([Fault::KillDatabase; DATABASE]);
    pool.extend([Fault::RestartDatabase; DATABASE]);
    for link in Link::ALL {
        let delay = Behaviour::Delay(Duration::from_millis(rng.random_range(50..=3_000)));
        let truncate = Behaviour::Truncate(rng.random_range(5..=95));
        let behaviours = [Behaviour::Cut, Behaviour::Refuse, Behaviour::BlackHole, delay, truncate];
        pool.extend(behaviours.map(|behaviour| Fault::Disturb(link, behaviour)));
    }
    for side in [CommitSide::Before, CommitSide::After].repeat(COMMITS) {
        let cut = Behaviour::CutAtCommit(side, rng.random_range(1..=5));
        pool.push(Fault::Disturb(Link::ORDERS_TO_DATABASE, cut));
    }
    pool.shuffle(rng);
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_AN_HOUR: Duration = Duration::from_secs(30 * 60);

    #[test]
    fn schedule_is_determined_by_the_seed() {
        assert_eq!(schedule(7, HALF_AN_HOUR), schedule(7, HALF_AN_HOUR));
        assert_ne!(schedule(7, HALF_AN_HOUR), schedule(8, HALF_AN_HOUR));
    }

    #[test]
    fn every_kind_hits_every_target_within_half_an_hour() {
        let mut rng = ChaCha12Rng::seed_from_u64(0);
        let wanted = kinds_and_targets(shuffled_pool(&mut rng));
        for seed in 0..100 {
            let planned = schedule(seed, HALF_AN_HOUR).into_iter().flatten().map(|planned| planned.fault);
            assert_eq!(kinds_and_targets(planned), wanted, "seed {seed}");
        }
    }

    fn kinds_and_targets(faults: impl IntoIterator<Item = Fault>) -> BTreeSet<String> {
        faults.into_iter().map(|fault| format!("{} {:?}", fault.kind(), fault.target())).collect()
    }

    #[test]
    fn every_kind_occurs_within_three_minutes() {
        let wanted: BTreeSet<_> = shuffled_pool(&mut ChaCha12Rng::seed_from_u64(0)).iter().map(|f| f.kind()).collect();
        for seed in 0..100 {
            let planned = schedule(seed, Duration::from_secs(180)).into_iter().flatten();
            assert_eq!(planned.map(|planned| planned.fault.kind()).collect::<BTreeSet<_>>(), wanted, "seed {seed}");
        }
    }

    #[test]
    fn faults_end_in_time_and_have_calm_periods_between_them() {
        for (seed, minutes) in (0..100).flat_map(|seed| [(seed, 2), (seed, 30)]) {
            let length = Duration::from_secs(minutes * 60);
            let mut calm_since = Duration::ZERO;
            for episode in schedule(seed, length) {
                assert!(episode[0].starts >= calm_since + Duration::from_secs(2), "seed {seed}");
                calm_since = episode.iter().map(Planned::ends).max().unwrap();
            }
            assert!(calm_since + COOL_DOWN <= length, "seed {seed}");
        }
    }

    #[test]
    fn some_faults_overlap_but_never_on_the_same_target() {
        let mut pairs = 0;
        for episode in (0..100).flat_map(|seed| schedule(seed, HALF_AN_HOUR)) {
            let [first, second] = episode[..] else { continue };
            pairs += 1;
            assert!(second.starts >= first.starts && second.starts <= first.starts + first.lasts);
            assert_ne!(first.fault.target(), second.fault.target());
        }
        assert!(pairs > 100, "{pairs}");
    }
}
