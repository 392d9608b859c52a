//! Retries of failed calls, limited by time, number of attempts and a budget.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::{Coded, Fault};

/// Retry policy for a call. Only [transient](Fault::is_transient) faults are retried; all others are final.
///
/// ```
/// # struct Body;
/// # impl client_common::Coded for Body {
/// #     const UNCHANGED_CODES: &'static [&'static str] = &[];
/// #     fn code(&self) -> Option<&str> { None }
/// # }
/// # async fn view() -> Result<u32, client_common::Fault<Body>> { Ok(7) }
/// use std::time::Duration;
///
/// use client_common::Retry;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let patient = Retry { attempts: 10, total: Duration::from_secs(120), ..Retry::default() };
/// let answer = patient.repeatable(|| view()).await;
/// # assert!(matches!(answer, Ok(7)));
/// # });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Maximum number of attempts.
    pub attempts: u32,
    /// Upper limit of the backoff after the first attempt, which doubles with each further attempt. The backoff is a
    /// random duration up to this limit (full jitter), but never shorter than the response's `Retry-After`.
    pub base_delay: Duration,
    /// Upper limit of every backoff, unless `Retry-After` is longer.
    pub max_delay: Duration,
    /// Time limit for one attempt.
    pub attempt: Duration,
    /// Total time limit for all attempts and backoffs. A backoff that would exceed this limit is not started.
    pub total: Duration,
}

/// At most four attempts within one minute.
impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 4,
            base_delay: Duration::from_millis(50),
            max_delay: Duration::from_secs(1),
            attempt: Duration::from_secs(30),
            total: Duration::from_secs(60),
        }
    }
}

/// Summary of the attempts to execute a call.
#[derive(Debug)]
pub struct Attempts<T, E> {
    /// Result of the last attempt.
    pub result: Result<T, Fault<E>>,
    /// Number of attempts.
    pub count: u32,
    /// Whether a failed attempt may have been executed.
    pub ambiguous: bool,
}

/// Token bucket that limits retries to a tenth of all calls while a service is failing. Each call deposits a tenth of a
/// retry; each retry withdraws a whole one. The bucket starts full.
#[derive(Debug)]
pub struct RetryBudget {
    tenths: AtomicU32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { tenths: AtomicU32::new(Self::CAPACITY) }
    }
}

impl RetryBudget {
    /// One hundred retries, in tenths, so that a short outage does not exhaust the budget.
    const CAPACITY: u32 = 1000;
    const RETRY: u32 = 10;

    fn deposit(&self) {
        let add = |tenths| (tenths < Self::CAPACITY).then_some(tenths + 1);
        let _ = self.tenths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    fn withdraw(&self) -> bool {
        let subtract = |tenths: u32| tenths.checked_sub(Self::RETRY);
        self.tenths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, subtract).is_ok()
    }
}

/// Returns the instant at which this time will have elapsed, or a year from now if the clock cannot represent that
/// instant.
fn after(time: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now + YEAR)
}

impl Retry {
    /// Sends a call that may be executed twice without harm: a read, or a change under an idempotency key that is the
    /// same in each attempt. A PUT or a DELETE is repeatable if only the final state matters: if the response to the
    /// first attempt is lost, the second attempt may return 404 or 412.
    ///
    /// # Errors
    ///
    /// Returns the fault of the last attempt.
    pub async fn repeatable<T, E: Coded, F>(&self, call: impl Fn() -> F) -> Result<T, Fault<E>>
    where
        F: Future<Output = Result<T, Fault<E>>>,
    {
        self.run(call, Fault::is_transient).await.result
    }

    /// Sends a call that must not be executed twice. It is not retried after an attempt that may have been executed.
    ///
    /// # Errors
    ///
    /// Returns the fault of the last attempt. [`Fault::may_have_been_executed`] states whether the outcome is unknown.
    pub async fn unrepeatable<T, E: Coded, F>(&self, call: impl Fn() -> F) -> Result<T, Fault<E>>
    where
        F: Future<Output = Result<T, Fault<E>>>,
    {
        self.run(call, |fault| fault.is_transient() && !fault.may_have_been_executed()).await.result
    }

    /// Sends a call like [`repeatable`](Self::repeatable), withdraws each retry from a budget, and returns a summary of
    /// the attempts.
    pub async fn repeatable_within<T, E: Coded, F>(&self, budget: &RetryBudget, call: impl Fn() -> F) -> Attempts<T, E>
    where
        F: Future<Output = Result<T, Fault<E>>>,
    {
        budget.deposit();
        self.run(call, |fault| fault.is_transient() && budget.withdraw()).await
    }

    async fn run<T, E: Coded, F>(&self, call: impl Fn() -> F, retry: impl Fn(&Fault<E>) -> bool) -> Attempts<T, E>
    where
        F: Future<Output = Result<T, Fault<E>>>,
    {
        let deadline = after(self.total);
        let (mut count, mut ambiguous) = (0, false);
        loop {
            count += 1;
            let limit = deadline.min(after(self.attempt));
            let fault = match timeout_at(limit, call()).await.unwrap_or(Err(Fault::TimedOut)) {
                Ok(answer) => return Attempts { result: Ok(answer), count, ambiguous },
                Err(fault) => fault,
            };
            ambiguous |= fault.may_have_been_executed();
            let backoff = self.backoff(count, &fault);
            let in_time = after(backoff) < deadline;
            if count >= self.attempts || !in_time || !retry(&fault) {
                return Attempts { result: Err(fault), count, ambiguous };
            }
            sleep(backoff).await;
        }
    }

    /// Returns the backoff after this number of attempts. `fault` is the fault of the last attempt.
    pub fn backoff<E>(&self, attempts: u32, fault: &Fault<E>) -> Duration {
        let doubled = self.base_delay.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)));
        let jitter = rand::random_range(Duration::ZERO..=doubled.min(self.max_delay));
        jitter.max(fault.retry_after().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
