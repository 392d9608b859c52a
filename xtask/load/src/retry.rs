//! Whether and when a good client sends a request again.

use std::time::Duration;

use orders_client::codes;
use outbound::Fault;

use crate::outcome::{Outcome, Refusal};

/// For how long a client keeps trying.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The least time to wait before the request is sent again; none where that cannot help, or might do it twice.
///
/// What is repeatable is a read, or has a key. Anything else is sent again only where it was surely not carried out.
pub(crate) fn again(outcome: &Outcome, repeatable: bool) -> Option<Duration> {
    match outcome {
        Ok(_) | Err(Fault::Invalid(_)) => None,
        Err(Fault::NotSent) => Some(Duration::ZERO),
        Err(Fault::TimedOut | Fault::Broken) => repeatable.then_some(Duration::ZERO),
        Err(Fault::Answered { status, retry_after, body }) => {
            may_pass(*status, body.as_ref(), repeatable).then(|| retry_after.unwrap_or_default())
        }
    }
}

fn may_pass(status: u16, refusal: Option<&Refusal>, repeatable: bool) -> bool {
    let Some(refusal) = refusal else { return repeatable && status >= 500 };
    match refusal.left {
        // Safe, but waiting alone brings no stock.
        Some(left) => left.safe_to_retry && refusal.code != codes::INSUFFICIENT_STOCK,
        None if refusal.code == codes::IDEMPOTENCY_IN_PROGRESS => true,
        None if matches!(status, 408 | 429) => true,
        None => status >= 500 && (repeatable || refusal.nothing_done()),
    }
}

/// A pause of a random length, so that those who failed together do not come back together.
pub(crate) fn pause(attempts: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)));
    rand::random_range(Duration::ZERO..=doubled.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, code: &str) -> Outcome {
        let body = Some(Refusal { code: code.to_owned(), left: None });
        Err(Fault::Answered { status, retry_after: Some(Duration::from_secs(1)), body })
    }

    #[test]
    fn what_has_no_key_is_sent_again_only_where_it_was_not_carried_out() {
        for outcome in [Err(Fault::TimedOut), Err(Fault::Broken), answered(503, "outcome_unknown")] {
            assert_eq!(again(&outcome, false), None, "{outcome:?}");
            assert!(again(&outcome, true).is_some(), "{outcome:?}");
        }
        for outcome in [Err(Fault::NotSent), answered(503, "unavailable")] {
            assert!(again(&outcome, false).is_some(), "{outcome:?}");
        }
    }

    #[test]
    fn a_refusal_is_final_and_the_servers_wish_is_honoured() {
        assert_eq!(again(&answered(409, "insufficient_stock"), true), None);
        assert_eq!(again(&answered(409, "idempotency_in_progress"), true), Some(Duration::from_secs(1)));
        assert!(pause(40) <= LONGEST_PAUSE);
    }
}
