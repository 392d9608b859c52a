//! The throttle alone, with a clock that the tests move.

use proptest::prelude::*;

use super::*;

const OWNER: &str = "192.0.2.1";
const STRANGER: &str = "198.51.100.7";

fn guess(key: &str, from: &str) -> Guess {
    Guess::new(key, from.parse().unwrap())
}

/// The nth of many addresses.
fn address(n: u32) -> String {
    std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).to_string()
}

fn fail(throttle: &Throttle, guess: &Guess, times: usize, now: Instant) {
    for _ in 0..times {
        throttle.begin(guess, now).unwrap();
    }
}

fn wait(throttle: &Throttle, guess: &Guess, now: Instant) -> u64 {
    throttle.check(guess, now).err().map_or(0, |too_many| too_many.wait.as_secs())
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn five_wrong_passwords_and_then_one_every_thirty_seconds() {
    let (throttle, ann, now) = (Throttle::new(), guess("ann", STRANGER), Instant::now());
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
fn the_second_half_of_an_ipv6_address_tells_nothing_apart() {
    let (throttle, now) = (Throttle::new(), Instant::now());
    fail(&throttle, &guess("ann", "2001:db8:1:2::1"), 5, now);
    assert_eq!(wait(&throttle, &guess("ann", "2001:db8:1:2:ffff::9"), now), 30);
    assert_eq!(wait(&throttle, &guess("ann", "2001:db8:1:3::1"), now), 0);
    fail(&throttle, &guess("bob", "::ffff:192.0.2.9"), 5, now);
    assert_eq!(wait(&throttle, &guess("bob", "192.0.2.9"), now), 30);
}

#[test]
fn the_right_password_forgives_the_wrong_ones_of_its_account_only() {
    let (throttle, now) = (Throttle::new(), Instant::now());
    let (own, others) = (guess("mallory", STRANGER), guess("ann", STRANGER));
    for n in 0..25 {
        fail(&throttle, &guess(&format!("user{n}"), STRANGER), 1, now);
    }
    fail(&throttle, &own, 5, now);
    throttle.succeeded(&own, now);
    assert_eq!(wait(&throttle, &own, now), 0);
    fail(&throttle, &own, 4, now);
    assert_eq!(wait(&throttle, &own, now), 0);
    assert!(wait(&throttle, &others, now) > 0);
}

#[test]
fn guesses_that_are_compared_at_the_same_moment_see_each_other_and_right_ones_leave_nothing_behind() {
    let (throttle, ann, now) = (Throttle::new(), guess("ann", STRANGER), Instant::now());
    for _ in 0..100 {
        let begun: Vec<_> = (0..100).filter(|_| throttle.begin(&ann, now).is_ok()).collect();
        assert_eq!(begun.len(), 5);
        for _ in begun {
            throttle.succeeded(&ann, now);
        }
    }
    let counts = throttle.counts();
    assert_eq!((counts.pairs.len(), counts.addresses.len()), (0, 0));
}

#[test]
fn one_address_may_get_thirty_wrong_and_then_one_every_five_seconds() {
    let (throttle, now) = (Throttle::new(), Instant::now());
    for n in 0..30 {
        let next = guess(&format!("user{n}"), STRANGER);
        assert_eq!(wait(&throttle, &next, now), 0, "{n}");
        fail(&throttle, &next, 1, now);
    }
    assert_eq!(wait(&throttle, &guess("another", STRANGER), now), 5);
    assert_eq!(wait(&throttle, &guess("another", OWNER), now), 0);
    assert_eq!(wait(&throttle, &guess("another", STRANGER), now + seconds(5)), 0);
}

#[test]
fn a_thousand_strangers_slow_each_other_down_but_never_the_owner() {
    let (throttle, owner, now) = (Throttle::new(), guess("ann", OWNER), Instant::now());
    throttle.succeeded(&owner, now);
    let mut tried = 0;
    for n in 0..1_000 {
        let stranger = guess("ann", &address(n));
        tried += usize::from(throttle.begin(&stranger, now).is_ok());
        assert_eq!(wait(&throttle, &owner, now), 0);
    }
    assert_eq!(tried, 50);
    assert_eq!(wait(&throttle, &guess("ann", STRANGER), now), 10);
    fail(&throttle, &owner, 4, now);
    assert_eq!(wait(&throttle, &owner, now), 0);
}

#[test]
fn what_is_remembered_is_bounded_and_the_worst_is_remembered_longest() {
    let (throttle, now) = (Throttle::remembering(100), Instant::now());
    let worst = guess("ann", STRANGER);
    fail(&throttle, &worst, 5, now);
    for n in 0..1_000 {
        let other = guess(&format!("user{n}"), &address(n));
        fail(&throttle, &other, 1, now);
        throttle.succeeded(&guess(&format!("home{n}"), OWNER), now + seconds(n.into()));
    }
    assert_eq!(wait(&throttle, &worst, now), 30);
    let counts = throttle.counts();
    assert_eq!((counts.pairs.len(), counts.addresses.len(), counts.accounts.len()), (100, 100, 100));
    assert_eq!(counts.at_home.len(), 100);
    assert!(counts.at_home.contains_key(&guess("home999", OWNER)));
}

#[test]
fn what_has_recovered_makes_room_before_anything_else() {
    let (throttle, now) = (Throttle::remembering(2), Instant::now());
    fail(&throttle, &guess("old", &address(1)), 1, now);
    fail(&throttle, &guess("new", &address(2)), 5, now + seconds(100));
    fail(&throttle, &guess("newer", &address(3)), 1, now + seconds(100));
    assert!(wait(&throttle, &guess("new", &address(2)), now + seconds(100)) > 0);
}

proptest! {
    /// However guesses are spread over time, an address that honours the throttle gets no more of them wrong than the limit
    /// allows, and whoever waits as long as told is let through.
    #[test]
    fn no_timing_beats_the_limit_and_every_wait_ends(pauses in prop::collection::vec(0_u64..200, 1..100)) {
        let (throttle, ann, start) = (Throttle::new(), guess("ann", STRANGER), Instant::now());
        let (mut now, mut wrong) = (start, 0_u64);
        for pause in pauses {
            now += seconds(pause);
            match throttle.begin(&ann, now) {
                Ok(()) => wrong += 1,
                Err(TooMany { wait }) => {
                    prop_assert!(wait <= PAIR.then_every);
                    prop_assert!(throttle.check(&ann, now + wait).is_ok());
                    prop_assert!(throttle.check(&ann, now + wait - seconds(1)).is_err());
                }
            }
            let passed = (now - start).as_secs();
            prop_assert!(wrong <= 5 + passed / 30);
        }
    }

    /// Whatever strangers do, an owner who got in before and knows the password is never refused.
    #[test]
    fn nobody_locks_an_owner_out(strangers in prop::collection::vec((0_u32..500, 0_u64..60), 0..300)) {
        let (throttle, owner, mut now) = (Throttle::new(), guess("ann", OWNER), Instant::now());
        throttle.succeeded(&owner, now);
        for (n, pause) in strangers {
            now += seconds(pause);
            let stranger = guess("ann", &address(n));
            drop(throttle.begin(&stranger, now));
            prop_assert!(throttle.check(&owner, now).is_ok());
        }
    }
}
