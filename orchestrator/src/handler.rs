//! What both fronts answer with: from who is calling and what was sent to the status and the bytes.
//!
//! Nothing here knows which front a request came through.

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

/// State between requests.
pub struct Orchestrator {
    pub(crate) runtime: Runtime,
    pub(crate) auth: Auth,
    pub(crate) profile: Profile,
    pub(crate) upstreams: Upstreams,
}

/// A failure, and the reason that its body gives. Without a reason no step was taken.
struct Failed {
    failure: Failure,
    reason: Option<FailureReason>,
    /// The body's correlation id, which a header need not be able to carry.
    correlation_id: Option<String>,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { failure, reason: None, correlation_id: None }
    }
}

impl ErrorResponse for Failed {
    fn failure(&self) -> &Failure {
        &self.failure
    }

    fn body(&self, call: &Call) -> impl Serialize {
        let correlation_id = self.correlation_id.as_deref().unwrap_or_else(|| call.correlation_id());
        failure_body(correlation_id, &self.failure, self.reason.as_ref())
    }
}

impl Orchestrator {
    /// The operation itself. Where there is a moment from which on nobody hears the answer, it comes before.
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
                Err(failed) => Err(Failed { correlation_id: Some(correlation_id), ..failed }),
            }
        };
        call.answer(work).await
    }

    /// Whether the process answers.
    pub(crate) async fn health(&self, call: &Call) -> OkAnswer<Health> {
        let work = async { Ok::<_, Failed>(OkAnswer::ok(Health::ok())?) };
        call.answer(work).await
    }

    /// Whether the service can work.
    pub(crate) async fn readiness(&self, call: &Call) -> OkAnswer<Readiness> {
        let work = async {
            self.runtime.refuse_while_draining()?;
            self.upstreams.ready(call).await?;
            Ok::<_, Failed>(OkAnswer::ok(Readiness::ready())?)
        };
        call.answer(work).await
    }

    /// Under which name the caller's keys are kept. On a developer's machine nobody has to show who they are.
    fn principal(&self, call: &Call) -> Result<String, Failure> {
        let caller: Option<Caller<Operator>> = match self.profile {
            Profile::Production => Some(self.auth.caller(call)?),
            Profile::Development => self.auth.caller_if_any(call)?,
        };
        Ok(caller.as_ref().map_or_else(|| "anonymous".to_owned(), Caller::principal))
    }

    async fn run_saga(
        &self,
        call: &Call,
        principal: &str,
        request: &Request,
        answer_by: Option<Instant>,
    ) -> Result<Outcome, Failed> {
        let deadlines = self.upstreams.policy.deadlines(answer_by);
        let deadlines = deadlines.ok_or_else(|| Failure::unavailable("too little time is left to begin"))?;
        let result = CreateAndConfirm::new(&self.upstreams, call, principal, request, deadlines).run().await;
        metrics::ended(&result);
        result.map_err(|failed| {
            let (failure, reason) = failed.into_answer();
            tracing::warn!(
                step = ?reason.step,
                attempts = reason.attempts,
                compensated = ?reason.compensated,
                order_id = reason.order_id.map(OrderId::get),
                code = reason.code,
                "the saga failed"
            );
            Failed { reason: Some(reason), ..failure.into() }
        })
    }
}

/// The body's correlation id, else the header's, else the request's. One that no header can carry is still shown in the
/// answer's body.
fn correlation_id(call: &Call, body: Option<&Request>) -> String {
    let given = body.and_then(|body| body.correlation_id.as_ref());
    if let Some(id) = given {
        call.correlate(id.as_str());
    }
    given.map_or(call.correlation_id(), |id| id.as_str()).to_owned()
}

/// Without a saga's reason, nothing was done. The exception is a bug of ours, which may have struck at any step: there the
/// same key finds out what was done.
fn failure_body(correlation_id: &str, failure: &Failure, reason: Option<&FailureReason>) -> FailureBody {
    let is_bug = failure.code == codes::INTERNAL;
    let before_any_step = || FailureReason {
        code: failure.code.name.to_owned(),
        message: failure.message.clone(),
        step: Step::Input,
        attempts: 0,
        order_id: None,
        compensated: if is_bug { Compensated::Pending } else { Compensated::NotNeeded },
        safe_to_retry: failure.code.status >= 500,
        details: failure.details.clone(),
    };
    FailureBody::new(correlation_id, failure.code.status, reason.cloned().unwrap_or_else(before_any_step))
}
