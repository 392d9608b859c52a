//! State that the requests of a server share with the process that runs it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use common_contract::Failure;
use dropshot::Body;
use http::Response;

use crate::RunError;
use crate::settings::Env;
use crate::trace::Traces;

type UpdateGauges = Box<dyn Fn() + Send>;
type ResponseHook = Box<dyn Fn(&str, Response<Body>) -> Response<Body> + Send + Sync>;

/// Whether the server drains, where its spans go, and which gauges a scrape updates.
///
/// Clones share one state. The default exports no spans and is never told to drain.
#[derive(Clone, Default)]
pub struct Runtime(Arc<State>);

#[derive(Default)]
struct State {
    draining: AtomicBool,
    traces: Option<Traces>,
    gauges: Mutex<Vec<UpdateGauges>>,
    response_hook: Option<ResponseHook>,
}

/// Server contexts that give each request its [`Runtime`].
pub trait HasRuntime {
    /// The runtime of the server.
    fn runtime(&self) -> &Runtime;
}

impl HasRuntime for Runtime {
    fn runtime(&self) -> &Runtime {
        self
    }
}

impl Runtime {
    /// Exports spans under this service name where `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
    ///
    /// # Errors
    ///
    /// Where the endpoint is no URL, or no TLS can be set up on this machine.
    pub fn from_env(service: &'static str, env: &Env<'_>) -> Result<Self, RunError> {
        Ok(Self(Arc::new(State { traces: Traces::from_env(service, env)?, ..State::default() })))
    }

    /// Passes every response of an operation, with the operation's id, through this hook. For tests.
    pub fn with_response_hook(hook: impl Fn(&str, Response<Body>) -> Response<Body> + Send + Sync + 'static) -> Self {
        Self(Arc::new(State { response_hook: Some(Box::new(hook)), ..State::default() }))
    }

    /// Calls this before each scrape, for gauges that are read from elsewhere.
    pub fn before_scrape(&self, update: impl Fn() + Send + 'static) {
        self.0.gauges.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(update));
    }

    /// The first question of every readiness check: a server that drains wants no new requests.
    ///
    /// # Errors
    ///
    /// While the server drains.
    pub fn refuse_while_draining(&self) -> Result<(), Failure> {
        if self.is_draining() { Err(Failure::unavailable("the service is stopping")) } else { Ok(()) }
    }

    /// Exports all finished spans, for a process that may be frozen from now on. Takes at most 200 ms, and no time without
    /// an exporter.
    pub async fn flush_spans(&self) {
        if let Some(traces) = self.traces() {
            traces.flush().await;
        }
    }

    pub(crate) fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
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

    pub(crate) fn hooked(&self, operation: &str, response: Response<Body>) -> Response<Body> {
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
    async fn the_hook_sees_every_response_of_an_operation() {
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
    fn a_server_that_drains_refuses_new_requests_for_all_clones() {
        let runtime = Runtime::default();
        assert!(runtime.refuse_while_draining().is_ok());
        runtime.clone().drain();
        assert_eq!(runtime.refuse_while_draining().unwrap_err().code.status, 503);
    }
}
