//! Faults: classification of failed calls, to decide whether to retry them.

use std::fmt;
use std::time::Duration;

use progenitor_client::Error;

use crate::send::Head;

/// Code of the only transient conflict: a request with the same key is in flight.
const IDEMPOTENCY_IN_PROGRESS: &str = "idempotency_in_progress";

/// Error body with a stable code.
pub trait Coded {
    /// Codes of transient errors that guarantee that no changes were made.
    const UNCHANGED_CODES: &'static [&'static str];

    /// Returns the code, or `None` if the server does not know the path or the method.
    fn code(&self) -> Option<&str>;

    /// Returns whether a retry can succeed, or `None` if the body does not state this.
    fn is_transient(&self) -> Option<bool> {
        None
    }
}

/// Reason why a call did not return the documented success response.
#[derive(Debug)]
pub enum Fault<E> {
    /// The request was not sent: connection refused, unknown host, or connect timeout. Safe to retry.
    NotSent,
    /// The request was sent, but no response arrived in time. It may have been executed.
    TimedOut,
    /// The request was sent, but the response is incomplete or invalid. It may have been executed.
    Broken,
    /// The service, or an intermediary such as a gateway, returned an error.
    Answered {
        /// HTTP status.
        status: u16,
        /// Value of `Retry-After`, if any.
        retry_after: Option<Duration>,
        /// Error body, or `None` if the body does not have the documented format, for example because a gateway
        /// returned it.
        body: Option<E>,
    },
    /// The request was not sent because a value violates the contract.
    Invalid(String),
}

impl<E> Fault<E> {
    pub(crate) fn of(error: Error<E>, head: Option<Head>) -> Self {
        // Without a complete body, the reason for a 4xx status is unknown.
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

    /// Returns the error code: `match fault.code() { Some(codes::EMAIL_TAKEN) => …, _ => … }`.
    pub fn code(&self) -> Option<&str>
    where
        E: Coded,
    {
        self.body().and_then(Coded::code)
    }

    /// Returns whether the error has this code: `fault.has_code(codes::EMAIL_TAKEN)`.
    pub fn has_code(&self, code: &str) -> bool
    where
        E: Coded,
    {
        self.code() == Some(code)
    }

    /// Returns the error body, with the message, the details and the request ID.
    pub fn body(&self) -> Option<&E> {
        match self {
            Self::Answered { body, .. } => body.as_ref(),
            _ => None,
        }
    }

    /// Returns whether a retry can succeed. This is true for calls that were not sent, timed out or received an invalid
    /// response; for the statuses 408, 429, 500, 502, 503 and 504; and for 409 while a request with the same
    /// idempotency key is in flight. All other faults are final. If the body states whether a retry is safe, that
    /// statement takes precedence.
    ///
    /// This does not mean that a retry is safe: see [`may_have_been_executed`].
    ///
    /// [`may_have_been_executed`]: Self::may_have_been_executed
    pub fn is_transient(&self) -> bool
    where
        E: Coded,
    {
        if let Some(is_transient) = self.body().and_then(Coded::is_transient) {
            return is_transient;
        }
        match self {
            Self::NotSent | Self::TimedOut | Self::Broken => true,
            Self::Answered { status: 408 | 429 | 500 | 502 | 503 | 504, .. } => true,
            Self::Answered { status: 409, .. } => self.has_code(IDEMPOTENCY_IN_PROGRESS),
            Self::Answered { .. } | Self::Invalid(_) => false,
        }
    }

    /// Returns whether the call may have been executed despite the fault. In this case, retry it only if it is a read,
    /// or if the retry has the same idempotency key.
    ///
    /// Only the following transient faults rule out execution: a call that was not sent, 429, and the codes in
    /// [`Coded::UNCHANGED_CODES`]. Any other 5xx may come from a gateway, after the service has executed the call.
    pub fn may_have_been_executed(&self) -> bool
    where
        E: Coded,
    {
        let ruled_out = matches!(self, Self::NotSent | Self::Answered { status: 429, .. })
            || self.code().is_some_and(|code| E::UNCHANGED_CODES.contains(&code));
        let is_ambiguous = self.is_transient() || self.status().is_some_and(|status| status >= 500);
        is_ambiguous && !ruled_out
    }

    /// Returns the value of `Retry-After`, if any. The value has no upper limit.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answered { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Returns the status of an error response.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// Classifies an error that occurred before a complete response was received.
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
            Self::NotSent => f.write_str("cannot connect to the service"),
            Self::TimedOut => f.write_str("the service did not respond in time"),
            Self::Broken => f.write_str("the response is incomplete or invalid"),
            Self::Answered { status, .. } => match self.code() {
                Some(code) => write!(f, "the service returned {status} {code}"),
                None => write!(f, "the service returned {status}"),
            },
            Self::Invalid(problem) => write!(f, "the request is invalid: {problem}"),
        }
    }
}

