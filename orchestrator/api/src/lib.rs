//! Contract of the orchestrator: one operation that creates and confirms an order, or compensates what it did.
//!
//! The trait below is the source of truth; `specs/orchestrator.json` is generated from it. The AWS Lambda function
//! provides the same operation and returns identical responses.

mod codes;
mod types;

use common_contract::{Contract, Health, Operation, Readiness, Role, Security, codes as shared};
use common_http::{CreatedAnswer, JsonBody, OkAnswer};
use dropshot::RequestContext;

pub use codes::*;
pub use types::{
    Compensated, CreateAndConfirm, Customer, FailureBody, FailureReason, Item, Order, OrderItem, OrderStatus, Outcome,
    Step, Success,
};

/// Metadata for the document that the trait cannot express.
pub const CONTRACT: Contract = Contract {
    name: "orchestrator",
    title: "Orchestrator",
    description: "Creates and confirms orders for other systems. At most one order is created for each idempotency \
                  key.",
    version: "3.0.0",
    local_url: "http://127.0.0.1:3003",
    operations: &[
        Operation::new(
            "order_create_and_confirm",
            Security::RoleOrService(Role::Operator),
            &[shared::IDEMPOTENCY, shared::READS, SAGA],
        ),
        Operation::new("health_view", Security::Anyone, &[]),
        Operation::new("readiness_view", Security::Anyone, &[shared::READS]),
    ],
    links: &[],
    prefixed_enums: &[],
    codes: ALL,
    examples: include_str!("../examples.json"),
};

/// The orchestrator.
#[dropshot::api_description {
    tag_config = {
        tags = {
            "orchestrator" = { description = "Workflows that involve several services." },
            "system" = { description = "Liveness and readiness checks." },
        },
    },
}]
pub trait OrchestratorApi {
    /// State that the implementation shares between requests.
    type Context;

    /// Create and confirm an order
    ///
    /// Validates the customer, creates the order and confirms it. A failure is compensated: an order that cannot be
    /// confirmed is canceled. Retrying with the same idempotency key never creates a second order; it resumes an
    /// incomplete request or returns the confirmed order, also if the customer was deleted since. An error reports the
    /// failed step, the state of the compensation, and whether a retry with the same key is safe.
    #[endpoint { method = POST, path = "/orchestrator/create-and-confirm-order", tags = ["orchestrator"] }]
    async fn order_create_and_confirm(
        rqctx: RequestContext<Self::Context>,
        body: JsonBody<CreateAndConfirm>,
    ) -> Result<CreatedAnswer<Success>, FailureBody>;

    /// Check liveness
    ///
    /// Returns 200 while the process accepts requests. Does not check dependencies.
    #[endpoint { method = GET, path = "/health", tags = ["system"] }]
    async fn health_view(rqctx: RequestContext<Self::Context>) -> Result<OkAnswer<Health>, FailureBody>;

    /// Check readiness
    ///
    /// Returns 200 if the Customers API and the Orders API report within 500 ms that they are ready, and the service is
    /// not shutting down. Otherwise, returns 503.
    #[endpoint { method = GET, path = "/ready", tags = ["system"] }]
    async fn readiness_view(rqctx: RequestContext<Self::Context>) -> Result<OkAnswer<Readiness>, FailureBody>;

    /// Check liveness without a body
    ///
    /// Same as `GET /health`, for probes that send HEAD.
    #[endpoint { method = HEAD, path = "/health", operation_id = "health_view", unpublished = true }]
    async fn health_head(rqctx: RequestContext<Self::Context>) -> Result<OkAnswer<Health>, FailureBody> {
        Self::health_view(rqctx).await
    }

    /// Check readiness without a body
    ///
    /// Same as `GET /ready`, for probes that send HEAD.
    #[endpoint { method = HEAD, path = "/ready", operation_id = "readiness_view", unpublished = true }]
    async fn readiness_head(rqctx: RequestContext<Self::Context>) -> Result<OkAnswer<Readiness>, FailureBody> {
        Self::readiness_view(rqctx).await
    }
}
