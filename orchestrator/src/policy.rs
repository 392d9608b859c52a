//! How long the work may take, and how much trying again the other side can bear. The trying itself is `outbound`'s.
//!
//! Every call sent through here has to be repeatable: a read, or a change under one idempotency key.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use client_common::{Coded, Fault, Retry, Tried};
use tokio::time::Instant;

use crate::saga::Deadlines;

/// How long the work may take and how it is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// The whole saga.
    pub total: Duration,
    /// What is kept of it for taking back.
    pub undo: Duration,
    /// One attempt of one call.
    pub attempt: Duration,
    /// Getting a connection, within an attempt.
    pub connect: Duration,
    /// How often a call is sent at most.
    pub attempts: u32,
    /// The longest pause after the first attempt; doubled with each further one. The actual pause is random below it.
    pub first_pause: Duration,
    /// The longest pause after any attempt.
    pub longest_pause: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(20),
            undo: Duration::from_secs(5),
            attempt: Duration::from_secs(2),
            connect: Duration::from_millis(500),
            attempts: 4,
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(1),
        }
    }
}

/// What it takes to tell the caller, once the saga has ended.
const TO_ANSWER: Duration = Duration::from_millis(500);
/// A saga that has less than this had better not begin: it would end in doubt.
const SHORTEST: Duration = Duration::from_secs(1);

impl Policy {
    /// The deadlines of a saga that starts now. Where it has less than its time until it has to be answered, the part that is
    /// kept for taking back shrinks with the whole. None where it has too little to begin.
    pub(crate) fn deadlines(&self, answer_by: Option<Instant>) -> Option<Deadlines> {
        let now = Instant::now();
        let left = answer_by.map(|moment| moment.saturating_duration_since(now).saturating_sub(TO_ANSWER));
        let total = left.map_or(self.total, |left| left.min(self.total));
        if total < SHORTEST {
            return None;
        }
        let undo = self.undo.mul_f64(total.div_duration_f64(self.total));
        Some(Deadlines { forward: now + total.saturating_sub(undo), undo: now + total })
    }

    /// How one call is tried that has to be done with by then.
    fn retry(&self, until: Instant) -> Retry {
        let &Self { total: _, undo: _, attempt, connect: _, attempts, first_pause, longest_pause } = self;
        let total = until.saturating_duration_since(Instant::now());
        Retry { attempts, first_pause, longest_pause, attempt, total }
    }
}

/// Keeps retries to a tenth of the calls while the other side is in trouble. Each call pays in a tenth of a retry, each
/// retry takes one out.
pub(crate) struct RetryBudget {
    tenths: AtomicU32,
}

impl RetryBudget {
    /// A hundred retries: short trouble is ridden out in full.
    const FULL: u32 = 1000;
    const RETRY: u32 = 10;

    pub(crate) fn full() -> Self {
        Self { tenths: AtomicU32::new(Self::FULL) }
    }

    fn pay_in(&self) {
        let _ = self
            .tenths
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tenths| (tenths < Self::FULL).then_some(tenths + 1));
    }

    fn take_out(&self) -> bool {
        let take = |tenths: u32| tenths.checked_sub(Self::RETRY);
        self.tenths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// Sends a call until it is answered for good, or `until`.
pub(crate) async fn call<T, E: Coded, F>(
    policy: &Policy,
    budget: &RetryBudget,
    until: Instant,
    send: impl Fn() -> F,
) -> Tried<T, E>
where
    F: Future<Output = Result<T, Fault<E>>>,
{
    budget.pay_in();
    policy.retry(until).repeatable_if(|| budget.take_out(), send).await
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    struct Body;

    impl Coded for Body {
        const NOTHING_DONE: &'static [&'static str] = &[];

        fn code(&self) -> Option<&str> {
            None
        }
    }

    const LONG: Duration = Duration::from_secs(15);

    #[test]
    fn a_call_has_four_attempts_of_two_seconds_with_short_pauses() {
        let expected = Retry {
            attempts: 4,
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(1),
            attempt: Duration::from_secs(2),
            total: Duration::ZERO,
        };
        assert_eq!(Policy::default().retry(Instant::now()), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_ends_when_the_time_of_its_step_is_up() {
        let until = Instant::now() + Duration::from_secs(3);
        let silent = std::future::pending::<Result<(), Fault<Body>>>;
        let tried = call(&Policy::default(), &RetryBudget::full(), until, silent).await;
        assert!(matches!(tried.result, Err(Fault::TimedOut)) && tried.attempts == 2);
        assert!(until.elapsed() < Duration::from_millis(10), "{:?}", until.elapsed());
    }

    /// How long a saga may go forward, and how long it takes at most, if it has to be answered within so many milliseconds.
    fn budget(answer_within: Option<u64>) -> Option<(Duration, Duration)> {
        let now = Instant::now();
        let answer_by = answer_within.map(|millis| now + Duration::from_millis(millis));
        let Deadlines { forward, undo } = Policy::default().deadlines(answer_by)?;
        Some((forward - now, undo - now))
    }

    #[tokio::test(start_paused = true)]
    async fn a_saga_has_15_seconds_to_go_forward_and_5_more_to_go_back() {
        for enough in [None, Some(20_500), Some(28_000), Some(u64::MAX / 1_000_000)] {
            assert_eq!(budget(enough), Some((LONG, Duration::from_secs(20))), "{enough:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_saga_that_has_to_be_answered_sooner_keeps_a_quarter_of_its_time_for_going_back() {
        let seconds = |forward, total| Some((Duration::from_secs_f64(forward), Duration::from_secs_f64(total)));
        assert_eq!(budget(Some(20_499)), seconds(14.999_25, 19.999));
        assert_eq!(budget(Some(3_000)), seconds(1.875, 2.5));
        assert_eq!(budget(Some(1_500)), seconds(0.75, 1.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_saga_that_has_less_than_a_second_does_not_begin() {
        for little in [1_499, 500, 0] {
            assert_eq!(budget(Some(little)), None, "{little}");
        }
    }

    #[test]
    fn a_hundred_retries_are_saved_up_and_ten_calls_pay_for_one() {
        let budget = RetryBudget::full();
        budget.pay_in();
        let retries = |budget: &RetryBudget| (0..1000).filter(|_| budget.take_out()).count();
        assert_eq!(retries(&budget), 100);
        for (calls, paid_for) in [(9, 0), (1, 1), (10, 1), (25, 2), (5, 1)] {
            (0..calls).for_each(|_| budget.pay_in());
            assert_eq!(retries(&budget), paid_for);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn while_everything_fails_a_tenth_is_sent_again() {
        let (policy, budget) = (Policy::default(), RetryBudget::full());
        let sent = RefCell::new(0);
        for _ in 0..10_000 {
            let fail = async || {
                *sent.borrow_mut() += 1;
                Err::<(), _>(Fault::<Body>::NotSent)
            };
            call(&policy, &budget, Instant::now() + LONG, fail).await;
        }
        // The very first call found the budget full and paid nothing in.
        assert_eq!(sent.into_inner(), 10_000 + 1_000 + 100 - 1);
    }
}
