//! Sends a call again while that can help: within its time, its attempts, and what the other side can bear.
//!
//! Every call sent through here has to be repeatable: a read, or a change under one idempotency key.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use orders_client::codes;
use outbound::{Coded, Fault};
use tokio::time::{Instant, sleep, timeout_at};

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

impl Policy {
    /// The deadlines of a saga that starts now.
    pub(crate) fn deadlines(&self) -> Deadlines {
        let now = Instant::now();
        Deadlines { forward: now + self.total.saturating_sub(self.undo), undo: now + self.total }
    }

    /// A pause of a random length, so that those who failed together do not come back together.
    fn pause_after(&self, attempts: u32) -> Duration {
        let doubled = self.first_pause.saturating_mul(2_u32.saturating_pow(attempts - 1));
        rand::random_range(Duration::ZERO..=doubled.min(self.longest_pause))
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

/// What came of a call in the end.
pub(crate) struct Tried<T, E> {
    pub(crate) result: Result<T, Fault<E>>,
    /// How often it was sent.
    pub(crate) attempts: u32,
    /// Whether an attempt that failed may have been carried out all the same.
    pub(crate) unsure: bool,
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
    let (mut attempts, mut unsure) = (0, false);
    loop {
        attempts += 1;
        let limit = until.min(Instant::now() + policy.attempt);
        let result = timeout_at(limit, send()).await.unwrap_or(Err(Fault::TimedOut));
        let fault = match result {
            Ok(answer) => return Tried { result: Ok(answer), attempts, unsure },
            Err(fault) => fault,
        };
        unsure |= may_have_been_carried_out(&fault);
        let pause = policy.pause_after(attempts).max(fault.retry_after().unwrap_or_default());
        // The other side may ask for a pause of any length.
        let in_time = Instant::now().checked_add(pause).is_some_and(|next| next < until);
        let again = fault.may_pass() && attempts < policy.attempts && in_time;
        if !again || !budget.take_out() {
            return Tried { result: Err(fault), attempts, unsure };
        }
        sleep(pause).await;
    }
}

/// Whether the call may have had its effect, though nobody says so. Of what may pass, only these say that nothing was done;
/// a gateway's answer, with whatever number of its own, says nothing of the service behind it.
fn may_have_been_carried_out<E: Coded>(fault: &Fault<E>) -> bool {
    let surely_not = matches!(fault, Fault::NotSent | Fault::Answered { status: 429, .. })
        || NOTHING_DONE.iter().any(|code| fault.has_code(code));
    let says_nothing = fault.may_pass() || fault.status().is_some_and(|status| status >= 500);
    says_nothing && !surely_not
}

/// The codes by which a service says that it did nothing and may do it in a moment.
const NOTHING_DONE: [&str; 3] =
    [codes::UNAVAILABLE, codes::CUSTOMER_SERVICE_UNAVAILABLE, codes::IDEMPOTENCY_IN_PROGRESS];

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    struct Body(&'static str);

    impl Coded for Body {
        fn code(&self) -> Option<&str> {
            Some(self.0)
        }
    }

    fn answered(status: u16, code: &'static str) -> Fault<Body> {
        Fault::Answered { status, retry_after: None, body: Some(Body(code)) }
    }

    /// Lets the attempts fail with these faults, and the one after them succeed. Gives when each was made.
    async fn attempts(until: Duration, faults: Vec<Fault<Body>>) -> (Tried<(), Body>, Vec<Duration>) {
        let (start, faults, made) = (Instant::now(), RefCell::new(faults), RefCell::new(Vec::new()));
        let tried = call(&Policy::default(), &RetryBudget::full(), start + until, async || {
            made.borrow_mut().push(start.elapsed());
            let mut faults = faults.borrow_mut();
            if faults.is_empty() { Ok(()) } else { Err(faults.remove(0)) }
        })
        .await;
        (tried, made.into_inner())
    }

    const LONG: Duration = Duration::from_secs(15);

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_sent_again_and_what_is_final_is_not() {
        let passing = [408, 429, 500, 502, 503, 504].map(|status| answered(status, "any"));
        let broken = [Fault::NotSent, Fault::TimedOut, Fault::Broken, answered(409, "idempotency_in_progress")];
        for fault in passing.into_iter().chain(broken) {
            let (tried, made) = attempts(LONG, vec![fault]).await;
            assert!(tried.result.is_ok());
            assert_eq!((tried.attempts, made.len()), (2, 2));
        }
        let codes = [400, 401, 403, 404, 409, 412, 422].map(|status| answered(status, "any"));
        for fault in codes.into_iter().chain([Fault::Invalid(String::new())]) {
            let (tried, _) = attempts(LONG, vec![fault]).await;
            assert!(tried.result.is_err());
            assert_eq!((tried.attempts, tried.unsure), (1, false));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_an_attempt_that_surely_did_nothing_leaves_no_doubt() {
        let sure = [
            Fault::NotSent,
            answered(429, "any"),
            answered(503, "unavailable"),
            answered(503, "customer_service_unavailable"),
            answered(504, "customer_service_unavailable"),
            answered(409, "idempotency_in_progress"),
        ];
        for fault in sure {
            assert!(!attempts(LONG, vec![fault]).await.0.unsure);
        }
        let unsure = [Fault::TimedOut, Fault::Broken, answered(503, "outcome_unknown"), answered(500, "internal")];
        let gateways = [501, 520, 561].map(|status| answered(status, "any"));
        for fault in unsure.into_iter().chain(gateways) {
            assert!(attempts(LONG, vec![fault, Fault::NotSent]).await.0.unsure);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_sent_four_times_at_most_with_short_pauses() {
        let (tried, made) = attempts(LONG, (0..9).map(|_| Fault::NotSent).collect()).await;
        assert!(tried.result.is_err());
        assert_eq!(made.len(), 4);
        assert!(made[3] <= Duration::from_millis(50 + 100 + 200 + 3), "{made:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_without_an_answer_ends_after_two_seconds() {
        let start = Instant::now();
        let policy = Policy { attempts: 1, ..Policy::default() };
        let tried =
            call(&policy, &RetryBudget::full(), start + LONG, std::future::pending::<Result<(), Fault<Body>>>).await;
        assert!(matches!(tried.result, Err(Fault::TimedOut)) && tried.unsure);
        assert!((2000..2010).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_ends_at_the_latest_when_the_time_is_up() {
        let start = Instant::now();
        let until = start + Duration::from_secs(1);
        let send = std::future::pending::<Result<(), Fault<Body>>>;
        let tried = call(&Policy::default(), &RetryBudget::full(), until, send).await;
        assert!(matches!(tried.result, Err(Fault::TimedOut)) && tried.attempts == 1);
        assert!((1000..1010).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn one_attempt_in_doubt_leaves_a_doubt_whatever_comes_after_it() {
        for later in [vec![], vec![Fault::NotSent], vec![Fault::TimedOut], vec![answered(400, "any")]] {
            let faults = [Fault::TimedOut].into_iter().chain(later).collect();
            assert!(attempts(LONG, faults).await.0.unsure);
        }
        assert!(!attempts(LONG, vec![Fault::NotSent, answered(400, "any")]).await.0.unsure);
    }

    #[tokio::test(start_paused = true)]
    async fn a_saga_has_15_seconds_to_go_forward_and_5_more_to_go_back() {
        let Deadlines { forward, undo } = Policy::default().deadlines();
        assert_eq!((forward - Instant::now(), undo - Instant::now()), (LONG, Duration::from_secs(20)));
    }

    #[test]
    fn a_pause_has_any_length_below_a_limit_that_doubles() {
        for (attempts, limit) in [(1, 50), (2, 100), (3, 200), (4, 400), (6, 1000), (40, 1000)] {
            let pauses = (0..1000).map(|_| Policy::default().pause_after(attempts).as_millis());
            let (least, most) = pauses.fold((limit, 0), |(least, most), pause| (least.min(pause), most.max(pause)));
            // Of a thousand pauses, some lie in the lowest tenth and some in the highest.
            assert!(least <= limit / 10 && most >= limit * 9 / 10 && most <= limit, "{attempts}: {least} to {most}");
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
    async fn the_other_side_decides_how_long_to_wait_while_there_is_time() {
        let busy = |seconds| Fault::Answered {
            status: 503,
            retry_after: Some(Duration::from_secs(seconds)),
            body: Some(Body("any")),
        };
        let (tried, made) = attempts(LONG, vec![busy(3)]).await;
        assert!(tried.result.is_ok());
        assert!((3000..3010).contains(&made[1].as_millis()), "{made:?}");
        for too_long in [15, u64::MAX] {
            let (tried, made) = attempts(LONG, vec![busy(too_long)]).await;
            assert!(tried.result.is_err());
            assert_eq!(made.len(), 1);
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
