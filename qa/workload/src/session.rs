//! State shared by all clients: connections, token, clock and counters. Sends requests until a definite response.

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
use crate::{Targets, response};

const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// Requests from services complete within 1.6 s. Those from user accounts may take 10 s, so that some time out.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// A saga may take 20 s.
const SAGA_TIMEOUT: Duration = Duration::from_secs(30);
const RENEW_BEFORE_EXPIRY: Duration = Duration::from_secs(60);
/// Time limit of an operation, including all its retries.
const DEADLINE: Duration = Duration::from_secs(60);
pub(crate) const RETRY: Retry = Retry {
    attempts: u32::MAX,
    base_delay: Duration::from_millis(50),
    max_delay: Duration::from_secs(2),
    attempt: DEADLINE,
    total: DEADLINE,
};

pub(crate) struct Session {
    pub(crate) targets: Targets,
    contract: Contract,
    http: reqwest::Client,
    /// Token of the user account, and the time at which to renew it.
    token: tokio::sync::Mutex<Option<(String, Instant)>>,
    progress: Mutex<Progress>,
    started: Instant,
    pub(crate) stopping: AtomicBool,
}

impl Session {
    pub(crate) fn new(targets: Targets) -> Result<Self> {
        let (contract, http) = (contract::read()?, client_common::http_client(CONNECT_TIMEOUT, SAGA_TIMEOUT)?);
        let (token, progress, started) = (tokio::sync::Mutex::default(), Mutex::default(), Instant::now());
        Ok(Self { targets, contract, http, token, progress, started, stopping: AtomicBool::new(false) })
    }

    pub(crate) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a record's request until a definite response or the deadline. Returns every attempt.
    pub(crate) async fn send_with_retries(&self, record: &Record, request: usize, sender: usize) -> Vec<Sent> {
        let deadline = Instant::now() + DEADLINE;
        let operation = record.requests[request].call().operation;
        let is_read = self.contract.get(operation).is_some_and(|endpoint| endpoint.method == Method::GET);
        let (mut sends, mut attempts) = (Vec::new(), 0);
        loop {
            attempts += 1;
            let started = self.started.elapsed();
            let outcome = self.attempt(record, request, sender).await;
            self.progress().count(operation, &outcome, attempts > 1);
            let backoff = retry_backoff(&outcome, is_read || record.key.is_some(), attempts);
            if outcome.as_ref().is_err_and(|fault| fault.status() == Some(401)) {
                *self.token.lock().await = None;
            }
            sends.push(Sent { request, sender, started, ended: self.started.elapsed(), outcome });
            match backoff {
                Some(backoff) if Instant::now() + backoff < deadline => sleep(backoff).await,
                _ => return sends,
            }
        }
    }

    pub(crate) async fn attempt(&self, record: &Record, request: usize, sender: usize) -> Outcome {
        let Record { caller, key, requests, .. } = record;
        // Derive the correlation ID from the key, so that the verifier can use it to find the orders of a saga.
        let correlation_id = key.as_ref().map(|key| format!("{key}/{sender}")).unwrap_or_default();
        let Call { operation, id, if_match, mut content } = requests[request].call();
        let unknown = || Fault::Invalid(format!("no document has the operation {operation}"));
        let endpoint = self.contract.get(operation).ok_or_else(unknown)?;
        let (base, limit) = match endpoint.service {
            Service::Customers => (&self.targets.customers, ATTEMPT_TIMEOUT),
            Service::Orders => (&self.targets.orders, ATTEMPT_TIMEOUT),
            Service::Orchestrator => (&self.targets.orchestrator, SAGA_TIMEOUT),
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
        response::read(&requests[request], endpoint, &correlation_id, http).await
    }

    /// Returns the caller's token. Renews the user account's token if it expires soon.
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
        let outbound = Outbound::new().time_limit(ATTEMPT_TIMEOUT);
        let client = customers_client::Client::new_with_client(customers, self.http.clone(), outbound);
        let credentials = Credentials::builder().username(admin_user.as_str()).password(admin_password.as_str());
        let requested = Instant::now();
        let response = client_common::send(client.token_create().body(credentials).send()).await?;
        let lifetime = Duration::from_secs(response.expires_in.into());
        let renewal = requested + lifetime.saturating_sub(RENEW_BEFORE_EXPIRY);
        Ok(token.insert((response.access_token.clone(), renewal)).0.clone())
    }
}

/// Returns the backoff before the next attempt, or `None` if a retry cannot succeed or might execute the request twice.
///
/// Reads and requests with a key can be retried. Not done by [`Retry`], because the history must contain each attempt.
fn retry_backoff(outcome: &Outcome, is_repeatable: bool, attempts: u32) -> Option<Duration> {
    let fault = outcome.as_ref().err()?;
    let may = fault.is_transient() && (is_repeatable || !fault.may_have_been_executed());
    may.then(|| RETRY.backoff(attempts, fault))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::ErrorBody;

    fn answered(status: u16, code: &str) -> Outcome {
        let body = Some(ErrorBody { code: code.to_owned(), failure: None });
        Err(Fault::Answered { status, retry_after: Some(Duration::from_secs(1)), body })
    }

    #[test]
    fn request_without_key_is_retried_only_if_it_was_not_executed() {
        for outcome in [Err(Fault::TimedOut), Err(Fault::Broken), answered(503, "outcome_unknown")] {
            assert_eq!(retry_backoff(&outcome, false, 1), None, "{outcome:?}");
            assert!(retry_backoff(&outcome, true, 1).is_some(), "{outcome:?}");
        }
        for outcome in [Err(Fault::NotSent), answered(503, "unavailable")] {
            assert!(retry_backoff(&outcome, false, 1).is_some(), "{outcome:?}");
        }
    }

    #[test]
    fn rejection_is_final_and_retry_after_is_honoured() {
        assert_eq!(retry_backoff(&answered(409, "insufficient_stock"), true, 1), None);
        assert_eq!(retry_backoff(&answered(409, "idempotency_in_progress"), true, 1), Some(Duration::from_secs(1)));
        assert!(retry_backoff(&Err(Fault::NotSent), true, 40).is_some_and(|backoff| backoff <= RETRY.max_delay));
    }
}
