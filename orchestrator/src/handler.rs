//! What both fronts answer with: from who is calling and what was sent to the status and the bytes.
//!
//! Nothing here knows which front a request came through.

use common_contract::{Failure, Health, OrderId, Readiness, codes};
use common_http::{CreatedAnswer, OkAnswer};
use common_server::auth::{Auth, Caller, Operator};
use common_server::settings::Profile;
use common_server::{Call, ErrorResponse, Runtime};
use orchestrator_api::{
    Compensated, CreateAndConfirm as Request, FailureBody, FailureReason, Outcome, Step as StepName, Success,
};
use serde::Serialize;
use tokio::time::Instant;

use crate::cause::{self, Standing};
use crate::create_and_confirm::CreateAndConfirm;
use crate::upstreams::Upstreams;
use crate::{metrics, saga};

/// State between requests.
pub struct Orchestrator {
    pub(crate) runtime: Runtime,
    pub(crate) auth: Auth,
    pub(crate) profile: Profile,
    pub(crate) upstreams: Upstreams,
}

/// A failure, and the progress that its body reports. Without progress nothing was done.
struct Failed {
    failure: Failure,
    progress: Option<Progress>,
    /// The body's, which the header need not be able to carry.
    correlation_id: Option<String>,
}

struct Progress {
    standing: Standing,
    order_id: Option<OrderId>,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { failure, progress: None, correlation_id: None }
    }
}

impl ErrorResponse for Failed {
    fn failure(&self) -> &Failure {
        &self.failure
    }

    fn body(&self, call: &Call) -> impl Serialize {
        let correlation_id = self.correlation_id.as_deref().unwrap_or_else(|| call.correlation_id());
        failure_body(correlation_id, &self.failure, self.progress.as_ref())
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
        let data = async { self.execute(call, &self.principal(call)?, &body?, answer_by).await };
        let work = async {
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

    async fn execute(
        &self,
        call: &Call,
        principal: &str,
        request: &Request,
        answer_by: Option<Instant>,
    ) -> Result<Outcome, Failed> {
        let deadlines = self.upstreams.policy().deadlines(answer_by);
        let deadlines = deadlines.ok_or_else(|| Failure::unavailable("too little time is left to begin"))?;
        let mut saga = CreateAndConfirm::new(&self.upstreams, call, principal, request);
        let ended = saga::run(&mut saga, deadlines).await;
        let Err(failed) = ended else {
            metrics::ended(Ok(()));
            return Ok(saga.outcome().ok_or_else(|| Failure::internal("the saga ended without an order"))?);
        };
        let (failure, standing) = cause::tell(&failed, saga.gave_up());
        metrics::ended(Err((failed.undone, failure.code.status)));
        let order_id = saga.order_id().and_then(|id| OrderId::try_from(id).ok());
        tracing::warn!(
            step = ?failed.step,
            attempts = failed.attempts,
            undone = ?failed.undone,
            order_id = order_id.map(OrderId::get),
            code = failure.code.name,
            "the saga failed"
        );
        Err(Failed { progress: Some(Progress { standing, order_id }), ..failure.into() })
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

/// Without progress nothing was done. The exception is a defect of ours, whose moment is unknown: there the same key finds out
/// what was done.
fn failure_body(correlation_id: &str, failure: &Failure, progress: Option<&Progress>) -> FailureBody {
    let defect = failure.code == codes::INTERNAL;
    let before_any_step = Standing {
        step: StepName::Input,
        attempts: 0,
        compensated: if defect { Compensated::Pending } else { Compensated::NotNeeded },
        safe_to_retry: failure.code.status >= 500,
    };
    let (Standing { step, attempts, compensated, safe_to_retry }, order_id) = match progress {
        Some(Progress { standing, order_id }) => (standing, *order_id),
        None => (&before_any_step, None),
    };
    let reason = FailureReason {
        code: failure.code.name.to_owned(),
        message: failure.message.clone(),
        step: *step,
        attempts: *attempts,
        order_id,
        compensated: *compensated,
        safe_to_retry: *safe_to_retry,
        details: failure.details.clone(),
    };
    FailureBody::new(correlation_id, failure.code.status, reason)
}
