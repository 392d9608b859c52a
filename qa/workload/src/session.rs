//! What all clients of a load share: connections, the operator's token, the clock, the count; and how a request is sent
//! until it has a definite answer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use client_common::{Fault, Outbound, Retry};
use reqwest::Method;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::Targets;
use crate::answer::{self, Answer};
use crate::contract::{Contract, Endpoint, Service};
use crate::history::Sent;
use crate::outcome::Outcome;
use crate::progress::Tally;
use crate::request::{Caller, Request};

const CONNECT: Duration = Duration::from_millis(500);
/// The servers wait up to 2 s for a key that is in use, and as long again for another service.
const ATTEMPT: Duration = Duration::from_secs(5);
/// A saga may take 28 s.
const SAGA_ATTEMPT: Duration = Duration::from_secs(30);
/// A token is renewed this long before its end.
const RENEWAL: Duration = Duration::from_secs(60);
/// How long a client retries.
const DEADLINE: Duration = Duration::from_secs(60);
/// How it does.
pub(crate) const RETRY: Retry = Retry {
    attempts: u32::MAX,
    base_delay: Duration::from_millis(50),
    max_delay: Duration::from_secs(2),
    attempt: DEADLINE,
    total: DEADLINE,
};

/// What all clients of a load share.
pub(crate) struct Session {
    pub(crate) targets: Targets,
    pub(crate) tally: Tally,
    contract: Contract,
    http: reqwest::Client,
    token: Mutex<Option<Token>>,
    started: Instant,
}

struct Token {
    text: Arc<str>,
    until: Instant,
}

/// Who sends a request, and which of a record it is.
#[derive(Clone, Copy)]
pub(crate) struct Sender<'k> {
    pub(crate) caller: Caller,
    pub(crate) key: Option<&'k str>,
    /// Which of the record's requests.
    pub(crate) request: usize,
    /// Senders under one key are numbered.
    pub(crate) number: usize,
}

impl Sender<'_> {
    /// Names the piece of work after the key, so that the orders of a saga are found again.
    fn correlation_id(self) -> Option<String> {
        Some(format!("{}/{}", self.key?, self.number))
    }
}

impl Session {
    pub(crate) fn new(targets: Targets) -> Result<Self> {
        Ok(Self {
            targets,
            tally: Tally::default(),
            contract: Contract::read()?,
            http: client_common::http_client(CONNECT, SAGA_ATTEMPT)?,
            token: Mutex::default(),
            started: Instant::now(),
        })
    }

    /// Sends a request until it has a definite answer or the deadline has passed. Returns every attempt.
    pub(crate) async fn pursue(&self, request: &Request, sender: Sender<'_>) -> Vec<Sent> {
        let deadline = Instant::now() + DEADLINE;
        let mut sends = Vec::new();
        loop {
            let started = self.now();
            let (outcome, body, is_repeatable) = match self.contract.endpoint(request.operation()) {
                Some(endpoint) => {
                    let (outcome, body) = self.attempt(request, endpoint, sender).await;
                    (outcome, body, sender.key.is_some() || endpoint.method == Method::GET)
                }
                None => (Err(Fault::Invalid("no document has the operation".to_owned())), None, false),
            };
            self.tally.answered(request.operation(), &outcome, !sends.is_empty());
            let attempts = u32::try_from(sends.len() + 1).unwrap_or(u32::MAX);
            let pause = retry_after(&outcome, is_repeatable, attempts);
            if outcome.as_ref().is_err_and(|fault| fault.status() == Some(401)) {
                *self.token.lock().await = None;
            }
            let body = body.filter(|_| sender.key.is_some());
            let Sender { request, number: sender, .. } = sender;
            sends.push(Sent { request, sender, started, ended: self.now(), outcome, body });
            match pause {
                Some(pause) if Instant::now() + pause < deadline => sleep(pause).await,
                _ => return sends,
            }
        }
    }

    async fn attempt(&self, request: &Request, endpoint: &Endpoint, sender: Sender<'_>) -> Answer {
        let (base, limit) = match endpoint.service {
            Service::Customers => (&self.targets.customers, ATTEMPT),
            Service::Orders => (&self.targets.orders, ATTEMPT),
            Service::Orchestrator => (&self.targets.orchestrator, SAGA_ATTEMPT),
        };
        let Some(bearer) = self.bearer(sender.caller).await else { return (Err(Fault::NotSent), None) };
        let path = endpoint.path.replace("{id}", &request.id().unwrap_or_default().to_string());
        let mut http = self.http.request(endpoint.method.clone(), format!("{base}{path}"));
        http = http.timeout(limit).bearer_auth(bearer).query(&request.query());
        if let (Some(key), false) = (sender.key, endpoint.service == Service::Orchestrator) {
            http = http.header("x-idempotency-key", key);
        }
        if let Some(version) = request.if_match() {
            http = http.header("if-match", format!("\"v{version}\""));
        }
        let correlation_id = sender.correlation_id().unwrap_or_default();
        if let Some(body) = request.body(sender.key, &correlation_id) {
            http = http.json(&body);
        }
        answer::read(request, endpoint, &correlation_id, http.send().await).await
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
    async fn operator_token(&self) -> Result<Arc<str>> {
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
        let client = customers_client::Client::new_with_client(
            customers,
            self.http.clone(),
            Outbound::new().time_limit(ATTEMPT),
        );
        let credentials = customers_client::types::Credentials::builder();
        let credentials = credentials.username(admin_user.as_str()).password(admin_password.as_str());
        let asked = Instant::now();
        let answer = client_common::send(client.token_create().body(credentials).send()).await;
        let answer = answer.context("cannot log in")?;
        let until = asked + Duration::from_secs(answer.expires_in.into());
        Ok(Token { text: answer.access_token.as_str().into(), until })
    }
}

/// The backoff before the request is sent again; none where a retry cannot help, or might execute it twice.
///
/// A read and a request under a key are repeatable. [`Retry`] sends again by itself, but the history needs each attempt.
fn retry_after(outcome: &Outcome, is_repeatable: bool, attempts: u32) -> Option<Duration> {
    let fault = outcome.as_ref().err()?;
    let may = fault.may_pass() && (is_repeatable || !fault.may_have_been_carried_out());
    may.then(|| RETRY.backoff(attempts, fault))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Refusal;

    fn answered(status: u16, code: &str) -> Outcome {
        let body = Some(Refusal { code: code.to_owned(), left: None });
        Err(Fault::Answered { status, retry_after: Some(Duration::from_secs(1)), body })
    }

    #[test]
    fn what_has_no_key_is_sent_again_only_where_it_was_not_carried_out() {
        for outcome in [Err(Fault::TimedOut), Err(Fault::Broken), answered(503, "outcome_unknown")] {
            assert_eq!(retry_after(&outcome, false, 1), None, "{outcome:?}");
            assert!(retry_after(&outcome, true, 1).is_some(), "{outcome:?}");
        }
        for outcome in [Err(Fault::NotSent), answered(503, "unavailable")] {
            assert!(retry_after(&outcome, false, 1).is_some(), "{outcome:?}");
        }
    }

    #[test]
    fn a_refusal_is_final_and_the_servers_wish_is_honoured() {
        assert_eq!(retry_after(&answered(409, "insufficient_stock"), true, 1), None);
        assert_eq!(retry_after(&answered(409, "idempotency_in_progress"), true, 1), Some(Duration::from_secs(1)));
        assert!(retry_after(&Err(Fault::NotSent), true, 40).is_some_and(|pause| pause <= RETRY.max_delay));
    }
}
