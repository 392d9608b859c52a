//! Starting a load and ending it.

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

/// Clients at work. Dropping it stops them wherever they are.
pub struct Load {
    session: Arc<Session>,
    shop: Arc<Shop>,
    clients: JoinSet<Vec<Record>>,
}

impl Load {
    /// Creates products and customers of its own and starts clients on them. What each client does follows from the seed
    /// and from its answers.
    ///
    /// # Errors
    ///
    /// Where it cannot log in, or cannot create its products and customers within a minute each.
    pub async fn start(targets: Targets, seed: u64, clients: usize) -> Result<Self> {
        let session = Arc::new(Session::new(targets).context("cannot set up HTTP")?);
        // The same seed may run again on the same database: keys and references must be new.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let run = format!("load-{seed:x}-{:x}", now.as_micros());
        let shop = Arc::new(Shop::open(&session, &run).await?);
        let client = |number| Client::new(Arc::clone(&session), Arc::clone(&shop), &run, seed, number);
        let clients = (0..clients).map(|number| client(number).run()).collect();
        Ok(Self { session, shop, clients })
    }

    /// The figures so far.
    pub fn progress(&self) -> Progress {
        self.session.progress().clone()
    }

    /// Ends every operation that has begun, and returns the history of all clients. An operation without a definite
    /// answer is given up 60 s after it began, plus the time of its last attempt.
    pub async fn stop(mut self) -> History {
        self.session.stopping.store(true, Ordering::Relaxed);
        let (mut records, mut lost_clients) = (Vec::new(), Vec::new());
        while let Some(ended) = self.clients.join_next().await {
            match ended {
                Ok(more) => records.extend(more),
                Err(error) => lost_clients.push(error.to_string()),
            }
        }
        let operator = format!("operator:{}", self.session.targets.admin_user);
        let products = self.shop.products.clone();
        let behind_balancer = self.session.targets.behind_balancer;
        History { records, products, operator, behind_balancer, progress: self.progress(), lost_clients }
    }
}
