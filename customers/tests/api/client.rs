//! The generated client, from a base URL and a password.

use client_common::{Fault, Outbound, Retry, send};
use customers_client::{Client, codes, log_in};
use futures::TryStreamExt;

use crate::harness::{Harness, PASSWORD, USER};

#[tokio::test(flavor = "multi_thread")]
async fn client_logs_in_and_reads_all_pages() {
    let harness = Harness::seeded().await;
    let base = harness.url("/");
    let admin = log_in(&base, USER, PASSWORD).await.unwrap();
    let client = Client::connect(&base, admin).unwrap();
    let rows: Vec<_> = client.customer_list().limit(7).rows(Retry::default()).try_collect().await.unwrap();
    assert_eq!(rows.len(), 60);
    assert!(rows.is_sorted_by(|one, next| (one.created_at, one.id) > (next.created_at, next.id)));
    let anonymous = Client::connect(&base, Outbound::new()).unwrap();
    let fault = send(anonymous.customer_view().id(1).send()).await.unwrap_err();
    assert_eq!((fault.status(), fault.code()), (Some(401), Some(codes::UNAUTHORIZED)));
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_login_reports_the_cause() {
    let harness = Harness::start().await;
    let wrong = log_in(&harness.url(""), USER, "wrong").await.unwrap_err();
    assert_eq!((wrong.status(), wrong.code()), (Some(401), Some(codes::UNAUTHORIZED)));
    assert!(matches!(log_in("customers.example.com", USER, PASSWORD).await, Err(Fault::Invalid(_))));
    assert!(matches!(log_in("http://127.0.0.1:1", USER, PASSWORD).await, Err(Fault::NotSent)));
}
