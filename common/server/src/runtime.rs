//! Process-wide state of a server, shared with its requests.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use common_contract::Failure;
use dropshot::Body;
use http::Response;

use crate::RunError;
use crate::settings::Env;
use crate::trace::Traces;

type GaugeUpdate = Box<dyn Fn() + Send>;
type ResponseHook = Box<dyn Fn(&str, Response<Body>) -> Response<Body> + Send + Sync>;

/// Process-wide state: draining flag, requests in flight, span exporter, and callbacks that update gauges before a
/// scrape.
///
/// Clones share one state. The default runtime exports no spans.
#[derive(Clone, Default)]
pub struct Runtime(Arc<State>);

#[derive(Default)]
struct State {
    draining: AtomicBool,
    requests: AtomicUsize,
    traces: Option<Traces>,
    gauges: Mutex<Vec<GaugeUpdate>>,
    response_hook: Option<ResponseHook>,
}

/// Server context that provides the [`Runtime`] to requests.
pub trait HasRuntime {
    /// Returns the server's runtime.
    fn runtime(&self) -> &Runtime;
}

impl HasRuntime for Runtime {
    fn runtime(&self) -> &Runtime {
        self
    }
}

impl Runtime {
    /// Creates a runtime that exports spans under this service name if `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
    ///
    /// # Errors
    ///
    /// Returns an error if the endpoint is invalid, or the exporter cannot be created.
    pub fn from_env(service: &'static str, env: &Env<'_>) -> Result<Self, RunError> {
        Ok(Self(Arc::new(State { traces: Traces::from_env(service, env)?, ..State::default() })))
    }

    /// Creates a runtime for tests that passes every response and its operation id to a hook, which returns the
    /// response to send.
    pub fn with_response_hook(hook: impl Fn(&str, Response<Body>) -> Response<Body> + Send + Sync + 'static) -> Self {
        Self(Arc::new(State { response_hook: Some(Box::new(hook)), ..State::default() }))
    }

    /// Registers a callback that updates gauges before each scrape.
    pub fn before_scrape(&self, update: impl Fn() + Send + 'static) {
        self.0.gauges.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(update));
    }

    /// Fails readiness checks while the server drains, so that load balancers route no new requests to it.
    ///
    /// # Errors
    ///
    /// Returns `unavailable` while the server drains.
    pub fn refuse_while_draining(&self) -> Result<(), Failure> {
        if self.is_draining() { Err(Failure::unavailable("the service is shutting down")) } else { Ok(()) }
    }

    /// Exports all finished spans before the process may be frozen. Takes at most 200 ms; returns immediately if there
    /// is no exporter.
    pub async fn flush_spans(&self) {
        if let Some(traces) = self.traces() {
            traces.flush().await;
        }
    }

    pub(crate) fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn request_started(&self) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn request_ended(&self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn requests_in_flight(&self) -> usize {
        self.0.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn traces(&self) -> Option<&Traces> {
        self.0.traces.as_ref()
    }

    pub(crate) fn update_gauges(&self) {
        for update in self.0.gauges.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            update();
        }
    }

    pub(crate) fn apply_response_hook(&self, operation: &str, response: Response<Body>) -> Response<Body> {
        match &self.0.response_hook {
            Some(hook) => hook(operation, response),
            None => response,
        }
    }
}

#[cfg(test)]
mod tests {
    use common_http::OkAnswer;
    use dropshot::HttpResponse;
    use http::{HeaderMap, Method, StatusCode};

    use super::*;
    use crate::Call;

    #[tokio::test]
    async fn the_response_hook_receives_every_response_of_an_operation() {
        let runtime = Runtime::with_response_hook(|operation, mut response| {
            assert_eq!((operation, response.headers()["x-correlation-id"].as_bytes()), ("thing_view", &b"r"[..]));
            *response.status_mut() = StatusCode::IM_A_TEAPOT;
            response
        });
        for work in [OkAnswer::ok(1), Err(Failure::internal("forced by a test"))] {
            let call = Call::from_parts(&runtime, "thing_view", &Method::GET, None, "r", HeaderMap::new());
            assert_eq!(call.answer(async { work }).await.status_code(), StatusCode::IM_A_TEAPOT);
        }
    }

    #[test]
    fn draining_fails_readiness_on_all_clones() {
        let runtime = Runtime::default();
        assert!(runtime.refuse_while_draining().is_ok());
        runtime.clone().drain();
        assert_eq!(runtime.refuse_while_draining().unwrap_err().code.status, 503);
    }
}
