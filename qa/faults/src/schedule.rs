//! Which faults are made, when, and for how long: a pure function of the seed and the length of the run.
//!
//! Faults are drawn from a shuffled pool: first one of each kind, so that a short run has seen them, then every kind with
//! every target at least once, so that a long run leaves none out. How a fault is made is in `system`.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use harness::Service;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use crate::proxy::{Behaviour, CommitSide};

/// Nothing happens before, so that a load is there to be disturbed.
const FIRST: Duration = Duration::from_secs(5);
/// Nothing is planned to happen after this much before the end.
const LAST: Duration = Duration::from_secs(5);
/// One fault in so many is joined by a second.
const JOINED: u32 = 5;

/// How many faults of a pool are for one service, the database, or the moment of COMMIT. A link has one for each of its
/// five kinds, and there are eight links.
const KILLS: usize = 4;
const PAUSES: usize = 2;
const DATABASE: usize = 5;
const COMMITS: usize = 6;

/// Connections from one part of the system to another, each by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
}

impl Link {
    /// Every connection of the system goes over one of these. Those of the clients are first, in the order of the services.
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

    /// The one on which connections are cut at COMMIT.
    pub(crate) const ORDERS_TO_DATABASE: Self = Self { from: "orders", to: "database" };
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.from, self.to)
    }
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL, and a new process when it has lasted.
    Kill(Service),
    /// SIGSTOP, and SIGCONT when it has lasted.
    Pause(Service),
    /// SIGKILL to the database server, and a new one that recovers.
    KillDatabase,
    /// An orderly end of the database server, and a new one.
    RestartDatabase,
    /// Its proxy behaves like this.
    Disturb(Link, Behaviour),
}

impl Fault {
    /// Its kind, how many milliseconds it lasts, and how many seconds later a new process is expected to serve.
    fn properties(self) -> (&'static str, RangeInclusive<u64>, u64) {
        match self {
            Self::Kill(_) => ("service killed", 0..=2_000, 1),
            Self::Pause(_) => ("service stopped and continued", 1_000..=8_000, 0),
            Self::KillDatabase => ("database killed", 0..=2_000, 4),
            Self::RestartDatabase => ("database restarted", 0..=2_000, 4),
            Self::Disturb(_, behaviour) => match behaviour {
                Behaviour::Pass => ("nothing", 0..=0, 0),
                Behaviour::Cut => ("connections cut", 0..=0, 0),
                Behaviour::Refuse => ("connections refused", 500..=8_000, 0),
                Behaviour::Delay(_) => ("delay", 500..=8_000, 0),
                Behaviour::Truncate(_) => ("answers truncated", 500..=8_000, 0),
                Behaviour::BlackHole => ("black hole", 500..=8_000, 0),
                Behaviour::CutAtCommit(CommitSide::Before, _) => ("cut before COMMIT", 4_000..=8_000, 0),
                Behaviour::CutAtCommit(CommitSide::After, _) => ("cut after COMMIT", 4_000..=8_000, 0),
            },
        }
    }

    /// Its name in the summary.
    pub(crate) fn kind(self) -> &'static str {
        self.properties().0
    }

    fn lasts(self, rng: &mut ChaCha12Rng) -> Duration {
        Duration::from_millis(rng.random_range(self.properties().1))
    }

    /// What two faults at once must not share.
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

/// A fault with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    /// After the start of the run.
    pub(crate) starts: Duration,
    /// From then on.
    pub(crate) lasts: Duration,
    /// What happens.
    pub(crate) fault: Fault,
}

impl Planned {
    /// When it is expected to be over.
    fn ends(&self) -> Duration {
        self.starts + self.lasts + Duration::from_secs(self.fault.properties().2)
    }
}

/// One fault, or two at once. Afterwards the system is left alone for a while.
pub(crate) type Episode = Vec<Planned>;

/// The faults of a run of this length.
pub(crate) fn schedule(seed: u64, length: Duration) -> Vec<Episode> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let (mut pool, mut seen) = (shuffled_pool(&mut rng), BTreeSet::new());
    // One of each kind comes first.
    pool.retain(|fault| seen.insert(fault.kind()));
    let mut episodes = Vec::new();
    let mut starts = FIRST;
    loop {
        let episode = episode(starts, &mut pool, &mut rng);
        let ends = episode.iter().map(Planned::ends).max().unwrap_or(starts);
        if ends + LAST > length {
            return episodes;
        }
        episodes.push(episode);
        starts = ends + Duration::from_millis(rng.random_range(2_000..=6_000));
    }
}

fn episode(starts: Duration, pool: &mut Vec<Fault>, rng: &mut ChaCha12Rng) -> Episode {
    let fault = draw(pool, rng, |_| true);
    let first = Planned { starts, lasts: fault.lasts(rng), fault };
    if first.lasts.is_zero() || !rng.random_ratio(1, JOINED) {
        return vec![first];
    }
    let second = draw(pool, rng, |other| other.target() != fault.target());
    let starts = starts + first.lasts.mul_f64(rng.random());
    vec![first, Planned { starts, lasts: second.lasts(rng), fault: second }]
}

/// Takes the next fault that fits.
fn draw(pool: &mut Vec<Fault>, rng: &mut ChaCha12Rng, fits: impl Fn(Fault) -> bool) -> Fault {
    loop {
        if let Some(place) = pool.iter().position(|fault| fits(*fault)) {
            return pool.remove(place);
        }
        // What did not fit is drawn first from now on.
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
    fn the_same_seed_gives_the_same_schedule_and_another_seed_another() {
        assert_eq!(schedule(7, HALF_AN_HOUR), schedule(7, HALF_AN_HOUR));
        assert_ne!(schedule(7, HALF_AN_HOUR), schedule(8, HALF_AN_HOUR));
    }

    #[test]
    fn every_kind_meets_every_target_within_half_an_hour() {
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
    fn faults_are_over_before_the_end_and_calm_lies_between_them() {
        for (seed, minutes) in (0..100).flat_map(|seed| [(seed, 2), (seed, 30)]) {
            let length = Duration::from_secs(minutes * 60);
            let mut calm_since = Duration::ZERO;
            for episode in schedule(seed, length) {
                assert!(episode[0].starts >= calm_since + Duration::from_secs(2), "seed {seed}");
                calm_since = episode.iter().map(Planned::ends).max().unwrap();
            }
            assert!(calm_since + LAST <= length, "seed {seed}");
        }
    }

    #[test]
    fn some_faults_overlap_and_never_on_the_same_target() {
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
