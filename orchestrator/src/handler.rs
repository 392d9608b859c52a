//! What both fronts answer with: from who is calling and what was sent to the status and the bytes.
//!
//! Nothing here knows which front a request came through.

use std::sync::OnceLock;

use common_contract::{Failure, Health, OrderId, Readiness, codes};
use common_http::{CreatedAnswer, OkAnswer};
use common_server::Call;
use common_server::auth::{Auth, Caller, Operator};
use common_server::settings::Profile;
use orchestrator_api::{Compensated, CreateAndConfirm as Request, FailureBody, FailureReason, Outcome, Step, Success};
use tokio::time::Instant;

use crate::create_and_confirm::CreateAndConfirm;
use crate::metrics;
use crate::upstreams::Upstreams;

/// What is kept between requests.
pub struct Orchestrator {
    pub(crate) auth: Auth,
    pub(crate) profile: Profile,
    pub(crate) upstreams: Upstreams,
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
        let reason = OnceLock::new();
        let work = async {
            let principal = self.principal(call)?;
            let data = self.run_saga(call, &principal, &body?, answer_by, &reason).await?;
            let correlation_id = correlation_id.clone();
            CreatedAnswer::created(Success { success: true, correlation_id, data })
        };
        call.answer_or(work, |failure| failure_body(&correlation_id, failure, reason.get())).await
    }

    /// Whether the process answers.
    pub(crate) async fn health(&self, call: &Call) -> OkAnswer<Health> {
        let work = async { OkAnswer::ok(Health::ok()) };
        call.answer_or(work, |failure| failure_body(call.correlation_id(), failure, None)).await
    }

    /// Whether the service can work.
    pub(crate) async fn readiness(&self, call: &Call) -> OkAnswer<Readiness> {
        let work = async {
            common_server::not_stopping()?;
            self.upstreams.ready(call).await?;
            OkAnswer::ok(Readiness::ready())
        };
        call.answer_or(work, |failure| failure_body(call.correlation_id(), failure, None)).await
    }

    /// Under which name the caller's keys are kept. On a developer's machine nobody has to show who they are.
    fn principal(&self, call: &Call) -> Result<String, Failure> {
        let caller: Option<Caller<Operator>> = match self.profile {
            Profile::Production => Some(self.auth.caller(call)?),
            Profile::Development => self.auth.caller_if_any(call)?,
        };
        Ok(caller.as_ref().map_or_else(|| "anonymous".to_owned(), Caller::principal))
    }

    /// Runs the saga. Where it fails, `reason` gets the body of the answer.
    async fn run_saga(
        &self,
        call: &Call,
        principal: &str,
        request: &Request,
        answer_by: Option<Instant>,
        reason: &OnceLock<FailureReason>,
    ) -> Result<Outcome, Failure> {
        let deadlines = self.upstreams.policy.deadlines(answer_by);
        let deadlines = deadlines.ok_or_else(|| Failure::unavailable("too little time is left to begin"))?;
        let result = CreateAndConfirm::new(&self.upstreams, call, principal, request, deadlines).run().await;
        metrics::ended(&result);
        result.map_err(|failed| {
            let (failure, body) = failed.into_answer();
            tracing::warn!(
                step = ?body.step,
                attempts = body.attempts,
                compensated = ?body.compensated,
                order_id = body.order_id.map(OrderId::get),
                code = body.code,
                "the saga failed"
            );
            let _ = reason.set(body);
            failure
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
