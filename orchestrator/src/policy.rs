//! Time limits and retries of a saga.

use std::time::Duration;

use client_common::Retry;
use tokio::time::Instant;

/// Time limits and retries of a saga.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Retries of each call. Its `total` limits the whole saga, compensation included.
    pub retry: Retry,
    /// The part of that time that is reserved for compensation.
    pub compensation: Duration,
    /// Time limit for connecting, within an attempt.
    pub connect: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            retry: Retry { attempt: Duration::from_secs(2), total: Duration::from_secs(20), ..Retry::default() },
            compensation: Duration::from_secs(5),
            connect: Duration::from_millis(500),
        }
    }
}

/// The ends of a saga's two phases.
#[derive(Clone, Copy)]
pub(crate) struct Deadlines {
    pub(crate) steps: Instant,
    pub(crate) compensation: Instant,
}

/// Reserved for sending the answer, once the saga has ended.
const ANSWER: Duration = Duration::from_millis(500);
/// A saga with less time than this is not started: its outcome would be unknown.
const SHORTEST: Duration = Duration::from_secs(1);

impl Policy {
    /// The deadlines of a saga that starts now; none if too little time is left before `answer_by`. Where the saga gets less
    /// than its usual time, the part for compensation shrinks in proportion.
    pub(crate) fn deadlines(&self, answer_by: Option<Instant>) -> Option<Deadlines> {
        let now = Instant::now();
        let left = answer_by.map(|moment| moment.saturating_duration_since(now).saturating_sub(ANSWER));
        let total = left.map_or(self.retry.total, |left| left.min(self.retry.total));
        if total < SHORTEST {
            return None;
        }
        let compensation = self.compensation.mul_f64(total.div_duration_f64(self.retry.total));
        Some(Deadlines { steps: now + total.saturating_sub(compensation), compensation: now + total })
    }

    /// The retries of a call that has to end by this deadline.
    pub(crate) fn retry_until(&self, deadline: Instant) -> Retry {
        Retry { total: deadline.saturating_duration_since(Instant::now()), ..self.retry }
    }
}

#[cfg(test)]
mod tests {
    use client_common::{Coded, Fault, RetryBudget};

    use super::*;

    struct Body;

    impl Coded for Body {
        const NOTHING_DONE: &'static [&'static str] = &[];

        fn code(&self) -> Option<&str> {
            None
        }
    }

    #[test]
    fn a_call_has_four_attempts_of_two_seconds_with_short_backoffs() {
        let expected = Retry {
            attempts: 4,
            base_delay: Duration::from_millis(50),
            max_delay: Duration::from_secs(1),
            attempt: Duration::from_secs(2),
            total: Duration::ZERO,
        };
        assert_eq!(Policy::default().retry_until(Instant::now()), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_ends_at_the_deadline_of_its_step() {
        let deadline = Instant::now() + Duration::from_secs(3);
        let silent = std::future::pending::<Result<(), Fault<Body>>>;
        let retry = Policy::default().retry_until(deadline);
        let attempts = retry.repeatable_within(&RetryBudget::default(), silent).await;
        assert!(matches!(attempts.result, Err(Fault::TimedOut)) && attempts.count == 2);
        assert!(deadline.elapsed() < Duration::from_millis(10), "{:?}", deadline.elapsed());
    }

    /// The time for steps and for the whole saga, if the answer is due within this many milliseconds.
    fn time_limits(answer_within: Option<u64>) -> Option<(Duration, Duration)> {
        let now = Instant::now();
        let answer_by = answer_within.map(|millis| now + Duration::from_millis(millis));
        let Deadlines { steps, compensation } = Policy::default().deadlines(answer_by)?;
        Some((steps - now, compensation - now))
    }

    #[tokio::test(start_paused = true)]
    async fn a_saga_has_15_seconds_for_its_steps_and_5_more_for_compensation() {
        for enough in [None, Some(20_500), Some(28_000), Some(u64::MAX / 1_000_000)] {
            let expected = (Duration::from_secs(15), Duration::from_secs(20));
            assert_eq!(time_limits(enough), Some(expected), "{enough:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_saga_that_has_to_be_answered_sooner_reserves_a_quarter_of_its_time_for_compensation() {
        let seconds = |steps, total| Some((Duration::from_secs_f64(steps), Duration::from_secs_f64(total)));
        assert_eq!(time_limits(Some(20_499)), seconds(14.999_25, 19.999));
        assert_eq!(time_limits(Some(3_000)), seconds(1.875, 2.5));
        assert_eq!(time_limits(Some(1_500)), seconds(0.75, 1.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_saga_with_less_than_a_second_is_not_started() {
        for little in [1_499, 500, 0] {
            assert_eq!(time_limits(Some(little)), None, "{little}");
        }
    }
}
