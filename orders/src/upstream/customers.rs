//! Customers service client: checks that a customer exists.

use std::time::Duration;

use client_common::{Fault, Outbound, Retry};
use common_contract::CustomerId;
use common_server::settings::Env;
use common_server::{Call, RunError};
use customers_client::types::Error as ErrorBody;
use customers_client::{Client, codes};
use secrecy::{ExposeSecret, SecretString};

const CONNECT_LIMIT: Duration = Duration::from_millis(500);
/// Time limit for one attempt. The caller of a check sets the limit for all of its attempts together.
const CALL_LIMIT: Duration = Duration::from_secs(2);
const RETRY: Retry = Retry {
    attempts: 3,
    base_delay: Duration::from_millis(50),
    max_delay: Duration::from_millis(100),
    attempt: CALL_LIMIT,
    total: CALL_LIMIT,
};

/// Client for the customers service.
pub(crate) struct CustomersService {
    base: String,
    token: SecretString,
    http: reqwest::Client,
}

/// Reason for a failed customer check.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CustomerFault {
    #[error("customer {0} does not exist")]
    NotFound(CustomerId),
    #[error("the customers service is unavailable: {0}")]
    Unavailable(String),
    #[error("the customers service did not respond in time")]
    TimedOut,
}

impl CustomersService {
    /// Creates the client from `CUSTOMERS_API_BASE` and `SERVICE_TOKEN`.
    pub(crate) fn from_env(env: &Env<'_>) -> Result<Self, RunError> {
        let http = client_common::http_client(CONNECT_LIMIT, CALL_LIMIT);
        Ok(Self {
            base: env.base_url("CUSTOMERS_API_BASE")?,
            token: env.secret("SERVICE_TOKEN")?,
            http: http.map_err(|error| RunError::Start(Box::new(error)))?,
        })
    }

    /// Checks that the customer exists, within the time `limit`. Propagates the correlation ID and trace context of
    /// `call`.
    pub(crate) async fn check(&self, call: &Call, id: CustomerId, limit: Duration) -> Result<(), CustomerFault> {
        let (traceparent, tracestate) = call.trace();
        let outbound = Outbound::new().bearer(self.token.expose_secret()).correlation_id(call.correlation_id());
        let outbound = outbound.trace(&traceparent, &tracestate);
        let client = Client::new_with_client(&self.base, self.http.clone(), outbound);
        let view = || client_common::send(client.internal_customer_view().id(id.get()).send());
        let response = Retry { total: limit, ..RETRY }.repeatable(view).await;
        response.map(drop).map_err(|fault| customer_fault(&fault, id))
    }
}

fn customer_fault(fault: &Fault<ErrorBody>, id: CustomerId) -> CustomerFault {
    match fault {
        fault if fault.has_code(codes::CUSTOMER_NOT_FOUND) => CustomerFault::NotFound(id),
        Fault::TimedOut => CustomerFault::TimedOut,
        Fault::Answered { status, .. } => CustomerFault::Unavailable(format!("status {status}")),
        Fault::NotSent => CustomerFault::Unavailable("not reachable".to_owned()),
        Fault::Broken => CustomerFault::Unavailable("incomplete or malformed response".to_owned()),
        Fault::Invalid(problem) => CustomerFault::Unavailable(problem.clone()),
    }
}
