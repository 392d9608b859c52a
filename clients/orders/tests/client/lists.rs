//! Lists as streams of rows.

use client_common::{Fault, Outbound, Retry};
use futures::{StreamExt, TryStreamExt};
use orders_client::codes;
use orders_client::types::OrderStatus;

use crate::server::{Answer, Server};

fn page(ids: &[i64], next_cursor: &str, has_more: bool) -> Answer {
    let order = |id: &i64| {
        format!(
            r#"{{"id":{id},"customer_id":1,"status":"CREATED","total_cents":5,"created_at":"2026-11-22T10:00:00Z","version":1}}"#
        )
    };
    let data: Vec<_> = ids.iter().map(order).collect();
    Answer::json(200, &format!(r#"{{"data":[{}],"next_cursor":{next_cursor},"has_more":{has_more}}}"#, data.join(",")))
}

#[tokio::test]
async fn all_rows_are_streamed_once_even_after_an_empty_page() {
    let pages = [page(&[9, 8], r#""b""#, true), page(&[], r#""c""#, true), page(&[3], r#""d""#, false)];
    let server = Server::answering(pages).await;
    let orders = server.client(Outbound::new());
    let rows = orders.order_list().status(OrderStatus::Created).limit(2).rows(Retry::default());
    let ids: Vec<_> = rows.map_ok(|order| order.id).try_collect().await.unwrap();
    assert_eq!(ids, [9, 8, 3]);
    let seen = server.seen();
    let lines: Vec<_> = seen.iter().map(|request| request.lines().next().unwrap()).collect();
    assert_eq!(
        lines,
        [
            "GET /orders?limit=2&status=CREATED HTTP/1.1",
            "GET /orders?cursor=b&limit=2&status=CREATED HTTP/1.1",
            "GET /orders?cursor=c&limit=2&status=CREATED HTTP/1.1",
        ]
    );
}

#[tokio::test]
async fn a_transient_fault_of_a_page_is_retried() {
    let answers =
        [page(&[9], r#""b""#, true), Answer::error(503, "unavailable"), Answer::truncated(), page(&[8], "null", false)];
    let server = Server::answering(answers).await;
    let orders = server.client(Outbound::new());
    let rows: Vec<_> = orders.order_list().rows(Retry::default()).try_collect().await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(server.seen().iter().filter(|request| request.contains("cursor=b")).count(), 3);
}

#[tokio::test]
async fn a_fault_is_returned_once_and_ends_the_stream() {
    let answers = [page(&[9, 8], r#""b""#, true), Answer::error(400, codes::INVALID_CURSOR), page(&[7], "null", false)];
    let server = Server::answering(answers).await;
    let orders = server.client(Outbound::new());
    let mut rows = orders.order_list().rows(Retry::default());
    assert_eq!(rows.try_next().await.unwrap().unwrap().id, 9);
    assert_eq!(rows.try_next().await.unwrap().unwrap().id, 8);
    assert_eq!(rows.next().await.unwrap().unwrap_err().code(), Some(codes::INVALID_CURSOR));
    assert!(rows.next().await.is_none());
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_missing_next_cursor_is_a_fault() {
    let server = Server::answering([page(&[9], "null", true)]).await;
    let orders = server.client(Outbound::new());
    let rows: Result<Vec<_>, _> = orders.order_list().rows(Retry::default()).try_collect().await;
    assert!(matches!(rows, Err(Fault::Broken)));
}
