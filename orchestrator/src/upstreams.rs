//! Upstream services (customers and orders): per-request clients, retry budgets and readiness check.

use std::time::Duration;

use client_common::{Outbound, RetryBudget};
use common_contract::Failure;
use common_server::Call;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use crate::policy::Policy;

/// Time limit for the readiness checks of both services, which run concurrently.
const READINESS_TIMEOUT: Duration = Duration::from_millis(500);

/// Addresses, HTTP client and retry budgets for the upstream services.
pub(crate) struct Upstreams {
    http: reqwest::Client,
    service_token: SecretString,
    customers_base: String,
    orders_base: String,
    pub(crate) policy: Policy,
    pub(crate) customers_retries: RetryBudget,
    pub(crate) orders_retries: RetryBudget,
    /// Separate retry budget for compensation, which retries of the saga's steps cannot exhaust.
    pub(crate) compensation_retries: RetryBudget,
}

impl Upstreams {
    pub(crate) fn new(
        customers_base: String,
        orders_base: String,
        service_token: SecretString,
        policy: Policy,
    ) -> reqwest::Result<Self> {
        Ok(Self {
            http: client_common::http_client(policy.connect, policy.retry.attempt)?,
            service_token,
            customers_base,
            orders_base,
            policy,
            customers_retries: RetryBudget::default(),
            orders_retries: RetryBudget::default(),
            compensation_retries: RetryBudget::default(),
        })
    }

    /// Returns clients that send the service token and propagate the correlation ID and trace context of `call`.
    pub(crate) fn clients(&self, call: &Call) -> (customers_client::Client, orders_client::Client) {
        let (traceparent, tracestate) = call.trace();
        let outbound = Outbound::new().bearer(self.service_token.expose_secret()).correlation_id(call.correlation_id());
        let outbound = outbound.trace(&traceparent, &tracestate);
        let http = || self.http.clone();
        (
            customers_client::Client::new_with_client(&self.customers_base, http(), outbound.clone()),
            orders_client::Client::new_with_client(&self.orders_base, http(), outbound),
        )
    }

    /// Checks that both upstream services are ready.
    pub(crate) async fn ready(&self, call: &Call) -> Result<(), Failure> {
        let (customers, orders) = self.clients(call);
        let checks = async {
            tokio::join!(
                client_common::send(customers.readiness_view().send()),
                client_common::send(orders.readiness_view().send())
            )
        };
        match timeout(READINESS_TIMEOUT, checks).await {
            Ok((Ok(_), Ok(_))) => Ok(()),
            Ok((Err(_), _)) => Err(Failure::unavailable("the customers service is not ready")),
            Ok((_, Err(_))) => Err(Failure::unavailable("the orders service is not ready")),
            Err(elapsed) => Err(Failure::unavailable(elapsed)),
        }
    }
}
