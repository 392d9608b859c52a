//! Whether and when a good client sends a request again.

use std::time::Duration;

use client_common::Retry;

use crate::outcome::Outcome;

/// For how long a client keeps trying.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// How it does.
pub(crate) const RETRY: Retry = Retry {
    attempts: u32::MAX,
    base_delay: Duration::from_millis(50),
    max_delay: Duration::from_secs(2),
    attempt: DEADLINE,
    total: DEADLINE,
};

/// The pause before the request is sent again; none where that cannot help, or might do it twice.
///
/// What is repeatable is a read, or has a key. Anything else is sent again only where it was surely not carried out. This
/// is decided here for one attempt at a time, because the history keeps each of them.
pub(crate) fn again(outcome: &Outcome, repeatable: bool, attempts: u32) -> Option<Duration> {
    let fault = outcome.as_ref().err()?;
    let may = fault.may_pass() && (repeatable || !fault.may_have_been_carried_out());
    may.then(|| RETRY.backoff(attempts, fault))
}

#[cfg(test)]
mod tests {
    use client_common::Fault;

    use super::*;
    use crate::outcome::Refusal;

    fn answered(status: u16, code: &str) -> Outcome {
        let body = Some(Refusal { code: code.to_owned(), left: None });
        Err(Fault::Answered { status, retry_after: Some(Duration::from_secs(1)), body })
    }

    #[test]
    fn what_has_no_key_is_sent_again_only_where_it_was_not_carried_out() {
        for outcome in [Err(Fault::TimedOut), Err(Fault::Broken), answered(503, "outcome_unknown")] {
            assert_eq!(again(&outcome, false, 1), None, "{outcome:?}");
            assert!(again(&outcome, true, 1).is_some(), "{outcome:?}");
        }
        for outcome in [Err(Fault::NotSent), answered(503, "unavailable")] {
            assert!(again(&outcome, false, 1).is_some(), "{outcome:?}");
        }
    }

    #[test]
    fn a_refusal_is_final_and_the_servers_wish_is_honoured() {
        assert_eq!(again(&answered(409, "insufficient_stock"), true, 1), None);
        assert_eq!(again(&answered(409, "idempotency_in_progress"), true, 1), Some(Duration::from_secs(1)));
        assert!(again(&Err(Fault::NotSent), true, 40).is_some_and(|pause| pause <= RETRY.max_delay));
    }
}