impl<E: Coded + fmt::Debug> std::error::Error for Fault<E> {}

#[cfg(test)]
mod tests {
    use super::*;

    struct Body(&'static str);

    impl Coded for Body {
        const UNCHANGED_CODES: &'static [&'static str] = &["unavailable"];

        fn code(&self) -> Option<&str> {
            Some(self.0)
        }

        fn is_transient(&self) -> Option<bool> {
            self.0.strip_prefix("retry: ").map(|word| word == "yes")
        }
    }

    fn answered(status: u16, code: &'static str) -> Fault<Body> {
        Fault::Answered { status, retry_after: None, body: Some(Body(code)) }
    }

    #[test]
    fn transient_faults_are_distinguished_from_final_ones() {
        for fault in [Fault::NotSent, Fault::TimedOut, Fault::Broken, answered(409, IDEMPOTENCY_IN_PROGRESS)] {
            assert!(fault.is_transient(), "{fault}");
        }
        assert!(!Fault::<Body>::Invalid(String::new()).is_transient());
        let passing: Vec<_> = (400..600).filter(|status| answered(*status, "any").is_transient()).collect();
        assert_eq!(passing, [408, 429, 500, 502, 503, 504]);
        assert!(!answered(422, IDEMPOTENCY_IN_PROGRESS).is_transient(), "the status matters as well");
    }

    #[test]
    fn an_error_without_a_code_is_classified_by_its_status() {
        let gateway = |status| Fault::<Body>::Answered { status, retry_after: None, body: None };
        assert!(gateway(502).is_transient());
        assert!(!gateway(409).is_transient());
    }

    #[test]
    fn the_body_takes_precedence_over_the_status() {
        assert!(answered(409, "retry: yes").is_transient());
        assert!(!answered(504, "retry: no").is_transient());
        assert!(answered(504, "retry: no").may_have_been_executed());
    }

    #[test]
    fn a_fault_is_matched_by_its_code() {
        let kind = |fault: Fault<Body>| match fault.code() {
            Some("unavailable") => "busy",
            Some(_) => "refused",
            None => "no code",
        };
        assert_eq!(kind(answered(503, "unavailable")), "busy");
        assert_eq!(kind(answered(409, "email_taken")), "refused");
        assert_eq!(kind(Fault::NotSent), "no code");
        assert_eq!(kind(Fault::Answered { status: 502, retry_after: None, body: None }), "no code");
        assert_eq!(answered(409, "email_taken").body().map(|body| body.0), Some("email_taken"));
    }

    #[test]
    fn only_a_response_has_a_retry_delay() {
        let wait = Some(Duration::from_secs(3));
        assert_eq!(Fault::<Body>::Answered { status: 503, retry_after: wait, body: None }.retry_after(), wait);
        assert_eq!(answered(503, "any").retry_after(), None);
        assert_eq!(Fault::<Body>::TimedOut.retry_after(), None);
    }
}
