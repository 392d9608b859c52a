//! The contract of the orchestrator: one operation that creates an order and confirms it, or leaves nothing behind.
//!
//! The trait below is the truth; `specs/orchestrator.json` is made from it. The function on AWS Lambda offers the same
//! operation and answers the same bytes.

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

/// What the document says beyond the trait.
pub const CONTRACT: Contract = Contract {
    name: "orchestrator",
    title: "Orchestrator",
    description: "Creates an order and confirms it for other systems, exactly once for each idempotency key.",
    version: "2.2.0",
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
    codes: ALL,
    examples: include_str!("../examples.json"),
};

/// The orchestrator.
#[dropshot::api_description {
    tag_config = {
        tags = {
            "orchestrator" = { description = "Several steps as one." },
            "system" = { description = "For whoever runs the service." },
        },
    },
}]
pub trait OrchestratorApi {
    /// What the implementation keeps between requests.
    type Context;

    /// Create and confirm an order
    ///
    /// Validates the customer, creates the order, confirms it. The same key sent again never makes a second order: it
    /// resumes or repeats. A failure says how far it came, and whether the same key may be sent again.
    #[endpoint { method = POST, path = "/orchestrator/create-and-confirm-order", tags = ["orchestrator"] }]
    async fn order_create_and_confirm(
        rqctx: RequestContext<Self::Context>,
        body: JsonBody<CreateAndConfirm>,
    ) -> Result<CreatedAnswer<Success>, FailureBody>;

    /// Check that the process answers
    ///
    /// Looks at nothing else.
    #[endpoint { method = GET, path = "/health", tags = ["system"] }]
    async fn health_view(rqctx: RequestContext<Self::Context>) -> Result<OkAnswer<Health>, FailureBody>;

    /// Check that the service can work
    ///
    /// Both APIs have to be ready within 500 ms.
    #[endpoint { method = GET, path = "/ready", tags = ["system"] }]
    async fn readiness_view(rqctx: RequestContext<Self::Context>) -> Result<OkAnswer<Readiness>, FailureBody>;
}
