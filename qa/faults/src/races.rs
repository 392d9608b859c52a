//! Races: in each round, many clients compete for the same keys, orders and stock. No request may be executed twice, no
//! stock may be oversold, and all clients must receive equal responses.
//!
//! Clients retry as the generated clients document: with the same key, as long as a retry may succeed.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use client_common::{Fault, Retry, send};
use futures::future::{join_all, try_join_all};
use orders_client::types::{Order, OrderInput, OrderItemInput, ProductInput};
use orders_client::{Client, ResponseValue, codes, types};
use rand::distr::{Alphanumeric, SampleString};
use tokio::sync::watch;
use workload::Targets;

const CLIENTS: i64 = 32;
const KEYS: i64 = 8;
const SCARCE_STOCK: i64 = 12;

struct Round {
    orders: Client,
    customer: i64,
    /// Prefix of all keys and names in the round.
    name: String,
}

/// Runs rounds until stopped, and completes the last round. Returns the number of rounds and the number of calls, or an
/// error if a race has a wrong result or a call receives no definite response.
pub(crate) async fn run(targets: Targets, stopping: watch::Receiver<bool>) -> Result<(u32, i64)> {
    let (mut rounds, mut calls) = (0, 0);
    while !*stopping.borrow() {
        let round = Round::begin(&targets).await?;
        calls += round.run().await.with_context(|| format!("in round {}", round.name))?;
        rounds += 1;
    }
    Ok((rounds, calls))
}

impl Round {
    /// Logs in for every round, because tokens expire, and creates a customer.
    async fn begin(targets: &Targets) -> Result<Self> {
        let Targets { customers, orders, admin_user, admin_password, .. } = targets;
        let log_in = || customers_client::log_in(customers, admin_user, admin_password);
        let credentials = retry_policy().repeatable(log_in).await.context("cannot log in")?;
        let name = Alphanumeric.sample_string(&mut rand::rng(), 16);
        let email = format!("{name}@example.com");
        let client = customers_client::Client::connect(customers, credentials.clone())?;
        let new = customers_client::types::CustomerInput::builder().name(name.as_str()).email(email);
        let customer =
            retry_policy().unrepeatable(|| send(client.customer_create().body(new.clone()).send())).await?.id;
        Ok(Self { orders: Client::connect(orders, credentials)?, customer, name })
    }

    /// Runs all races sequentially. Returns the number of competing calls.
    async fn run(&self) -> Result<i64> {
        let Self { orders, .. } = self;
        let confirm = |id, key: String| async move {
            let confirm = || send(orders.order_confirm().id(id).x_idempotency_key(key.as_str()).send());
            retry_policy().repeatable(confirm).await.map(ResponseValue::into_inner)
        };
        let cancel = |id, key: String| async move {
            let cancel = || send(orders.order_cancel().id(id).x_idempotency_key(key.as_str()).send());
            retry_policy().repeatable(cancel).await.map(ResponseValue::into_inner)
        };
        self.create_under_shared_keys().await.context("creating under shared keys")?;
        // Half of the clients share one key; each of the others has its own key.
        self.race_for_transition("confirmed", CLIENTS / 2, 7, confirm).await.context("confirming")?;
        self.race_for_transition("canceled", 1, 10, cancel).await.context("canceling")?;
        self.order_scarce_product().await.context("ordering a scarce product")?;
        Ok((KEYS + 3) * CLIENTS)
    }

    async fn create_under_shared_keys(&self) -> Result<()> {
        let product = self.product("common", 1_000).await?;
        for key in 0..KEYS {
            let key = format!("{}-common-{key}", self.name);
            let orders = try_join_all((0..CLIENTS).map(|_| self.create(&key, product, 2))).await?;
            ensure_equal(&orders)?;
        }
        self.ensure_stock(product, 1_000 - 2 * KEYS).await
    }

    /// All clients send the same transition for an order of 3 out of 10 units in stock; `sharers` of them use the same
    /// key. Afterwards, the stock must be `remaining`.
    async fn race_for_transition<F>(
        &self,
        name: &str,
        sharers: i64,
        remaining: i64,
        transition: impl Fn(i64, String) -> F,
    ) -> Result<()>
    where
        F: Future<Output = Result<Order, Fault<types::Error>>>,
    {
        let product = self.product(name, 10).await?;
        let order = self.create(&format!("{}-{name}", self.name), product, 3).await?.id;
        let keys = (0..CLIENTS).map(|client| format!("{}-{name}-{}", self.name, client.max(sharers - 1)));
        let results = try_join_all(keys.map(|key| transition(order, key))).await?;
        ensure_equal(&results)?;
        ensure!(results[0].version == 2, "{name} once, but the version is {} instead of 2", results[0].version);
        self.ensure_stock(product, remaining).await
    }

    async fn order_scarce_product(&self) -> Result<()> {
        let product = self.product("scarce", SCARCE_STOCK).await?;
        let order = async |client: i64| self.create(&format!("{}-scarce-{client}", self.name), product, 1).await;
        let mut created = 0;
        for outcome in join_all((0..CLIENTS).map(order)).await {
            match outcome {
                Ok(_) => created += 1,
                Err(fault) if fault.has_code(codes::INSUFFICIENT_STOCK) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        ensure!(created == SCARCE_STOCK, "{created} units of a stock of {SCARCE_STOCK} were ordered");
        self.ensure_stock(product, 0).await
    }

    async fn create(&self, key: &str, product_id: i64, qty: i64) -> Result<Order, Fault<types::Error>> {
        let item = OrderItemInput::builder().product_id(product_id).qty(qty);
        let new = OrderInput::builder().customer_id(self.customer).items([item]);
        let create = || send(self.orders.order_create().x_idempotency_key(key).body(new.clone()).send());
        retry_policy().repeatable(create).await.map(ResponseValue::into_inner)
    }

    async fn product(&self, name: &str, stock: i64) -> Result<i64> {
        let new = ProductInput::builder().sku(format!("{}-{name}", self.name)).name(name).price_cents(100).stock(stock);
        Ok(retry_policy().unrepeatable(|| send(self.orders.product_create().body(new.clone()).send())).await?.id)
    }

    async fn ensure_stock(&self, product: i64, expected: i64) -> Result<()> {
        let stock = retry_policy().repeatable(|| send(self.orders.product_view().id(product).send())).await?.stock;
        ensure!(stock == expected, "product {product} has a stock of {stock}, not {expected}");
        Ok(())
    }
}

/// Returns the retry policy for contended keys and products: an unlimited number of attempts within 60 s.
fn retry_policy() -> Retry {
    Retry { attempts: u32::MAX, total: Duration::from_secs(60), ..Retry::default() }
}

fn ensure_equal(orders: &[Order]) -> Result<()> {
    match orders.iter().find(|order| **order != orders[0]) {
        Some(other) => bail!("clients got different orders: {:?} and {other:?}", orders[0]),
        None => Ok(()),
    }
}
