//! What goes out with every request of a client.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use http::{HeaderName, HeaderValue, header};

const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What goes out with every request of a client, and how long its answer may take.
///
/// ```
/// use std::time::Duration;
///
/// use client_common::Outbound;
///
/// let operator = Outbound::new().bearer("eyJhbGciOi…").time_limit(Duration::from_secs(5));
/// let tonight = operator.clone().correlation_id("nightly-report-17");
/// ```
#[derive(Clone, Default)]
pub struct Outbound {
    authorization: Option<HeaderValue>,
    correlation_id: Option<HeaderValue>,
    traceparent: Option<HeaderValue>,
    tracestate: Option<HeaderValue>,
    time_limit: Option<Duration>,
}

impl Outbound {
    /// Nothing but the request itself.
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows this token: an operator's, or the one that services share. One that no header can carry is left out.
    #[must_use]
    pub fn bearer(mut self, token: &str) -> Self {
        self.authorization = HeaderValue::from_str(&format!("Bearer {token}")).ok();
        if let Some(value) = &mut self.authorization {
            value.set_sensitive(true);
        }
        self
    }

    /// Names the piece of work that the calls are part of, as the logs of every service on the way show it.
    #[must_use]
    pub fn correlation_id(mut self, id: &str) -> Self {
        self.correlation_id = HeaderValue::from_str(id).ok();
        self
    }

    /// Makes the calls part of a trace, by its headers (W3C Trace Context): `traceparent`, and `tracestate`, which may be
    /// empty. Where the process sends spans anywhere, each call is one of its own below it.
    #[must_use]
    pub fn trace(mut self, traceparent: &str, tracestate: &str) -> Self {
        self.traceparent = HeaderValue::from_str(traceparent).ok();
        self.tracestate = HeaderValue::from_str(tracestate).ok().filter(|state| !state.is_empty());
        self
    }

    /// Waits this long for a whole answer each time a request is sent, instead of as long as the connections allow.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }
}

/// Without the token.
impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("correlation_id", &self.correlation_id).finish_non_exhaustive()
    }
}

/// The hook through which every generated client sends its requests. What the call itself says goes first.
pub fn stamp(outbound: &Outbound, request: &mut reqwest::Request) -> Result<(), Infallible> {
    let Outbound { authorization, correlation_id, traceparent, tracestate, time_limit } = outbound;
    let headers = [
        (header::AUTHORIZATION, authorization),
        (CORRELATION_ID, correlation_id),
        (TRACEPARENT, traceparent),
        (TRACESTATE, tracestate),
    ];
    for (name, value) in headers {
        if let Some(value) = value {
            request.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
    }
    if time_limit.is_some() {
        *request.timeout_mut() = *time_limit;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use reqwest::{Method, Request};

    use super::*;

    #[test]
    fn what_the_call_says_goes_before_what_the_client_says() {
        let outbound = Outbound::new().bearer("t").correlation_id("of-the-client").trace("00-client-01", "");
        let mut request = Request::new(Method::GET, "http://127.0.0.1/".parse().unwrap());
        request.headers_mut().insert("x-correlation-id", HeaderValue::from_static("of-the-call"));
        stamp(&outbound.time_limit(Duration::from_secs(3)), &mut request).unwrap();
        let headers = request.headers();
        assert_eq!(
            (&headers["authorization"], &headers["traceparent"]),
            (&"Bearer t".parse().unwrap(), &"00-client-01".parse().unwrap())
        );
        assert_eq!(headers.get_all("x-correlation-id").iter().collect::<Vec<_>>(), ["of-the-call"]);
        assert_eq!(request.timeout(), Some(&Duration::from_secs(3)));
    }

    #[test]
    fn debug_shows_no_token() {
        let outbound = Outbound::new().bearer("a-token").correlation_id("the-work");
        let mut request = Request::new(Method::GET, "http://127.0.0.1/".parse().unwrap());
        stamp(&outbound, &mut request).unwrap();
        let shown = format!("{outbound:?} {request:?} {:?}", request.headers());
        assert!(shown.contains("the-work") && !shown.contains("a-token"), "{shown}");
    }

    #[test]
    fn what_no_header_can_carry_is_left_out() {
        let mut request = Request::new(Method::GET, "http://127.0.0.1/".parse().unwrap());
        let outbound = Outbound::new().bearer("a\nb").correlation_id("a\nb").trace("a\nb", "a\nb");
        stamp(&outbound, &mut request).unwrap();
        assert!(request.headers().is_empty() && request.timeout().is_none());
    }
}
