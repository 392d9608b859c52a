//! Which faults are made, when, and for how long: a pure function of the seed and the length of the run.
//!
//! Faults are drawn from a shuffled pool: first one of each kind, so that a short run has seen them, then every kind with
//! every target at least once, so that a long run leaves none out. How a fault is made is in `system`.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use harness::Service;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// The least that the orders service takes, so that reservations end during a run.
pub(crate) const RESERVATION: (&str, &str) = ("RESERVATION_SECONDS", "60");

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

/// Who is reached over a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// One of the services.
    Service(Service),
    /// The database server.
    Database,
}

/// Who connects to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// Who connects; nobody's name for the clients of the system.
    pub(crate) from: Option<Service>,
    /// Who listens.
    pub(crate) to: Server,
}

impl Link {
    /// Every connection of the system goes over one of these.
    pub(crate) const ALL: [Self; 8] = [
        Self { from: None, to: Server::Service(Service::Customers) },
        Self { from: None, to: Server::Service(Service::Orders) },
        Self { from: None, to: Server::Service(Service::Orchestrator) },
        Self { from: Some(Service::Orchestrator), to: Server::Service(Service::Customers) },
        Self { from: Some(Service::Orchestrator), to: Server::Service(Service::Orders) },
        Self { from: Some(Service::Orders), to: Server::Service(Service::Customers) },
        Self { from: Some(Service::Customers), to: Server::Database },
        Self { from: Some(Service::Orders), to: Server::Database },
    ];

    /// The one on which COMMIT is watched for.
    pub(crate) const ORDERS_TO_DATABASE: Self = Self { from: Some(Service::Orders), to: Server::Database };
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = match self.to {
            Server::Service(service) => service.name(),
            Server::Database => "database",
        };
        write!(f, "{} -> {to}", self.from.map_or("client", Service::name))
    }
}

/// On which side of COMMIT a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommitSide {
    /// COMMIT is sent and does not arrive.
    Before,
    /// COMMIT is carried out and its answer does not arrive.
    After,
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
    /// All connections are reset, once.
    Cut(Link),
    /// All connections are reset, and new ones refused.
    Refuse(Link),
    /// Whatever is sent arrives so much later, in both directions.
    Delay(Link, Duration),
    /// Of an answer only so many percent arrive, then the connection is closed.
    Truncate(Link, usize),
    /// Connections are accepted, and nothing is passed on until it is over.
    BlackHole(Link),
    /// So many connections are cut while they commit.
    AtCommit(CommitSide, u32),
}

/// What two faults at once must not share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Server(Server),
    Link(Link),
}

impl Fault {
    /// Its name in the summary.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Kill(_) => "service killed",
            Self::Pause(_) => "service stopped and continued",
            Self::KillDatabase => "database killed",
            Self::RestartDatabase => "database restarted",
            Self::Cut(_) => "connections cut",
            Self::Refuse(_) => "connections refused",
            Self::Delay(..) => "delay",
            Self::Truncate(..) => "answers truncated",
            Self::BlackHole(_) => "black hole",
            Self::AtCommit(CommitSide::Before, _) => "cut before COMMIT",
            Self::AtCommit(CommitSide::After, _) => "cut after COMMIT",
        }
    }

    fn target(self) -> Target {
        match self {
            Self::Kill(service) | Self::Pause(service) => Target::Server(Server::Service(service)),
            Self::KillDatabase | Self::RestartDatabase => Target::Server(Server::Database),
            Self::Cut(link)
            | Self::Refuse(link)
            | Self::Delay(link, _)
            | Self::Truncate(link, _)
            | Self::BlackHole(link) => Target::Link(link),
            Self::AtCommit(..) => Target::Link(Link::ORDERS_TO_DATABASE),
        }
    }

    fn lasts(self, rng: &mut ChaCha12Rng) -> Duration {
        let milliseconds = match self {
            Self::Cut(_) => 0..=0,
            Self::Kill(_) | Self::KillDatabase | Self::RestartDatabase => 0..=2_000,
            Self::Pause(_) => 1_000..=8_000,
            Self::AtCommit(..) => 4_000..=8_000,
            Self::Refuse(_) | Self::Delay(..) | Self::Truncate(..) | Self::BlackHole(_) => 500..=8_000,
        };
        Duration::from_millis(rng.random_range(milliseconds))
    }

    /// How much longer it takes until a new process serves.
    fn start_allowance(self) -> Duration {
        match self {
            Self::Kill(_) => Duration::from_secs(1),
            Self::KillDatabase | Self::RestartDatabase => Duration::from_secs(4),
            _ => Duration::ZERO,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Kill(service) | Self::Pause(service) => write!(f, "{kind}: {}", service.name()),
            Self::KillDatabase | Self::RestartDatabase => f.write_str(kind),
            Self::Cut(link) | Self::Refuse(link) | Self::BlackHole(link) => write!(f, "{kind}: {link}"),
            Self::Delay(link, delay) => write!(f, "{kind} of {} ms: {link}", delay.as_millis()),
            Self::Truncate(link, percent) => write!(f, "{kind} after {percent} %: {link}"),
            Self::AtCommit(_, commits) => write!(f, "{kind}: the next {commits}"),
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
        self.starts + self.lasts + self.fault.start_allowance()
    }
}

/// One fault, or two at once. Afterwards the system is left alone for a while.
pub(crate) type Episode = Vec<Planned>;

/// The faults of a run of this length.
pub(crate) fn schedule(seed: u64, length: Duration) -> Vec<Episode> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let mut pool = one_of_each_kind(shuffled_pool(&mut rng));
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

fn one_of_each_kind(mut pool: Vec<Fault>) -> Vec<Fault> {
    let mut seen = BTreeSet::new();
    pool.retain(|fault| seen.insert(fault.kind()));
    pool
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
        let delay = Duration::from_millis(rng.random_range(50..=3_000));
        let percent = rng.random_range(5..=95);
        pool.extend([Fault::Cut(link), Fault::Refuse(link), Fault::BlackHole(link)]);
        pool.extend([Fault::Delay(link, delay), Fault::Truncate(link, percent)]);
    }
    for _ in 0..COMMITS {
        pool.push(Fault::AtCommit(CommitSide::Before, rng.random_range(1..=5)));
        pool.push(Fault::AtCommit(CommitSide::After, rng.random_range(1..=5)));
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
