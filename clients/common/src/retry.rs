//! Sends a call again while that can help: within its time, its attempts, and what the other side asks for.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::{Coded, Fault};

/// How a call is sent again. Only what [may pass](Fault::may_pass) is: everything else is final at once.
///
/// ```
/// # struct Body;
/// # impl client_common::Coded for Body {
/// #     const NOTHING_DONE: &'static [&'static str] = &[];
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
    /// How often the call is sent at most.
    pub attempts: u32,
    /// The longest pause after the first attempt; doubled with each further one. The actual pause is random below it, so
    /// that those who failed together do not come back together. Where the other side asks for a longer one, it gets it.
    pub first_pause: Duration,
    /// The longest pause after any attempt, unless the other side asks for a longer one.
    pub longest_pause: Duration,
    /// What one attempt may take.
    pub attempt: Duration,
    /// What all attempts and pauses may take together. A pause that would not end in time is not begun.
    pub total: Duration,
}

/// Four attempts within a minute.
impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 4,
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(1),
            attempt: Duration::from_secs(30),
            total: Duration::from_secs(60),
        }
    }
}

/// What came of a call in the end, and on the way there.
#[derive(Debug)]
pub struct Tried<T, E> {
    /// What came of the last attempt.
    pub result: Result<T, Fault<E>>,
    /// How often it was sent.
    pub attempts: u32,
    /// Whether an attempt that failed may have been carried out all the same.
    pub unsure: bool,
}

/// The moment that is so far away; one that no clock can tell counts as in a year.
fn after(time: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now + YEAR)
}

impl Retry {
    /// Sends a call that may be carried out twice without harm: one that reads, or changes something under an
    /// idempotency key, the same in each attempt. A PUT and a DELETE are repeatable, too, for whom it is enough that the
    /// work is done: one that was carried out unseen may be answered 404 or 412 the second time.
    ///
    /// # Errors
    ///
    /// The last attempt's fault.
    pub async fn repeatable<T, E: Coded, F>(&self, call: impl Fn() -> F) -> Result<T, Fault<E>>
    where
        F: Future<Output = Result<T, Fault<E>>>,
    {
        self.run(call, Fault::may_pass).await.result
    }

    /// Sends a call that must not be carried out twice. After an attempt that may have been carried out, it is not sent
    /// again, though that might help.
    ///
    /// # Errors
    ///
    /// The last attempt's fault: see [`Fault::may_have_been_carried_out`].
    pub async fn unrepeatable<T, E: Coded, F>(&self, call: impl Fn() -> F) -> Result<T, Fault<E>>
    where
        F: Future<Output = Result<T, Fault<E>>>,
    {
        self.run(call, |fault| fault.may_pass() && !fault.may_have_been_carried_out()).await.result
    }

    /// As [`repeatable`](Self::repeatable), for whom its result is not enough: asks `granted` each time before the call is
    /// sent again, and tells how it went.
    pub async fn repeatable_if<T, E: Coded, F>(&self, granted: impl Fn() -> bool, call: impl Fn() -> F) -> Tried<T, E>
    where
        F: Future<Output = Result<T, Fault<E>>>,
    {
        self.run(call, |fault| fault.may_pass() && granted()).await
    }

    async fn run<T, E: Coded, F>(&self, call: impl Fn() -> F, again: impl Fn(&Fault<E>) -> bool) -> Tried<T, E>
    where
        F: Future<Output = Result<T, Fault<E>>>,
    {
        let until = after(self.total);
        let (mut attempts, mut unsure) = (0, false);
        loop {
            attempts += 1;
            let limit = until.min(after(self.attempt));
            let fault = match timeout_at(limit, call()).await.unwrap_or(Err(Fault::TimedOut)) {
                Ok(answer) => return Tried { result: Ok(answer), attempts, unsure },
                Err(fault) => fault,
            };
            unsure |= fault.may_have_been_carried_out();
            let pause = self.pause(attempts, &fault);
            let in_time = after(pause) < until;
            if attempts >= self.attempts || !in_time || !again(&fault) {
                return Tried { result: Err(fault), attempts, unsure };
            }
            sleep(pause).await;
        }
    }

    /// The pause after this many attempts, the last of which ended so.
    pub fn pause<E>(&self, attempts: u32, fault: &Fault<E>) -> Duration {
        let doubled = self.first_pause.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)));
        let jitter = rand::random_range(Duration::ZERO..=doubled.min(self.longest_pause));
        jitter.max(fault.retry_after().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
