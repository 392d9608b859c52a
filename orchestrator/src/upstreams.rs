//! The two services behind this one: how they are reached, for one request at a time, and whether they are ready.

use std::time::Duration;

use client_common::{Coded, Fault, Outbound, Tried};
use common_contract::Failure;
use common_server::Call;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout};

use crate::policy::{self, Policy, RetryBudget};

/// How long both services may take to say that they are ready.
const READY_LIMIT: Duration = Duration::from_millis(500);

/// Where the services are, and how to speak to them.
pub(crate) struct Upstreams {
    http: reqwest::Client,
    service_token: SecretString,
    policy: Policy,
    customers: Upstream,
    orders: Upstream,
}

struct Upstream {
    base: String,
    retries: RetryBudget,
    /// Going forward must not use up what it takes to go back.
    undo_retries: RetryBudget,
}

impl Upstream {
    fn at(base: String) -> Self {
        Self { base, retries: RetryBudget::full(), undo_retries: RetryBudget::full() }
    }
}

impl Upstreams {
    pub(crate) fn new(
        customers_base: String,
        orders_base: String,
        service_token: SecretString,
        policy: Policy,
    ) -> reqwest::Result<Self> {
        let http = client_common::http_client(policy.connect, policy.attempt)?;
        let (customers, orders) = (Upstream::at(customers_base), Upstream::at(orders_base));
        Ok(Self { http, service_token, policy, customers, orders })
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// A client that speaks as this service, as part of the caller's piece of work.
    pub(crate) fn customers(&self, call: &Call) -> customers_client::Client {
        customers_client::Client::new_with_client(&self.customers.base, self.http.clone(), self.outbound(call))
    }

    /// The same, to the orders service.
    pub(crate) fn orders(&self, call: &Call) -> orders_client::Client {
        orders_client::Client::new_with_client(&self.orders.base, self.http.clone(), self.outbound(call))
    }

    fn outbound(&self, call: &Call) -> Outbound {
        let (traceparent, tracestate) = call.trace();
        let outbound = Outbound::new().bearer(self.service_token.expose_secret()).correlation_id(call.correlation_id());
        outbound.trace(&traceparent, &tracestate)
    }

    /// Sends a call to the customers service until it is answered for good.
    pub(crate) async fn ask_customers<T, E: Coded, F>(&self, until: Instant, send: impl Fn() -> F) -> Tried<T, E>
    where
        F: Future<Output = Result<T, Fault<E>>>,
    {
        policy::call(&self.policy, &self.customers.retries, until, send).await
    }

    /// The same, to the orders service.
    pub(crate) async fn ask_orders<T, E: Coded, F>(&self, until: Instant, send: impl Fn() -> F) -> Tried<T, E>
    where
        F: Future<Output = Result<T, Fault<E>>>,
    {
        policy::call(&self.policy, &self.orders.retries, until, send).await
    }

    /// The same, to take something back.
    pub(crate) async fn undo_orders<T, E: Coded, F>(&self, until: Instant, send: impl Fn() -> F) -> Tried<T, E>
    where
        F: Future<Output = Result<T, Fault<E>>>,
    {
        policy::call(&self.policy, &self.orders.undo_retries, until, send).await
    }

    /// Whether both services are ready.
    pub(crate) async fn ready(&self, call: &Call) -> Result<(), Failure> {
        let (customers, orders) = (self.customers(call), self.orders(call));
        let both = async {
            tokio::join!(
                client_common::send(customers.readiness_view().send()),
                client_common::send(orders.readiness_view().send())
            )
        };
        match timeout(READY_LIMIT, both).await {
            Ok((Ok(_), Ok(_))) => Ok(()),
            Ok((Err(_), _)) => Err(Failure::unavailable("the customers service is not ready")),
            Ok((_, Err(_))) => Err(Failure::unavailable("the orders service is not ready")),
            Err(late) => Err(Failure::unavailable(late)),
        }
    }
}
