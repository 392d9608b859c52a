//! Local HTTP server (dropshot), for development and containers.

use common_contract::{Health, Readiness};
use common_http::{CreatedAnswer, JsonBody, OkAnswer};
use common_server::Call;
use dropshot::RequestContext;
use orchestrator_api::{CreateAndConfirm, FailureBody, OrchestratorApi, Success};

use crate::handler::Orchestrator;

pub(crate) enum LocalServer {}

impl OrchestratorApi for LocalServer {
    type Context = Orchestrator;

    async fn order_create_and_confirm(
        rqctx: RequestContext<Orchestrator>,
        body: JsonBody<CreateAndConfirm>,
    ) -> Result<CreatedAnswer<Success>, FailureBody> {
        Ok(rqctx.context().create_and_confirm(&Call::new(&rqctx), body.checked(), None).await)
    }

    async fn health_view(rqctx: RequestContext<Orchestrator>) -> Result<OkAnswer<Health>, FailureBody> {
        Ok(rqctx.context().health(&Call::new(&rqctx)).await)
    }

    async fn readiness_view(rqctx: RequestContext<Orchestrator>) -> Result<OkAnswer<Readiness>, FailureBody> {
        Ok(rqctx.context().readiness(&Call::new(&rqctx)).await)
    }
}
