//! Request handling shared by the local server and the Lambda function: authentication, the saga, and the response.
//!
//! This module is independent of the transport of requests.

use common_contract::{Failure, Health, OrderId, Readiness, codes};
use common_http::{CreatedAnswer, OkAnswer};
use common_server::auth::{Auth, Caller, Operator};
use common_server::settings::Profile;
use common_server::{Call, ErrorResponse, Runtime};
use orchestrator_api::{Compensated, CreateAndConfirm as Request, FailureBody, FailureReason, Outcome, Step, Success};
use serde::Serialize;
use tokio::time::Instant;

use crate::create_and_confirm::CreateAndConfirm;
use crate::metrics;
use crate::upstreams::Upstreams;

/// State shared by all requests.
pub struct Orchestrator {
    pub(crate) runtime: Runtime,
    pub(crate) auth: Auth,
    pub(crate) profile: Profile,
    pub(crate) upstreams: Upstreams,
}

/// A failed request. `reason` is `None` if the saga did not run or the failure is internal.
struct FailedRequest {
    failure: Failure,
    reason: Option<FailureReason>,
    /// Correlation ID for the response body. It may contain characters that are invalid in a header.
    correlation_id: Option<String>,
}

impl From<Failure> for FailedRequest {
    fn from(failure: Failure) -> Self {
        Self { failure, reason: None, correlation_id: None }
    }
}

impl ErrorResponse for FailedRequest {
    fn failure(&self) -> &Failure {
        &self.failure
    }

    fn body(&self, call: &Call) -> impl Serialize {
        let correlation_id = self.correlation_id.as_deref().unwrap_or_else(|| call.correlation_id());
        failure_body(correlation_id, &self.failure, self.reason.as_ref())
    }
}

impl Orchestrator {
    /// Runs the saga for a request. If `answer_by` is set, responds before that time.
    pub(crate) async fn create_and_confirm(
        &self,
        call: &Call,
        body: Result<Request, Failure>,
        answer_by: Option<Instant>,
    ) -> CreatedAnswer<Success> {
        let correlation_id = correlation_id(call, body.as_ref().ok());
        let work = async {
            let data = async { self.run_saga(call, &self.principal(call)?, &body?, answer_by).await };
            match data.await {
                Ok(data) => Ok(CreatedAnswer::created(Success { success: true, correlation_id, data })?),
                Err(failed) => Err(FailedRequest { correlation_id: Some(correlation_id), ..failed }),
            }
        };
        call.answer(work).await
    }

    /// Liveness check: always succeeds.
    pub(crate) async fn health(&self, call: &Call) -> OkAnswer<Health> {
        let work = async { Ok::<_, FailedRequest>(OkAnswer::ok(Health::ok())?) };
        call.answer(work).await
    }

    /// Readiness check: succeeds if the process is not draining and both upstream services are ready.
    pub(crate) async fn readiness(&self, call: &Call) -> OkAnswer<Readiness> {
        let work = async {
            self.runtime.refuse_while_draining()?;
            self.upstreams.ready(call).await?;
            Ok::<_, FailedRequest>(OkAnswer::ok(Readiness::ready())?)
        };
        call.answer(work).await
    }

    /// Authenticates the caller. Returns the principal that scopes the caller's idempotency keys. The development
    /// profile accepts anonymous callers.
    fn principal(&self, call: &Call) -> Result<String, Failure> {
        let caller: Option<Caller<Operator>> = match self.profile {
            Profile::Production => Some(self.auth.caller(call)?),
            Profile::Development => self.auth.optional_caller(call)?,
        };
        Ok(caller.as_ref().map_or_else(|| "anonymous".to_owned(), Caller::principal))
    }

    async fn run_saga(
        &self,
        call: &Call,
        principal: &str,
        request: &Request,
        answer_by: Option<Instant>,
    ) -> Result<Outcome, FailedRequest> {
        let deadlines = self.upstreams.policy.deadlines(answer_by);
        let deadlines = deadlines.ok_or_else(|| Failure::unavailable("too little time remains to run the saga"))?;
        let result = CreateAndConfirm::new(&self.upstreams, call, principal, request, deadlines).run().await;
        metrics::record_outcome(&result);
        result.map_err(|failed| {
            let (failure, reason) = failed.into_response();
            tracing::warn!(
                step = ?reason.step,
                attempts = reason.attempts,
                compensated = ?reason.compensated,
                order_id = reason.order_id.map(OrderId::get),
                code = reason.code,
                "saga failed"
            );
            FailedRequest { reason: Some(reason), ..failure.into() }
        })
    }
}

/// Returns the correlation ID from the request body; if the body contains none, from the header; otherwise, returns the
/// request ID. An ID in the request body that is invalid in a header is still included in the response body.
fn correlation_id(call: &Call, body: Option<&Request>) -> String {
    let given = body.and_then(|body| body.correlation_id.as_ref());
    if let Some(id) = given {
        call.correlate(id.as_str());
    }
    given.map_or(call.correlation_id(), |id| id.as_str()).to_owned()
}

/// Returns the response body for a failure. If the saga supplied no reason, nothing was changed, with one exception: an
/// internal error may have occurred in any step. Its compensation is therefore reported as pending; a retry with the
/// same key completes the saga or its compensation.
fn failure_body(correlation_id: &str, failure: &Failure, reason: Option<&FailureReason>) -> FailureBody {
    let is_internal = failure.code == codes::INTERNAL;
    let without_steps = || FailureReason {
        code: failure.code.name.to_owned(),
        message: failure.message.clone(),
        step: Step::Input,
        attempts: 0,
        order_id: None,
        compensated: if is_internal { Compensated::Pending } else { Compensated::NotNeeded },
        safe_to_retry: failure.code.status >= 500,
        details: failure.details.clone(),
    };
    FailureBody::new(correlation_id, failure.code.status, reason.cloned().unwrap_or_else(without_steps))
}
