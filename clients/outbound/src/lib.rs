//! What the generated clients share: what goes out with every request, and what a failed call means.
//!
//! A client is made for one piece of work: `Client::new_with_client(base, http, Outbound::new().bearer(token))`. The
//! [`reqwest::Client`] inside, which holds the connections, is shared and cheap to clone; so is everything else.
//! Whether and when to send a failed call again is not decided here: that takes knowing the work.

mod attempt;
mod codes;
mod fault;

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use http::{HeaderName, HeaderValue, header};

pub use attempt::note;
pub use fault::{Coded, Fault, send};

const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What goes out with every request of a client.
#[derive(Clone, Default)]
pub struct Outbound {
    authorization: Option<HeaderValue>,
    correlation_id: Option<HeaderValue>,
    traceparent: Option<HeaderValue>,
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

    /// Names the piece of work that the calls are part of.
    #[must_use]
    pub fn correlation_id(mut self, id: &str) -> Self {
        self.correlation_id = HeaderValue::from_str(id).ok();
        self
    }

    /// Passes on the trace that the calls are part of (W3C Trace Context).
    #[must_use]
    pub fn traceparent(mut self, traceparent: Option<&str>) -> Self {
        self.traceparent = traceparent.and_then(|value| HeaderValue::from_str(value).ok());
        self
    }
}

/// Without the token.
impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("correlation_id", &self.correlation_id).finish_non_exhaustive()
    }
}

/// The hook through which every generated client sends its requests.
pub fn stamp(outbound: &Outbound, request: &mut reqwest::Request) -> Result<(), Infallible> {
    let Outbound { authorization, correlation_id, traceparent } = outbound;
    let headers =
        [(header::AUTHORIZATION, authorization), (CORRELATION_ID, correlation_id), (TRACEPARENT, traceparent)];
    for (name, value) in headers {
        if let Some(value) = value {
            request.headers_mut().insert(name, value.clone());
        }
    }
    Ok(())
}

/// The connections to other services: how long to wait for a connection, and for a whole call.
///
/// # Errors
///
/// Where no TLS can be set up on this machine.
pub fn http_client(connect: Duration, call: Duration) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(connect)
        .timeout(call)
        .redirect(reqwest::redirect::Policy::none())
        .build()
}
