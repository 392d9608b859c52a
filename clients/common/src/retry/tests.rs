//! Retry tests with tokio's paused clock.

use std::cell::{Cell, RefCell};

use super::*;

struct Body(&'static str);

impl Coded for Body {
    const UNCHANGED_CODES: &'static [&'static str] = &["unavailable", "idempotency_in_progress"];

    fn code(&self) -> Option<&str> {
        Some(self.0)
    }
}

fn answered(status: u16, code: &'static str) -> Fault<Body> {
    Fault::Answered { status, retry_after: None, body: Some(Body(code)) }
}

fn busy(seconds: u64) -> Fault<Body> {
    Fault::Answered { status: 503, retry_after: Some(Duration::from_secs(seconds)), body: Some(Body("unavailable")) }
}

const RETRY: Retry = Retry {
    attempts: 4,
    base_delay: Duration::from_millis(50),
    max_delay: Duration::from_secs(1),
    attempt: Duration::from_secs(2),
    total: Duration::from_secs(15),
};

/// Call that fails with these faults in sequence and then succeeds. Records the time of each attempt.
struct Failing {
    faults: RefCell<Vec<Fault<Body>>>,
    start: Instant,
    times: RefCell<Vec<Duration>>,
}

impl Failing {
    fn with(faults: Vec<Fault<Body>>) -> Self {
        Self { faults: RefCell::new(faults), start: Instant::now(), times: RefCell::default() }
    }

    async fn call(&self) -> Result<(), Fault<Body>> {
        self.times.borrow_mut().push(self.start.elapsed());
        let mut faults = self.faults.borrow_mut();
        if faults.is_empty() { Ok(()) } else { Err(faults.remove(0)) }
    }

    fn attempts(&self) -> usize {
        self.times.borrow().len()
    }
}

/// Sends a repeatable call that fails with these faults.
async fn attempts(faults: Vec<Fault<Body>>) -> (Attempts<(), Body>, Vec<Duration>) {
    let failing = Failing::with(faults);
    let attempts = RETRY.repeatable_within(&RetryBudget::default(), || failing.call()).await;
    (attempts, failing.times.into_inner())
}

fn retries(count: u32) -> RetryBudget {
    RetryBudget { tenths: AtomicU32::new(count * RetryBudget::RETRY) }
}

