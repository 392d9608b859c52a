//! Fuzz targets for every parser of untrusted input. They accept any bytes, and panic if a guarantee is violated.
//!
//! `cargo xtask fuzz` runs them with libFuzzer. The tests of this crate mutate valid inputs at random, which is fast.

#![expect(clippy::expect_used, reason = "a target reports a finding by panicking")]

use std::sync::LazyLock;

use common_contract::{Failure, codes};
use common_http::{Conditional, ConditionalKeyRequired, ConditionalKeyed, FromHeaders, Keyed, json_body, query_params};
use common_server::auth::Auth;
use common_server::settings::Env;
use common_server::{Call, CursorKey, MAX_BODY_BYTES, Runtime};
use customers_api::{
    Credentials, CustomerInput, CustomerListQuery, OperatorInput, OperatorListQuery, OperatorPatch, PasswordChange,
};
use futures::executor::block_on;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use lambda_http::{Context, LambdaEvent};
use orchestrator::{Config, Orchestrator, lambda};
use orchestrator_api::CreateAndConfirm;
use orders_api::{
    AbandonRequest, OrderInput, OrderListQuery, OrderLookupQuery, ProductInput, ProductListQuery, ProductPatch,
    StockAdjustmentInput, StockMovementListQuery,
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime;

/// Fuzz target and its name.
pub type Target = (&'static str, fn(&[u8]));

/// All fuzz targets.
pub const TARGETS: [Target; 6] =
    [("body", body), ("caller", caller), ("cursor", cursor), ("event", event), ("headers", headers), ("query", query)];

/// Parses the bytes as the request body of every operation that accepts one.
pub fn body(bytes: &[u8]) {
    read_body::<Credentials>(bytes);
    read_body::<CustomerInput>(bytes);
    read_body::<OperatorInput>(bytes);
    read_body::<OperatorPatch>(bytes);
    read_body::<PasswordChange>(bytes);
    read_body::<ProductInput>(bytes);
    read_body::<ProductPatch>(bytes);
    read_body::<StockAdjustmentInput>(bytes);
    read_body::<OrderInput>(bytes);
    read_body::<AbandonRequest>(bytes);
    read_body::<CreateAndConfirm>(bytes);
}

fn read_body<T: DeserializeOwned + JsonSchema>(bytes: &[u8]) {
    if let Err(failure) = json_body::<T>(&HeaderMap::new(), bytes, MAX_BODY_BYTES) {
        assert!(failure.code == codes::INVALID_REQUEST || failure.code == codes::PAYLOAD_TOO_LARGE, "{failure:?}");
        assert_short(&failure);
    }
}

/// Parses the bytes as the query string of every list operation.
pub fn query(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    read_query::<CustomerListQuery>(&text);
    read_query::<OperatorListQuery>(&text);
    read_query::<ProductListQuery>(&text);
    read_query::<StockMovementListQuery>(&text);
    read_query::<OrderListQuery>(&text);
    read_query::<OrderLookupQuery>(&text);
}

fn read_query<T: DeserializeOwned + JsonSchema>(text: &str) {
    if let Err(failure) = query_params::<T>(text) {
        assert_eq!(failure.code, codes::INVALID_REQUEST);
        assert_short(&failure);
    }
}

/// Parses the bytes as idempotency keys and as entity tags.
pub fn headers(bytes: &[u8]) {
    let headers = read_headers(&["x-idempotency-key", "idempotency-key", "if-match"], bytes);
    if let Ok(Some(key)) = Keyed::from_headers(&headers) {
        let is_key =
            (1..=255).contains(&key.as_str().len()) && key.as_str().bytes().all(|byte| byte.is_ascii_graphic());
        assert!(is_key, "{key:?}");
    }
    let _ = Conditional::from_headers(&headers);
    let _ = ConditionalKeyed::from_headers(&headers);
    let _ = ConditionalKeyRequired::from_headers(&headers);
}

/// Reads one header per name. Zero bytes separate the values; invalid values are skipped.
fn read_headers(names: &[&'static str], bytes: &[u8]) -> HeaderMap {
    let values = bytes.split(|byte| *byte == 0).map(HeaderValue::from_bytes);
    let valid = names.iter().zip(values).filter_map(|(name, value)| Some((HeaderName::from_static(name), value.ok()?)));
    valid.collect()
}

/// Decodes a page token. An accepted token must be identical to the token that the server would issue.
pub fn cursor(bytes: &[u8]) {
    static KEY: LazyLock<CursorKey> = LazyLock::new(|| CursorKey::from_env(&settings()).expect("valid settings"));
    let text = String::from_utf8_lossy(bytes);
    if let Ok(position) = KEY.decode("list", b"filters", &text) {
        assert_eq!(KEY.encode("list", b"filters", position), text);
    }
}

/// Parses credentials, IDs and trace context. Authentication must fail: the input contains no valid secret.
pub fn caller(bytes: &[u8]) {
    static AUTH: LazyLock<Auth> = LazyLock::new(|| Auth::from_env(&settings()).expect("valid settings"));
    let names = ["authorization", "x-correlation-id", "traceparent", "tracestate", "x-client-address"];
    let headers = read_headers(&names, bytes);
    let call = Call::from_parts(&Runtime::default(), "fuzz", &Method::GET, None, "request", headers);
    let refusals = [AUTH.viewer(&call).map(drop), AUTH.service(&call).map(drop)];
    assert!(refusals.iter().all(|refusal| refusal.as_ref().is_err_and(|it| it.code == codes::UNAUTHORIZED)));
    let id = call.correlation_id();
    assert!((1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()), "{id}");
}

/// Handles a Lambda event. Every event that represents an HTTP request must produce a valid HTTP response.
pub fn event(bytes: &[u8]) {
    static FUNCTION: LazyLock<(runtime::Runtime, Orchestrator)> = LazyLock::new(|| {
        let runtime = runtime::Runtime::new().expect("a runtime");
        let function = Config::from_env(&settings()).and_then(Orchestrator::new).expect("valid settings");
        (runtime, function)
    });
    let Ok(event) = serde_json::from_slice::<Value>(bytes) else { return };
    let (runtime, function) = &*FUNCTION;
    let _guard = runtime.enter();
    match block_on(lambda::answer(function, LambdaEvent::new(event, Context::default()))) {
        Ok(response) => {
            let status = response["statusCode"].as_u64().expect("a status");
            // No upstream service is running, so every upstream call fails: 503 is allowed, other 5xx statuses are not.
            assert!((200..500).contains(&status) || status == 503, "{response}");
        }
        Err(error) => assert_eq!(error.error_type, "NotAnHttpRequest"),
    }
}

/// Asserts that messages to callers are short, regardless of the input.
fn assert_short(failure: &Failure) {
    let texts = failure.details.iter().flat_map(|detail| [&detail.field, &detail.message]).flatten();
    for text in texts.chain([&failure.message]) {
        assert!(text.chars().count() <= 500, "{text}");
    }
}

/// Settings for a service, with secrets that no input contains and unreachable upstream services.
fn settings() -> Env<'static> {
    Env::new(|name| match name {
        "JWT_SECRET" => Some("0123456789-secret-of-the-fuzz-targets".to_owned()),
        "SERVICE_TOKEN" => Some("9876543210-token-of-the-fuzz-targets".to_owned()),
        "CUSTOMERS_API_BASE" | "ORDERS_API_BASE" => Some("http://127.0.0.1:1".to_owned()),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
