//! What all clients of a load share: connections, the operator's token, the clock, the count. How a request is pursued
//! until it is answered for good.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use client_common::Outbound;
use reqwest::{Method, RequestBuilder};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::Targets;
use crate::attempt::Attempt;
use crate::history::{Caller, Sent};
use crate::operation::Operation;
use crate::outcome::label;
use crate::progress::Tally;
use crate::retry::{DEADLINE, again};

const CONNECT: Duration = Duration::from_millis(500);
/// The servers wait up to 2 s for a key that is in use, and as long again for another service.
const ATTEMPT: Duration = Duration::from_secs(5);
/// A saga may take 28 s.
const SAGA_ATTEMPT: Duration = Duration::from_secs(30);
/// A token is renewed this long before its end.
const RENEWAL: Duration = Duration::from_secs(60);

/// What all clients of a load share.
pub(crate) struct Session {
    pub(crate) targets: Targets,
    pub(crate) tally: Tally,
    http: reqwest::Client,
    patient_http: reqwest::Client,
    token: Mutex<Option<Token>>,
    started: Instant,
}

struct Token {
    text: Arc<str>,
    until: Instant,
}

/// How a request is pursued.
#[derive(Clone, Copy)]
pub(crate) struct Pursuit {
    pub(crate) operation: Operation,
    /// Whether sending it twice does no harm: it is a read, or has a key.
    pub(crate) repeatable: bool,
    pub(crate) request: usize,
    pub(crate) sender: usize,
}

impl Pursuit {
    pub(crate) fn of(operation: Operation, repeatable: bool) -> Self {
        Self { operation, repeatable, request: 0, sender: 0 }
    }
}

impl Session {
    pub(crate) fn new(targets: Targets) -> Result<Self> {
        Ok(Self {
            targets,
            tally: Tally::default(),
            http: client_common::http_client(CONNECT, ATTEMPT)?,
            patient_http: client_common::http_client(CONNECT, SAGA_ATTEMPT)?,
            token: Mutex::default(),
            started: Instant::now(),
        })
    }

    /// Sends a request until it is answered for good or the deadline has passed, and gives every attempt.
    pub(crate) async fn pursue<F>(&self, pursuit: Pursuit, attempt: impl Fn() -> F) -> Vec<Sent>
    where
        F: Future<Output = Attempt>,
    {
        let Pursuit { operation, repeatable, request, sender } = pursuit;
        let deadline = Instant::now() + DEADLINE;
        let mut sends = Vec::new();
        let mut attempts = 0;
        loop {
            let started = self.now();
            let Attempt { outcome, body } = attempt().await;
            self.tally.answered(operation, &outcome, attempts > 0);
            attempts += 1;
            let pause = again(&outcome, repeatable, attempts);
            self.forget_refused_token(&outcome).await;
            sends.push(Sent { request, sender, started, ended: self.now(), outcome, body });
            match pause {
                Some(pause) if Instant::now() + pause < deadline => sleep(pause).await,
                _ => return sends,
            }
        }
    }

    /// A request to the orders service that is not left to the generated client, because its bytes matter.
    pub(crate) async fn order_request(&self, caller: Caller, path: &str) -> Option<RequestBuilder> {
        let url = format!("{}{path}", self.targets.orders);
        Some(self.http.request(Method::POST, url).bearer_auth(self.bearer(caller).await?))
    }

    /// The same, to the orchestrator.
    pub(crate) async fn saga_request(&self, caller: Caller) -> Option<RequestBuilder> {
        let url = format!("{}/orchestrator/create-and-confirm-order", self.targets.orchestrator);
        Some(self.patient_http.request(Method::POST, url).bearer_auth(self.bearer(caller).await?))
    }

    /// The orders service, spoken to by the operator.
    pub(crate) async fn orders(&self) -> Option<orders_client::Client> {
        let outbound = Outbound::new().bearer(&self.bearer(Caller::Operator).await?);
        Some(orders_client::Client::new_with_client(&self.targets.orders, self.http.clone(), outbound))
    }

    /// The customers service, spoken to by the operator.
    pub(crate) async fn customers(&self) -> Option<customers_client::Client> {
        let outbound = Outbound::new().bearer(&self.bearer(Caller::Operator).await?);
        Some(customers_client::Client::new_with_client(&self.targets.customers, self.http.clone(), outbound))
    }

    /// Microseconds since the start.
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    async fn bearer(&self, caller: Caller) -> Option<Arc<str>> {
        match caller {
            Caller::Service => Some(self.targets.service_token.as_str().into()),
            Caller::Operator => self.operator_token().await.ok(),
        }
    }

    /// The operator's token: a new one where the last is about to end.
    pub(crate) async fn operator_token(&self) -> Result<Arc<str>> {
        let mut token = self.token.lock().await;
        if let Some(Token { text, until }) = token.as_ref()
            && Instant::now() + RENEWAL < *until
        {
            return Ok(Arc::clone(text));
        }
        let Token { text, until } = self.log_in().await?;
        *token = Some(Token { text: Arc::clone(&text), until });
        Ok(text)
    }

    async fn log_in(&self) -> Result<Token> {
        let Targets { customers, admin_user, admin_password, .. } = &self.targets;
        let client = customers_client::Client::new_with_client(customers, self.http.clone(), Outbound::new());
        let credentials = customers_client::types::Credentials::builder();
        let credentials = credentials.username(admin_user.as_str()).password(admin_password.as_str());
        let asked = Instant::now();
        let answer =
            client_common::send(client.token_create().body(credentials).send()).await.context("cannot log in")?;
        let until = asked + Duration::from_secs(answer.expires_in.into());
        Ok(Token { text: answer.access_token.as_str().into(), until })
    }

    async fn forget_refused_token(&self, outcome: &crate::outcome::Outcome) {
        if label(outcome).starts_with("401") {
            *self.token.lock().await = None;
        }
    }
}