#[tokio::test(start_paused = true)]
async fn transient_faults_are_retried_and_final_ones_are_not() {
    let passing = [408, 429, 500, 502, 503, 504].map(|status| answered(status, "any"));
    let broken = [Fault::NotSent, Fault::TimedOut, Fault::Broken, answered(409, "idempotency_in_progress")];
    for fault in passing.into_iter().chain(broken) {
        let failing = Failing::with(vec![fault]);
        assert!(RETRY.repeatable(|| failing.call()).await.is_ok());
        assert_eq!(failing.attempts(), 2);
    }
    let codes = [400, 401, 403, 404, 409, 412, 422, 501].map(|status| answered(status, "any"));
    for fault in codes.into_iter().chain([Fault::Invalid(String::new())]) {
        let failing = Failing::with(vec![fault]);
        assert!(RETRY.repeatable(|| failing.call()).await.is_err());
        assert_eq!(failing.attempts(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unrepeatable_call_is_retried_only_if_it_was_not_executed() {
    let not_executed = [Fault::NotSent, answered(429, "any"), busy(1), answered(409, "idempotency_in_progress")];
    for fault in not_executed {
        let failing = Failing::with(vec![fault]);
        assert!(RETRY.unrepeatable(|| failing.call()).await.is_ok());
        assert_eq!(failing.attempts(), 2);
    }
    let ambiguous = [Fault::TimedOut, Fault::Broken, answered(503, "outcome_unknown"), answered(500, "internal")];
    let gateway = Fault::Answered { status: 502, retry_after: None, body: None };
    for fault in ambiguous.into_iter().chain([gateway, answered(408, "any")]) {
        let failing = Failing::with(vec![Fault::NotSent, fault]);
        let fault = RETRY.unrepeatable(|| failing.call()).await.err().unwrap();
        assert!(fault.may_have_been_executed(), "{fault}");
        assert_eq!(failing.attempts(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn one_ambiguous_attempt_makes_the_call_ambiguous_regardless_of_later_attempts() {
    let gateways = [501, 520, 561].map(|status| answered(status, "any"));
    for fault in [Fault::TimedOut, Fault::Broken, answered(503, "outcome_unknown")].into_iter().chain(gateways) {
        assert!(attempts(vec![fault]).await.0.ambiguous);
    }
    for later in [Fault::NotSent, Fault::TimedOut, answered(400, "any")] {
        assert!(attempts(vec![Fault::TimedOut, later]).await.0.ambiguous);
    }
    assert!(!attempts(vec![Fault::NotSent, answered(400, "any")]).await.0.ambiguous);
    assert!(!attempts(vec![busy(0), answered(409, "idempotency_in_progress")]).await.0.ambiguous);
}

#[tokio::test(start_paused = true)]
async fn a_call_has_at_most_four_attempts_with_short_backoffs() {
    let (attempts, times) = attempts((0..9).map(|_| Fault::NotSent).collect()).await;
    assert!(attempts.result.is_err());
    assert_eq!((attempts.count, times.len()), (4, 4));
    assert!(times[3] <= Duration::from_millis(50 + 100 + 200 + 3), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_withdrawn_only_if_it_is_sent() {
    let budget = retries(2);
    let failing = Failing::with((0..9).map(|_| Fault::NotSent).collect());
    assert_eq!(RETRY.repeatable_within(&budget, || failing.call()).await.count, 3);
    assert!(!budget.withdraw());
    let budget = retries(2);
    for last in [Failing::with(vec![answered(404, "any")]), Failing::with(vec![busy(15)])] {
        assert_eq!(RETRY.repeatable_within(&budget, || last.call()).await.count, 1);
    }
    let failing = Failing::with(vec![Fault::NotSent]);
    let once = Retry { attempts: 1, ..RETRY };
    assert_eq!(once.repeatable_within(&budget, || failing.call()).await.count, 1);
    assert_eq!([(); 3].map(|()| budget.withdraw()), [true, true, false]);
}

#[test]
fn a_full_budget_has_a_hundred_retries_and_ten_calls_deposit_one() {
    let budget = RetryBudget::default();
    budget.deposit();
    let retries = |budget: &RetryBudget| (0..1000).filter(|_| budget.withdraw()).count();
    assert_eq!(retries(&budget), 100);
    for (calls, deposited) in [(9, 0), (1, 1), (10, 1), (25, 2), (5, 1)] {
        (0..calls).for_each(|_| budget.deposit());
        assert_eq!(retries(&budget), deposited);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenth_of_the_calls_is_retried_while_all_fail() {
    let (budget, sent) = (RetryBudget::default(), Cell::new(0));
    for _ in 0..10_000 {
        let fail = async || {
            sent.set(sent.get() + 1);
            Err::<(), _>(Fault::<Body>::NotSent)
        };
        RETRY.repeatable_within(&budget, fail).await;
    }
    // The budget was full at the first call, so that call deposited nothing.
    assert_eq!(sent.get(), 10_000 + 1_000 + 100 - 1);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_times_out_after_its_limit_or_the_total_limit() {
    let silent = std::future::pending::<Result<(), Fault<Body>>>;
    let once = Retry { attempts: 1, ..RETRY };
    let short = Retry { total: Duration::from_secs(1), ..RETRY };
    for (retry, took) in [(once, 2000), (short, 1000)] {
        let start = Instant::now();
        let attempts = retry.repeatable_within(&RetryBudget::default(), silent).await;
        assert!(matches!(attempts.result, Err(Fault::TimedOut)) && attempts.ambiguous && attempts.count == 1);
        assert!((took..took + 10).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honored_within_the_total_limit() {
    let (waited, times) = attempts(vec![busy(3)]).await;
    assert!(waited.result.is_ok());
    assert!((3000..3010).contains(&times[1].as_millis()), "{times:?}");
    for too_long in [15, u64::MAX] {
        let (failed, times) = attempts(vec![busy(too_long)]).await;
        assert!(failed.result.is_err());
        assert_eq!(times.len(), 1);
    }
}

#[test]
fn a_backoff_is_random_below_a_limit_that_doubles() {
    for (attempts, limit) in [(1, 50), (2, 100), (3, 200), (4, 400), (6, 1000), (40, 1000)] {
        let backoffs = (0..1000).map(|_| RETRY.backoff(attempts, &Fault::<Body>::NotSent).as_millis());
        let (least, most) = backoffs.fold((limit, 0), |(least, most), backoff| (least.min(backoff), most.max(backoff)));
        // Of a thousand backoffs, some lie in the lowest tenth and some in the highest.
        assert!(least <= limit / 10 && most >= limit * 9 / 10 && most <= limit, "{attempts}: {least} to {most}");
    }
}
