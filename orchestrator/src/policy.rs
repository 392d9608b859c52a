//! Time limits and retry policy of a saga.

use std::time::Duration;

use client_common::Retry;
use tokio::time::Instant;

/// Time limits and retry policy of a saga.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Retry policy for each upstream call. Its `total` limits the whole saga, including compensation.
    pub retry: Retry,
    /// Part of `retry.total` that is reserved for compensation.
    pub compensation: Duration,
    /// Time limit for establishing a connection, which is part of an attempt.
    pub connect: Duration,
}

/// Time limit of a saga.
const SAGA_LIMIT: Duration = Duration::from_secs(20);
const _: () = assert!(SAGA_LIMIT.as_millis() <= common_server::OPERATION_LIMIT.as_millis());

impl Default for Policy {
    fn default() -> Self {
        Self {
            retry: Retry { attempt: Duration::from_secs(2), total: SAGA_LIMIT, ..Retry::default() },
            compensation: Duration::from_secs(5),
            connect: Duration::from_millis(500),
        }
    }
}

/// Deadlines of a saga's two phases.
#[derive(Clone, Copy)]
pub(crate) struct Deadlines {
    pub(crate) steps: Instant,
    pub(crate) compensation: Instant,
}

/// Time reserved for sending the response after the saga.
const RESPONSE_RESERVE: Duration = Duration::from_millis(500);
/// Minimum time for a saga. With less time, its outcome would often be unknown, so the saga is not started.
const MIN_TOTAL: Duration = Duration::from_secs(1);

impl Policy {
    /// Returns the deadlines of a saga that starts now, or `None` if too little time remains before `answer_by`. If
    /// less time than `retry.total` remains, the time reserved for compensation is reduced proportionally.
    pub(crate) fn deadlines(&self, answer_by: Option<Instant>) -> Option<Deadlines> {
        let now = Instant::now();
        let left = answer_by.map(|time| time.saturating_duration_since(now).saturating_sub(RESPONSE_RESERVE));
        let total = left.map_or(self.retry.total, |left| left.min(self.retry.total));
        if total < MIN_TOTAL {
            return None;
        }
        let compensation = self.compensation.mul_f64(total.div_duration_f64(self.retry.total));
        Some(Deadlines { steps: now + total.saturating_sub(compensation), compensation: now + total })
    }

    /// Returns the retry policy for an upstream call that must end by the deadline.
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
        const UNCHANGED_CODES: &'static [&'static str] = &[];

        fn code(&self) -> Option<&str> {
            None
        }
    }

    #[test]
    fn default_policy_allows_four_attempts_of_two_seconds() {
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
    async fn call_stops_at_the_step_deadline() {
        let deadline = Instant::now() + Duration::from_secs(3);
        let silent = std::future::pending::<Result<(), Fault<Body>>>;
        let retry = Policy::default().retry_until(deadline);
        let attempts = retry.repeatable_within(&RetryBudget::default(), silent).await;
        assert!(matches!(attempts.result, Err(Fault::TimedOut)) && attempts.count == 2);
        assert!(deadline.elapsed() < Duration::from_millis(10), "{:?}", deadline.elapsed());
    }

    /// Returns the time limits of the steps and of the whole saga if the response is due within `answer_within`
    /// milliseconds.
    fn time_limits(answer_within: Option<u64>) -> Option<(Duration, Duration)> {
        let now = Instant::now();
        let answer_by = answer_within.map(|millis| now + Duration::from_millis(millis));
        let Deadlines { steps, compensation } = Policy::default().deadlines(answer_by)?;
        Some((steps - now, compensation - now))
    }

    #[tokio::test(start_paused = true)]
    async fn saga_gets_15_s_for_steps_and_5_s_for_compensation() {
        for enough in [None, Some(20_500), Some(28_000), Some(u64::MAX / 1_000_000)] {
            let expected = (Duration::from_secs(15), Duration::from_secs(20));
            assert_eq!(time_limits(enough), Some(expected), "{enough:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn shorter_time_limit_reserves_a_quarter_for_compensation() {
        let seconds = |steps, total| Some((Duration::from_secs_f64(steps), Duration::from_secs_f64(total)));
        assert_eq!(time_limits(Some(20_499)), seconds(14.999_25, 19.999));
        assert_eq!(time_limits(Some(3_000)), seconds(1.875, 2.5));
        assert_eq!(time_limits(Some(1_500)), seconds(0.75, 1.0));
    }

    #[tokio::test(start_paused = true)]
    async fn saga_with_less_than_one_second_is_not_started() {
        for little in [1_499, 500, 0] {
            assert_eq!(time_limits(Some(little)), None, "{little}");
        }
    }
}
