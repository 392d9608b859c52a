//! What a failed call means for whoever has to decide whether to send it again.

use std::fmt;
use std::time::Duration;

use progenitor_client::Error;

use crate::send::Head;

/// Of all conflicts, only this one ends by itself: the first request under the key is still running.
const IDEMPOTENCY_IN_PROGRESS: &str = "idempotency_in_progress";

/// An error body that carries a stable code.
pub trait Coded {
    /// The codes by which a service says that it did nothing and may do it in a moment.
    const NOTHING_DONE: &'static [&'static str];

    /// The code; none where the path or the method does not exist at the other side.
    fn code(&self) -> Option<&str>;

    /// Whether the very same call may be answered otherwise in a moment, where the service says so itself.
    fn may_pass(&self) -> Option<bool> {
        None
    }
}

/// Why a call gave no answer that the contract promises.
#[derive(Debug)]
pub enum Fault<E> {
    /// It never left: refused, no such host, no connection in time. Safe to send again.
    NotSent,
    /// It left, and no answer came in time. It may have been carried out.
    TimedOut,
    /// It left, and what came back was cut off or not understood. It may have been carried out.
    Broken,
    /// The other side answered with an error, or something between here and there did.
    Answered {
        /// The HTTP status.
        status: u16,
        /// How long to wait before sending it again, where the other side says so.
        retry_after: Option<Duration>,
        /// The error body; none where it is not as documented, as that of a gateway.
        body: Option<E>,
    },
    /// The client did not send it: a value is not as the contract says.
    Invalid(String),
}

impl<E> Fault<E> {
    pub(crate) fn of(error: Error<E>, head: Option<Head>) -> Self {
        // Without all of its body, nobody knows what was refused.
        let is_cut = matches!(&error, Error::ResponseBodyError(error) if !error.is_timeout());
        if is_cut && head.is_some_and(|head| head.status < 500) {
            return Self::Broken;
        }
        if let Some(Head { status: status @ 400.., retry_after }) = head {
            let body = match error {
                Error::ErrorResponse(answer) => Some(answer.into_inner()),
                _ => None,
            };
            return Self::Answered { status, retry_after, body };
        }
        match error {
            Error::InvalidRequest(problem) | Error::Custom(problem) => Self::Invalid(problem),
            Error::CommunicationError(error) | Error::ResponseBodyError(error) => error.into(),
            _ => Self::Broken,
        }
    }

    /// The code with which the other side answered: `match fault.code() { Some(codes::EMAIL_TAKEN) => …, _ => … }`.
    pub fn code(&self) -> Option<&str>
    where
        E: Coded,
    {
        self.body().and_then(Coded::code)
    }

    /// Whether the other side answered with this code: `fault.has_code(codes::EMAIL_TAKEN)`.
    pub fn has_code(&self, code: &str) -> bool
    where
        E: Coded,
    {
        self.code() == Some(code)
    }

    /// The error body: a message for people, details that name the field or the product, the id to find it in the logs.
    pub fn body(&self) -> Option<&E> {
        match self {
            Self::Answered { body, .. } => body.as_ref(),
            _ => None,
        }
    }

    /// Whether the very same call may be answered otherwise in a moment: one that was not sent, not answered in time,
    /// or answered with what cannot be understood; 408, 429, 500, 502, 503 and 504, whoever answers so; and 409 while
    /// the first request under its idempotency key is running. Everything else is final. Where the body says itself
    /// whether the call may be sent again, that decides.
    ///
    /// Only whether it can help, not whether it is allowed: see [`may_have_been_carried_out`].
    ///
    /// [`may_have_been_carried_out`]: Self::may_have_been_carried_out
    pub fn may_pass(&self) -> bool
    where
        E: Coded,
    {
        if let Some(may_pass) = self.body().and_then(Coded::may_pass) {
            return may_pass;
        }
        match self {
            Self::NotSent | Self::TimedOut | Self::Broken => true,
            Self::Answered { status: 408 | 429 | 500 | 502 | 503 | 504, .. } => true,
            Self::Answered { status: 409, .. } => self.has_code(IDEMPOTENCY_IN_PROGRESS),
            Self::Answered { .. } | Self::Invalid(_) => false,
        }
    }

