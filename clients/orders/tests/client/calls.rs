//! Single calls: faults and retries.

use std::time::Duration;

use client_common::{Fault, Outbound, Retry, RetryBudget, send};
use orders_client::types::{OrderInput, OrderItemInput, ProductInput, builder};
use orders_client::{Client, codes};

use crate::server::{Answer, Server};

const ORDER: &str = r#"{"id":7,"customer_id":1,"status":"CREATED","total_cents":5,"created_at":"2026-11-22T10:00:00Z","version":1,"items":[]}"#;

fn new_order() -> builder::OrderInput {
    OrderInput::builder().customer_id(1).items([OrderItemInput::builder().product_id(2).qty(3)])
}

/// Requests an order from a server that sends this response, and returns the fault.
async fn fault(answer: Answer) -> Fault<orders_client::types::Error> {
    let server = Server::answering([answer]).await;
    let client = server.client(Outbound::new().time_limit(Duration::from_millis(200)));
    send(client.order_view().id(7).send()).await.unwrap_err()
}

#[tokio::test]
async fn faults_distinguish_unsent_timed_out_and_broken_calls() {
    let unreachable = Client::connect("http://127.0.0.1:1", Outbound::new()).unwrap();
    assert!(matches!(send(unreachable.order_view().id(7).send()).await, Err(Fault::NotSent)));
    assert!(matches!(fault(Answer::Silence).await, Fault::TimedOut));
    for broken in
        [Answer::truncated(), Answer::json(200, "<html>"), Answer::json(302, ""), Answer::Bytes(String::new())]
    {
        assert!(matches!(fault(broken).await, Fault::Broken));
    }
    let gateway = fault(Answer::with_headers(502, "Retry-After: 7\r\n", "<html>")).await;
    assert!(gateway.body().is_none() && gateway.may_have_been_executed());
    assert_eq!((gateway.status(), gateway.retry_after()), (Some(502), Some(Duration::from_secs(7))));
}

#[tokio::test]
async fn an_error_has_its_code_and_details() {
    let body = r#"{"request_id":"r-1","error_code":"insufficient_stock","message":"insufficient stock",
                   "details":[{"product_id":2,"requested":3,"available":1}]}"#;
    let fault = fault(Answer::json(409, body)).await;
    assert_eq!((fault.code(), fault.is_transient()), (Some(codes::INSUFFICIENT_STOCK), false));
    let body = fault.body().unwrap();
    assert_eq!((body.details[0].product_id, body.details[0].available), (Some(2), Some(1)));
    assert_eq!(fault.to_string(), "the service returned 409 insufficient_stock");
}

#[tokio::test]
async fn an_invalid_request_is_not_sent() {
    let server = Server::answering([Answer::json(201, ORDER)]).await;
    let orders = server.client(Outbound::new());
    let fault = send(orders.order_create().x_idempotency_key("").body(new_order()).send()).await.unwrap_err();
    assert!(matches!(fault, Fault::Invalid(_)) && !fault.may_have_been_executed());
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn every_call_has_the_headers_of_its_client() {
    let server = Server::answering([Answer::json(200, ORDER), Answer::json(200, ORDER)]).await;
    let outbound = Outbound::new().bearer("secret").correlation_id("req-789").trace("00-trace-01", "");
    assert!(!format!("{outbound:?}").contains("secret"));
    let orders = server.client(outbound);
    for _ in 0..2 {
        assert_eq!(send(orders.order_view().id(7).send()).await.unwrap().id, 7);
    }
    for request in server.seen() {
        for header in ["authorization: Bearer secret", "x-correlation-id: req-789", "traceparent: 00-trace-01"] {
            assert!(request.contains(header), "{request}");
        }
    }
}

#[tokio::test]
async fn a_create_with_a_key_is_retried_with_the_same_key() {
    let unknown = Answer::error(503, codes::OUTCOME_UNKNOWN);
    let server = Server::answering([Answer::truncated(), unknown, Answer::json(201, ORDER)]).await;
    let orders = server.client(Outbound::new());
    let create = || send(orders.order_create().x_idempotency_key("key-1").body(new_order()).send());
    assert_eq!(Retry::default().repeatable(create).await.unwrap().id, 7);
    let seen = server.seen();
    assert_eq!(seen.iter().filter(|request| request.contains("x-idempotency-key: key-1\r\n")).count(), 3);
}

#[tokio::test]
async fn a_create_without_a_key_is_not_retried_if_it_may_have_been_executed() {
    let product = || ProductInput::builder().sku("A-1").name("Anvil").price_cents(5).stock(1);
    for (last, fault) in [
        (Answer::truncated(), "the response is incomplete or invalid"),
        (Answer::error(503, codes::OUTCOME_UNKNOWN), "the service returned 503 outcome_unknown"),
    ] {
        let server = Server::answering([Answer::error(503, codes::UNAVAILABLE), last, Answer::json(201, "{}")]).await;
        let orders = server.client(Outbound::new());
        let create = || send(orders.product_create().body(product()).send());
        assert_eq!(Retry::default().unrepeatable(create).await.unwrap_err().to_string(), fault);
        assert_eq!(server.seen().len(), 2);
    }
}

#[tokio::test]
async fn a_confirm_succeeds_after_transient_faults() {
    let answers = [Answer::Silence, Answer::error(409, codes::IDEMPOTENCY_IN_PROGRESS), Answer::json(200, ORDER)];
    let server = Server::answering(answers).await;
    let orders = server.client(Outbound::new());
    let confirm = || send(orders.order_confirm().id(7).x_idempotency_key("key-2").send());
    let retry = Retry { attempt: Duration::from_millis(200), ..Retry::default() };
    let tried = retry.repeatable_within(&RetryBudget::default(), confirm).await;
    assert_eq!((tried.result.unwrap().id, tried.count, tried.ambiguous), (7, 3, true));
}
