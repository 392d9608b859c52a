//! Headers and time limit for all requests of a client.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use http::{HeaderName, HeaderValue, header};

const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Headers and time limit for all requests of a client.
///
/// ```
/// use std::time::Duration;
///
/// use client_common::Outbound;
///
/// let outbound = Outbound::new().bearer("eyJhbGciOi…").time_limit(Duration::from_secs(5));
/// let nightly = outbound.clone().correlation_id("nightly-report-17");
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
    /// Creates an instance with no headers and no time limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the bearer token: the access token of a user account, or a service token. A token that is not a valid
    /// header value is omitted.
    #[must_use]
    pub fn bearer(mut self, token: &str) -> Self {
        self.authorization = HeaderValue::from_str(&format!("Bearer {token}")).ok();
        if let Some(value) = &mut self.authorization {
            value.set_sensitive(true);
        }
        self
    }

    /// Sets the correlation ID, which all services record in their logs.
    #[must_use]
    pub fn correlation_id(mut self, id: &str) -> Self {
        self.correlation_id = HeaderValue::from_str(id).ok();
        self
    }

    /// Sets the trace context (W3C Trace Context): `traceparent`, and `tracestate`, which may be empty. If the process
    /// exports spans, each call is a child span.
    #[must_use]
    pub fn trace(mut self, traceparent: &str, tracestate: &str) -> Self {
        self.traceparent = HeaderValue::from_str(traceparent).ok();
        self.tracestate = HeaderValue::from_str(tracestate).ok().filter(|state| !state.is_empty());
        self
    }

    /// Sets the time limit for each request, which replaces the timeout of the connection pool.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }
}

/// Redacts the token.
impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("correlation_id", &self.correlation_id).finish_non_exhaustive()
    }
}

/// Hook that generated clients use to add headers. Headers set on the call itself take precedence.
pub fn add_headers(outbound: &Outbound, request: &mut reqwest::Request) -> Result<(), Infallible> {
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
    fn headers_of_the_call_take_precedence() {
        let outbound = Outbound::new().bearer("t").correlation_id("of-the-client").trace("00-client-01", "");
        let mut request = Request::new(Method::GET, "http://127.0.0.1/".parse().unwrap());
        request.headers_mut().insert("x-correlation-id", HeaderValue::from_static("of-the-call"));
        add_headers(&outbound.time_limit(Duration::from_secs(3)), &mut request).unwrap();
        let headers = request.headers();
        assert_eq!(
            (&headers["authorization"], &headers["traceparent"]),
            (&"Bearer t".parse().unwrap(), &"00-client-01".parse().unwrap())
        );
        assert_eq!(headers.get_all("x-correlation-id").iter().collect::<Vec<_>>(), ["of-the-call"]);
        assert_eq!(request.timeout(), Some(&Duration::from_secs(3)));
    }

    #[test]
    fn debug_redacts_the_token() {
        let outbound = Outbound::new().bearer("a-token").correlation_id("the-work");
        let mut request = Request::new(Method::GET, "http://127.0.0.1/".parse().unwrap());
        add_headers(&outbound, &mut request).unwrap();
        let shown = format!("{outbound:?} {request:?} {:?}", request.headers());
        assert!(shown.contains("the-work") && !shown.contains("a-token"), "{shown}");
    }

    #[test]
    fn invalid_header_values_are_omitted() {
        let mut request = Request::new(Method::GET, "http://127.0.0.1/".parse().unwrap());
        let outbound = Outbound::new().bearer("a\nb").correlation_id("a\nb").trace("a\nb", "a\nb");
        add_headers(&outbound, &mut request).unwrap();
        assert!(request.headers().is_empty() && request.timeout().is_none());
    }
}