    /// Whether the call may have had its effect, though nobody says so. Then it is to be sent again only if it reads, or
    /// under the same idempotency key.
    ///
    /// Of what may pass, only these say that nothing was done: a call that was not sent, 429, and the codes by which a
    /// service says so. A gateway's answer, with whatever number of its own, says nothing of the service behind it.
    pub fn may_have_been_carried_out(&self) -> bool
    where
        E: Coded,
    {
        let surely_not = matches!(self, Self::NotSent | Self::Answered { status: 429, .. })
            || self.code().is_some_and(|code| E::NOTHING_DONE.contains(&code));
        let says_nothing = self.may_pass() || self.status().is_some_and(|status| status >= 500);
        says_nothing && !surely_not
    }

    /// How long to wait before the call is sent again, where the other side said so. It may say any length.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answered { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The status of an error answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// Why there is no whole answer.
impl<E> From<reqwest::Error> for Fault<E> {
    fn from(error: reqwest::Error) -> Self {
        if error.is_builder() {
            Self::Invalid(error.to_string())
        } else if error.is_connect() {
            Self::NotSent
        } else if error.is_timeout() {
            Self::TimedOut
        } else {
            Self::Broken
        }
    }
}

impl<E: Coded> fmt::Display for Fault<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent => f.write_str("the service cannot be reached"),
            Self::TimedOut => f.write_str("the service did not answer in time"),
            Self::Broken => f.write_str("the answer was cut off or not understood"),
            Self::Answered { status, .. } => match self.code() {
                Some(code) => write!(f, "the service answered {status} {code}"),
                None => write!(f, "the service answered {status}"),
            },
            Self::Invalid(problem) => write!(f, "the request is not as the contract says: {problem}"),
        }
    }
}

impl<E: Coded + fmt::Debug> std::error::Error for Fault<E> {}

#[cfg(test)]
mod tests {
    use super::*;

    struct Body(&'static str);

    impl Coded for Body {
        const NOTHING_DONE: &'static [&'static str] = &["unavailable"];

        fn code(&self) -> Option<&str> {
            Some(self.0)
        }

        fn may_pass(&self) -> Option<bool> {
            self.0.strip_prefix("says ").map(|word| word == "yes")
        }
    }

    fn answered(status: u16, code: &'static str) -> Fault<Body> {
        Fault::Answered { status, retry_after: None, body: Some(Body(code)) }
    }

    #[test]
    fn what_may_pass_is_told_from_what_is_final() {
        for fault in [Fault::NotSent, Fault::TimedOut, Fault::Broken, answered(409, IDEMPOTENCY_IN_PROGRESS)] {
            assert!(fault.may_pass(), "{fault}");
        }
        assert!(!Fault::<Body>::Invalid(String::new()).may_pass());
        let passing: Vec<_> = (400..600).filter(|status| answered(*status, "any").may_pass()).collect();
        assert_eq!(passing, [408, 429, 500, 502, 503, 504]);
        assert!(!answered(422, IDEMPOTENCY_IN_PROGRESS).may_pass(), "the status counts, too");
    }

    #[test]
    fn a_gateways_answer_without_a_code_counts_by_its_status() {
        let gateway = |status| Fault::<Body>::Answered { status, retry_after: None, body: None };
        assert!(gateway(502).may_pass());
        assert!(!gateway(409).may_pass());
    }

    #[test]
    fn what_the_body_says_of_sending_it_again_goes_before_the_status() {
        assert!(answered(409, "says yes").may_pass());
        assert!(!answered(504, "says no").may_pass());
        assert!(answered(504, "says no").may_have_been_carried_out());
    }

    #[test]
    fn a_fault_is_matched_by_its_code() {
        let kind = |fault: Fault<Body>| match fault.code() {
            Some("unavailable") => "busy",
            Some(_) => "refused",
            None => "unheard",
        };
        assert_eq!(kind(answered(503, "unavailable")), "busy");
        assert_eq!(kind(answered(409, "email_taken")), "refused");
        assert_eq!(kind(Fault::NotSent), "unheard");
        assert_eq!(kind(Fault::Answered { status: 502, retry_after: None, body: None }), "unheard");
        assert_eq!(answered(409, "email_taken").body().map(|body| body.0), Some("email_taken"));
    }

    #[test]
    fn only_an_answer_says_when_to_come_back() {
        let wait = Some(Duration::from_secs(3));
        assert_eq!(Fault::<Body>::Answered { status: 503, retry_after: wait, body: None }.retry_after(), wait);
        assert_eq!(answered(503, "any").retry_after(), None);
        assert_eq!(Fault::<Body>::TimedOut.retry_after(), None);
    }
}
