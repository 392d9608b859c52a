//! Many clients who want the same thing at once, round after round: nothing happens twice, nothing is oversold, and all
//! are told the same.
//!
//! Each client sends as the generated clients document it: again under the same key, for as long as that may help.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use client_common::{Fault, Retry, send};
use futures::future::{join_all, try_join_all};
use orders_client::types::{NewOrder, NewOrderItem, NewProduct, Order};
use orders_client::{Client, ResponseValue, codes, types};
use rand::distr::{Alphanumeric, SampleString};
use tokio::sync::watch;
use workload::Targets;

const CLIENTS: i64 = 32;
const KEYS: i64 = 8;
const PIECES: i64 = 12;

/// One round of clients.
struct Round {
    orders: Client,
    customer: i64,
    /// Begins every key and name of the round.
    name: String,
}

/// Runs rounds until it is stopped, and ends the one that it is in. Gives the number of rounds and of their calls.
///
/// # Errors
///
/// Says what must not be, or which call got no answer.
pub(crate) async fn run(targets: Targets, stopping: watch::Receiver<bool>) -> Result<(u32, i64)> {
    let (mut rounds, mut calls) = (0, 0);
    while !*stopping.borrow() {
        let round = Round::begin(&targets).await?;
        calls += round.run().await.with_context(|| format!("in the round {}", round.name))?;
        rounds += 1;
    }
    Ok((rounds, calls))
}

impl Round {
    /// Logs in anew: a token ends.
    async fn begin(targets: &Targets) -> Result<Self> {
        let Targets { customers, orders, admin_user, admin_password, .. } = targets;
        let log_in = || customers_client::log_in(customers, admin_user, admin_password);
        let operator = patient().repeatable(log_in).await.context("cannot log in")?;
        let name = Alphanumeric.sample_string(&mut rand::rng(), 16);
        let email = format!("{name}@example.com");
        let client = customers_client::Client::connect(customers, operator.clone())?;
        let new = customers_client::types::CustomerInput::builder().name(name.as_str()).email(email);
        let customer = patient().unrepeatable(|| send(client.customer_create().body(new.clone()).send())).await?.id;
        Ok(Self { orders: Client::connect(orders, operator)?, customer, name })
    }

    /// All races, one after the other. Gives how many calls there were.
    async fn run(&self) -> Result<i64> {
        let Self { orders, .. } = self;
        let confirm = |id, key: String| async move {
            let confirm = || send(orders.order_confirm().id(id).x_idempotency_key(key.as_str()).send());
            patient().repeatable(confirm).await.map(ResponseValue::into_inner)
        };
        let cancel = |id, key: String| async move {
            let cancel = || send(orders.order_cancel().id(id).x_idempotency_key(key.as_str()).send());
            patient().repeatable(cancel).await.map(ResponseValue::into_inner)
        };
        self.few_orders_for_many_clients().await.context("creating under common keys")?;
        // Half of the clients share a key, the others have one each.
        self.one_transition_for_many_clients("confirmed", CLIENTS / 2, 7, confirm).await.context("confirming")?;
        self.one_transition_for_many_clients("canceled", 1, 10, cancel).await.context("canceling")?;
        self.few_pieces_for_many_buyers().await.context("buying what is scarce")?;
        Ok((KEYS + 3) * CLIENTS)
    }

    async fn few_orders_for_many_clients(&self) -> Result<()> {
        let product = self.product("common", 1_000).await?;
        for key in 0..KEYS {
            let key = format!("{}-common-{key}", self.name);
            let made = try_join_all((0..CLIENTS).map(|_| self.create(&key, product, 2))).await?;
            all_equal(&made)?;
        }
        self.has_stock(product, 1_000 - 2 * KEYS).await
    }

    /// All clients do the same to an order of 3 pieces out of 10, so many of them under one key. Afterwards `left` are left.
    async fn one_transition_for_many_clients<F>(
        &self,
        name: &str,
        sharers: i64,
        left: i64,
        act: impl Fn(i64, String) -> F,
    ) -> Result<()>
    where
        F: Future<Output = Result<Order, Fault<types::Error>>>,
    {
        let product = self.product(name, 10).await?;
        let order = self.create(&format!("{}-{name}", self.name), product, 3).await?.id;
        let keys = (0..CLIENTS).map(|client| format!("{}-{name}-{}", self.name, client.max(sharers - 1)));
        let ends = try_join_all(keys.map(|key| act(order, key))).await?;
        all_equal(&ends)?;
        ensure!(ends[0].version == 2, "{name} once, but at version {}", ends[0].version);
        self.has_stock(product, left).await
    }

    async fn few_pieces_for_many_buyers(&self) -> Result<()> {
        let product = self.product("scarce", PIECES).await?;
        let buy = async |client: i64| self.create(&format!("{}-buyer-{client}", self.name), product, 1).await;
        let mut bought = 0;
        for outcome in join_all((0..CLIENTS).map(buy)).await {
            match outcome {
                Ok(_) => bought += 1,
                Err(fault) if fault.has_code(codes::INSUFFICIENT_STOCK) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        ensure!(bought == PIECES, "of {PIECES} pieces {bought} were sold");
        self.has_stock(product, 0).await
    }

    async fn create(&self, key: &str, product_id: i64, qty: i64) -> Result<Order, Fault<types::Error>> {
        let item = NewOrderItem::builder().product_id(product_id).qty(qty);
        let new = NewOrder::builder().customer_id(self.customer).items([item]);
        let create = || send(self.orders.order_create().x_idempotency_key(key).body(new.clone()).send());
        patient().repeatable(create).await.map(ResponseValue::into_inner)
    }

    async fn product(&self, name: &str, stock: i64) -> Result<i64> {
        let new = NewProduct::builder().sku(format!("{}-{name}", self.name)).name(name).price_cents(100).stock(stock);
        Ok(patient().unrepeatable(|| send(self.orders.product_create().body(new.clone()).send())).await?.id)
    }

    async fn has_stock(&self, product: i64, expected: i64) -> Result<()> {
        let stock = patient().repeatable(|| send(self.orders.product_view().id(product).send())).await?.stock;
        ensure!(stock == expected, "product {product} has a stock of {stock} instead of {expected}");
        Ok(())
    }
}

/// For a key that others use, and for products that everybody wants.
fn patient() -> Retry {
    Retry { attempts: u32::MAX, total: Duration::from_secs(60), ..Retry::default() }
}

fn all_equal(orders: &[Order]) -> Result<()> {
    match orders.iter().find(|order| **order != orders[0]) {
        Some(other) => bail!("one was told {:?}, another {other:?}", orders[0]),
        None => Ok(()),
    }
}
