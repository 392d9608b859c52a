//! Test harness: an orchestrator, fake upstream services, and fault proxies between them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use client_common::Retry;
use common_server::Running;
use common_server::auth::Auth;
use common_server::settings::Env;
use common_server::testing;
use orchestrator::{Config, Orchestrator, Policy};
use serde_json::{Value, json};

use crate::fake_customers::{self, FakeCustomers};
use crate::fake_orders::{self, FakeOrders, OrderStore};
use crate::fault_proxy::FaultProxy;

pub(crate) const SERVICE_TOKEN: &str = "service-token-of-the-tests-and-of-nothing-else";
pub(crate) const JWT_SECRET: &str = "jwt-secret-of-the-tests-and-of-nothing-else";
pub(crate) const PATH: &str = "/orchestrator/create-and-confirm-order";

/// Time limits that are short enough for a test and long enough for responses on a busy machine.
pub(crate) const POLICY: Policy = Policy {
    retry: Retry {
        attempts: 4,
        base_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(4),
        attempt: Duration::from_secs(1),
        total: Duration::from_secs(20),
    },
    compensation: Duration::from_secs(10),
    connect: Duration::from_millis(800),
};

pub(crate) struct Harness {
    pub(crate) customers: FaultProxy,
    pub(crate) orders: FaultProxy,
    pub(crate) base_url: String,
    http: reqwest::Client,
    store: Arc<Mutex<OrderStore>>,
    running: (Running<FakeCustomers>, Running<FakeOrders>, Running<Orchestrator>),
}

/// Response to a request.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Harness {
    pub(crate) async fn new() -> Self {
        Self::start("production", POLICY).await
    }

    pub(crate) async fn in_profile(profile: &'static str) -> Self {
        Self::start(profile, POLICY).await
    }

    pub(crate) async fn with_policy(policy: Policy) -> Self {
        Self::start("production", policy).await
    }

    async fn start(profile: &'static str, policy: Policy) -> Self {
        let store = Arc::<Mutex<OrderStore>>::default();
        let auth = || Auth::from_env(&settings(profile, "", "")).unwrap();
        let (customers, orders) = (fake_customers::start(auth()), fake_orders::start(auth(), Arc::clone(&store)));
        let customers_proxy = FaultProxy::start(customers.local_addr());
        let orders_proxy = FaultProxy::start(orders.local_addr());
        let mut config = config(profile, &customers_proxy.base_url(), &orders_proxy.base_url());
        config.policy = policy;
        let orchestrator = orchestrator::start(config).unwrap();
        Self {
            customers: customers_proxy,
            orders: orders_proxy,
            base_url: orchestrator.base_url(),
            http: reqwest::Client::new(),
            store,
            running: (customers, orders, orchestrator),
        }
    }

    /// Creates a second orchestrator with the same upstream services, for invocation as a Lambda function.
    pub(crate) fn function(&self) -> Orchestrator {
        self.function_in_profile("production")
    }

    pub(crate) fn function_in_profile(&self, profile: &'static str) -> Orchestrator {
        Orchestrator::new(config(profile, &self.customers.base_url(), &self.orders.base_url())).unwrap()
    }

    /// Returns the addresses of the customers and orders services, which bypass the proxies.
    pub(crate) fn upstream_addresses(&self) -> (SocketAddr, SocketAddr) {
        let (customers, orders, _) = &self.running;
        (customers.local_addr(), orders.local_addr())
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, OrderStore> {
        self.store.lock().unwrap()
    }

    /// Sends the body, authenticated with the service token.
    pub(crate) async fn send(&self, body: &Value) -> Reply {
        let request = self.http.post(format!("{}{PATH}", self.base_url)).bearer_auth(SERVICE_TOKEN).json(body);
        Reply::send(request).await
    }

    /// Sends a request for 3 pieces with this key.
    pub(crate) async fn order(&self, key: &str) -> Reply {
        self.send(&order_body(key)).await
    }
}

/// Returns a request for 3 pieces with this key.
pub(crate) fn order_body(key: &str) -> Value {
    let items = json!([{ "product_id": fake_orders::PRODUCT, "qty": 3 }]);
    json!({ "customer_id": 1, "items": items, "idempotency_key": key, "correlation_id": "req-789" })
}

impl Reply {
    pub(crate) async fn send(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Asserts that the response has this status and these machine-readable failure fields.
    #[track_caller]
    pub(crate) fn assert_failed(&self, status: u16, code: &str, step: &str, compensated: &str, safe_to_retry: bool) {
        let error = &self.json()["error"];
        let actual = (self.status, &error["code"], &error["step"], &error["compensated"], &error["safe_to_retry"]);
        let expected = (status, &json!(code), &json!(step), &json!(compensated), &json!(safe_to_retry));
        assert_eq!(actual, expected, "{}", self.text);
        assert_eq!(self.json()["success"], false);
    }

    /// Asserts that the order is confirmed.
    #[track_caller]
    pub(crate) fn assert_succeeded(&self) {
        assert_eq!(self.status, 201, "{}", self.text);
        assert_eq!(self.json()["data"]["order"]["status"], "CONFIRMED");
    }

    pub(crate) fn attempts(&self) -> Value {
        self.json()["error"]["attempts"].clone()
    }
}

pub(crate) const DOCUMENT: &str = include_str!("../../../specs/orchestrator.json");

pub(crate) fn config(profile: &'static str, customers: &str, orders: &str) -> Config {
    let mut config = Config::from_env(&settings(profile, customers, orders)).unwrap();
    config.policy = POLICY;
    config.runtime = testing::runtime(DOCUMENT).unwrap();
    config
}

pub(crate) fn settings<'a>(profile: &'static str, customers: &'a str, orders: &'a str) -> Env<'a> {
    Env::new(move |name| {
        let value = match name {
            "PORT" => "0",
            "JWT_SECRET" => JWT_SECRET,
            "SERVICE_TOKEN" => SERVICE_TOKEN,
            "PROFILE" => profile,
            "CUSTOMERS_API_BASE" => customers,
            "ORDERS_API_BASE" => orders,
            _ => return None,
        };
        Some(value.to_owned())
    })
}
