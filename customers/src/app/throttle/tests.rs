//! Tests of the throttle with a simulated clock.

use proptest::prelude::*;

use super::*;

const OWNER: &str = "192.0.2.1";
const ATTACKER: &str = "198.51.100.7";

fn attempt(key: &str, address: &str) -> LoginAttempt {
    LoginAttempt::new(key, address.parse().unwrap())
}

/// Returns the nth of many IPv4 addresses.
fn address(n: u32) -> String {
    std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).to_string()
}

fn fail(throttle: &Throttle, attempt: &LoginAttempt, times: usize, now: Instant) {
    for _ in 0..times {
        throttle.admit(attempt, now).unwrap();
    }
}

fn wait(throttle: &Throttle, attempt: &LoginAttempt, now: Instant) -> u64 {
    throttle.check(attempt, now).err().map_or(0, |too_many| too_many.wait.as_secs())
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn pair_allows_five_failures_then_one_every_thirty_seconds() {
    let (throttle, ann, now) = (Throttle::new(), attempt("ann", ATTACKER), Instant::now());
    fail(&throttle, &ann, 4, now);
    assert_eq!(wait(&throttle, &ann, now), 0);
    fail(&throttle, &ann, 1, now);
    assert_eq!(wait(&throttle, &ann, now), 30);
    assert_eq!(wait(&throttle, &ann, now + seconds(29)), 1);
    let later = now + seconds(30);
    assert_eq!(wait(&throttle, &ann, later), 0);
    fail(&throttle, &ann, 1, later);
    assert_eq!(wait(&throttle, &ann, later), 30);
    assert_eq!(wait(&throttle, &ann, later + seconds(150)), 0);
}

#[test]
fn ipv6_addresses_of_one_64_network_share_a_bucket() {
    let (throttle, now) = (Throttle::new(), Instant::now());
    fail(&throttle, &attempt("ann", "2001:db8:1:2::1"), 5, now);
    assert_eq!(wait(&throttle, &attempt("ann", "2001:db8:1:2:ffff::9"), now), 30);
    assert_eq!(wait(&throttle, &attempt("ann", "2001:db8:1:3::1"), now), 0);
    fail(&throttle, &attempt("bob", "::ffff:192.0.2.9"), 5, now);
    assert_eq!(wait(&throttle, &attempt("bob", "192.0.2.9"), now), 30);
}

#[test]
fn success_clears_failures_of_its_own_account_only() {
    let (throttle, now) = (Throttle::new(), Instant::now());
    let (own, others) = (attempt("mallory", ATTACKER), attempt("ann", ATTACKER));
    for n in 0..25 {
        fail(&throttle, &attempt(&format!("user{n}"), ATTACKER), 1, now);
    }
    fail(&throttle, &own, 5, now);
    throttle.record_success(&own, now);
    assert_eq!(wait(&throttle, &own, now), 0);
    fail(&throttle, &own, 4, now);
    assert_eq!(wait(&throttle, &own, now), 0);
    assert!(wait(&throttle, &others, now) > 0);
}

#[test]
fn concurrent_attempts_count_each_other_and_successes_leave_no_state() {
    let (throttle, ann, now) = (Throttle::new(), attempt("ann", ATTACKER), Instant::now());
    for _ in 0..100 {
        let admitted: Vec<_> = (0..100).filter(|_| throttle.admit(&ann, now).is_ok()).collect();
        assert_eq!(admitted.len(), 5);
        for _ in admitted {
            throttle.record_success(&ann, now);
        }
    }
    let state = throttle.lock();
    assert_eq!((state.pairs.len(), state.addresses.len()), (0, 0));
}

#[test]
fn address_allows_thirty_failures_then_one_every_five_seconds() {
    let (throttle, now) = (Throttle::new(), Instant::now());
    for n in 0..30 {
        let next = attempt(&format!("user{n}"), ATTACKER);
        assert_eq!(wait(&throttle, &next, now), 0, "{n}");
        fail(&throttle, &next, 1, now);
    }
    assert_eq!(wait(&throttle, &attempt("another", ATTACKER), now), 5);
    assert_eq!(wait(&throttle, &attempt("another", OWNER), now), 0);
    assert_eq!(wait(&throttle, &attempt("another", ATTACKER), now + seconds(5)), 0);
}

#[test]
fn attempts_from_other_addresses_never_throttle_the_owner() {
    let (throttle, owner, now) = (Throttle::new(), attempt("ann", OWNER), Instant::now());
    throttle.record_success(&owner, now);
    let mut admitted = 0;
    for n in 0..1_000 {
        let attacker = attempt("ann", &address(n));
        admitted += usize::from(throttle.admit(&attacker, now).is_ok());
        assert_eq!(wait(&throttle, &owner, now), 0);
    }
    assert_eq!(admitted, 50);
    assert_eq!(wait(&throttle, &attempt("ann", ATTACKER), now), 10);
    fail(&throttle, &owner, 4, now);
    assert_eq!(wait(&throttle, &owner, now), 0);
}

#[test]
fn capacity_is_bounded_and_the_fullest_buckets_are_kept() {
    let (throttle, now) = (Throttle::with_capacity(100), Instant::now());
    let worst = attempt("ann", ATTACKER);
    fail(&throttle, &worst, 5, now);
    for n in 0..1_000 {
        let other = attempt(&format!("user{n}"), &address(n));
        fail(&throttle, &other, 1, now);
        throttle.record_success(&attempt(&format!("owner{n}"), OWNER), now + seconds(n.into()));
    }
    assert_eq!(wait(&throttle, &worst, now), 30);
    let state = throttle.lock();
    assert_eq!((state.pairs.len(), state.addresses.len(), state.accounts.len()), (100, 100, 100));
    assert_eq!(state.trusted_sources.len(), 100);
    assert!(state.trusted_sources.contains_key(&attempt("owner999", OWNER)));
}

#[test]
fn empty_buckets_are_evicted_first() {
    let (throttle, now) = (Throttle::with_capacity(2), Instant::now());
    fail(&throttle, &attempt("old", &address(1)), 1, now);
    fail(&throttle, &attempt("new", &address(2)), 5, now + seconds(100));
    fail(&throttle, &attempt("newer", &address(3)), 1, now + seconds(100));
    assert!(wait(&throttle, &attempt("new", &address(2)), now + seconds(100)) > 0);
}

proptest! {
    /// Regardless of timing, the failures from an address never exceed the limit, and an attempt after the reported
    /// wait is allowed.
    #[test]
    fn no_timing_exceeds_the_limit_and_every_wait_ends(pauses in prop::collection::vec(0_u64..200, 1..100)) {
        let (throttle, ann, start) = (Throttle::new(), attempt("ann", ATTACKER), Instant::now());
        let (mut now, mut wrong) = (start, 0_u64);
        for pause in pauses {
            now += seconds(pause);
            match throttle.admit(&ann, now) {
                Ok(()) => wrong += 1,
                Err(TooManyAttempts { wait }) => {
                    prop_assert!(wait <= PAIR.replenish_interval);
                    prop_assert!(throttle.check(&ann, now + wait).is_ok());
                    prop_assert!(throttle.check(&ann, now + wait - seconds(1)).is_err());
                }
            }
            let passed = (now - start).as_secs();
            prop_assert!(wrong <= 5 + passed / 30);
        }
    }

    /// An owner at a trusted source is never rejected because of attempts from other addresses.
    #[test]
    fn attackers_cannot_lock_the_owner_out(attackers in prop::collection::vec((0_u32..500, 0_u64..60), 0..300)) {
        let (throttle, owner, mut now) = (Throttle::new(), attempt("ann", OWNER), Instant::now());
        throttle.record_success(&owner, now);
        for (n, pause) in attackers {
            now += seconds(pause);
            let attacker = attempt("ann", &address(n));
            drop(throttle.admit(&attacker, now));
            prop_assert!(throttle.check(&owner, now).is_ok());
        }
    }
}
