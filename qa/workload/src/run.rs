//! Starts and stops a load.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use crate::Targets;
use crate::history::{History, Record};
use crate::operations::Client;
use crate::progress::Progress;
use crate::session::Session;
use crate::shop::Shop;

/// Running clients. Dropping this value aborts them.
pub struct Load {
    session: Arc<Session>,
    shop: Arc<Shop>,
    clients: JoinSet<Vec<Record>>,
}

impl Load {
    /// Creates products and customers, and starts clients. The seed and the responses determine their operations.
    ///
    /// # Errors
    /// If the login fails, or a product or customer cannot be created within a minute.
    pub async fn start(targets: Targets, seed: u64, clients: usize) -> Result<Self> {
        let session = Arc::new(Session::new(targets).context("cannot set up HTTP")?);
        // Keys and references must be unique per run, because the same seed may be used again with the same database.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let run = format!("load-{seed:x}-{:x}", now.as_micros());
        let shop = Arc::new(Shop::open(&session, &run).await?);
        let client = |number| Client::new(Arc::clone(&session), Arc::clone(&shop), &run, seed, number);
        let clients = (0..clients).map(|number| client(number).run()).collect();
        Ok(Self { session, shop, clients })
    }

    /// Returns the current values of the counters.
    pub fn progress(&self) -> Progress {
        self.session.progress().clone()
    }

    /// Completes every operation in flight, and returns the history of all clients. An operation without a definite
    /// response is abandoned 60 s after its start, plus the duration of its last attempt.
    pub async fn stop(mut self) -> History {
        self.session.stopping.store(true, Ordering::Relaxed);
        let (mut records, mut lost_clients) = (Vec::new(), Vec::new());
        while let Some(ended) = self.clients.join_next().await {
            match ended {
                Ok(more) => records.extend(more),
                Err(error) => lost_clients.push(error.to_string()),
            }
        }
        let user_principal = format!("operator:{}", self.session.targets.admin_user);
        let products = self.shop.products.clone();
        let behind_balancer = self.session.targets.behind_balancer;
        History { records, products, user_principal, behind_balancer, progress: self.progress(), lost_clients }
    }
}
