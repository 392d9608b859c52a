//! What all clients of a load share: connections, the operator's token, the clock, the count; and how a request is sent
//! until it has a definite answer.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use client_common::{Fault, Outbound, Retry};
use customers_client::types::{Credentials, Error};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::contract::{self, Contract, Service};
use crate::history::{Record, Sent};
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::request::{Call, Caller};
use crate::{Targets, answer};

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
    contract: Contract,
    http: reqwest::Client,
    /// The operator's token, and when it is to be renewed.
    token: tokio::sync::Mutex<Option<(String, Instant)>>,
    progress: Mutex<Progress>,
    started: Instant,
    /// Whether the clients are to end.
    pub(crate) stopping: AtomicBool,
}

impl Session {
    pub(crate) fn new(targets: Targets) -> Result<Self> {
        let (contract, http) = (contract::read()?, client_common::http_client(CONNECT, SAGA_ATTEMPT)?);
        let (token, progress, started) = (tokio::sync::Mutex::default(), Mutex::default(), Instant::now());
        Ok(Self { targets, contract, http, token, progress, started, stopping: AtomicBool::new(false) })
    }

    /// The figures so far.
    pub(crate) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one of a record's requests until it has a definite answer or the deadline passes. Returns every attempt.
    pub(crate) async fn pursue(&self, record: &Record, request: usize, sender: usize) -> Vec<Sent> {
        let deadline = Instant::now() + DEADLINE;
        let operation = record.requests[request].call().operation;
        let is_read = self.contract.get(operation).is_some_and(|endpoint| endpoint.method == Method::GET);
        let (mut sends, mut attempts) = (Vec::new(), 0);
        loop {
            attempts += 1;
            let started = self.started.elapsed();
            let outcome = self.attempt(record, request, sender).await;
            self.progress().count(operation, &outcome, attempts > 1);
            let pause = retry_after(&outcome, is_read || record.key.is_some(), attempts);
            if outcome.as_ref().is_err_and(|fault| fault.status() == Some(401)) {
                *self.token.lock().await = None;
            }
            sends.push(Sent { request, sender, started, ended: self.started.elapsed(), outcome });
            match pause {
                Some(pause) if Instant::now() + pause < deadline => sleep(pause).await,
                _ => return sends,
            }
        }
    }

    /// Sends a request once.
    pub(crate) async fn attempt(&self, record: &Record, request: usize, sender: usize) -> Outcome {
        let Record { caller, key, requests, .. } = record;
        // Names the piece of work after the key, so that the orders of a saga are found again.
        let correlation_id = key.as_ref().map(|key| format!("{key}/{sender}")).unwrap_or_default();
        let Call { operation, id, if_match, mut content } = requests[request].call();
        let unknown = || Fault::Invalid(format!("no document has {operation}"));
        let endpoint = self.contract.get(operation).ok_or_else(unknown)?;
        let (base, limit) = match endpoint.service {
            Service::Customers => (&self.targets.customers, ATTEMPT),
            Service::Orders => (&self.targets.orders, ATTEMPT),
            Service::Orchestrator => (&self.targets.orchestrator, SAGA_ATTEMPT),
        };
        let bearer = self.bearer(*caller).await.map_err(|_| Fault::NotSent)?;
        let path = endpoint.path.replace("{id}", &id.unwrap_or_default().to_string());
        let http = self.http.request(endpoint.method.clone(), format!("{base}{path}"));
        let mut http = http.timeout(limit).bearer_auth(bearer);
        if endpoint.service == Service::Orchestrator {
            content["idempotency_key"] = json!(key);
            content["correlation_id"] = json!(correlation_id);
        } else if let Some(key) = key {
            http = http.header("x-idempotency-key", key);
        }
        if let Some(version) = if_match {
            http = http.header("if-match", format!("\"v{version}\""));
        }
        http = match (&endpoint.method, &content) {
            (_, Value::Null) => http,
            (&Method::GET, query) => http.query(query),
            (_, body) => http.json(body),
        };
        answer::read(&requests[request], endpoint, &correlation_id, http).await
    }

    /// The caller's token. The operator's is a new one where the last is about to end.
    pub(crate) async fn bearer(&self, caller: Caller) -> Result<String, Fault<Error>> {
        if caller == Caller::Service {
            return Ok(self.targets.service_token.clone());
        }
        let mut token = self.token.lock().await;
        if let Some((text, renewal)) = &*token
            && Instant::now() < *renewal
        {
            return Ok(text.clone());
        }
        let Targets { customers, admin_user, admin_password, .. } = &self.targets;
        let outbound = Outbound::new().time_limit(ATTEMPT);
        let client = customers_client::Client::new_with_client(customers, self.http.clone(), outbound);
        let credentials = Credentials::builder().username(admin_user.as_str()).password(admin_password.as_str());
        let asked = Instant::now();
        let answer = client_common::send(client.token_create().body(credentials).send()).await?;
        let holds = Duration::from_secs(answer.expires_in.into());
        Ok(token.insert((answer.access_token.clone(), asked + holds.saturating_sub(RENEWAL))).0.clone())
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
        let body = Some(Refusal { code: code.to_owned(), failure: None });
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
