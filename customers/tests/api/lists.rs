//! Lists and searches: order, pagination and page tokens.

use std::sync::atomic::{AtomicBool, Ordering};

use client_common::Retry;
use customers_client::Client;
use customers_client::types::CustomerPage;
use futures::TryStreamExt;

use crate::harness::{Harness, create_customer, refusal, refused};

fn names(page: &CustomerPage) -> Vec<&str> {
    page.data.iter().map(|customer| customer.name.as_str()).collect()
}

async fn create_customers(client: &Client, range: std::ops::Range<usize>) {
    for n in range {
        create_customer(client, &format!("Customer {n:02}"), &format!("c{n}@acme.com")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_stable_while_rows_are_added() {
    let harness = Harness::start().await;
    let client = harness.admin().await;
    create_customers(&client, 0..5).await;
    let first = client.customer_list().limit(2).send().await.unwrap().into_inner();
    assert_eq!(names(&first), ["Customer 04", "Customer 03"]);
    create_customers(&client, 5..7).await;
    let next = |cursor: Option<String>| client.customer_list().limit(2).cursor(cursor.unwrap()).send();
    let second = next(first.next_cursor).await.unwrap().into_inner();
    assert_eq!((names(&second), second.has_more), (vec!["Customer 02", "Customer 01"], true));
    let third = next(second.next_cursor).await.unwrap().into_inner();
    assert_eq!((names(&third), third.has_more, &third.next_cursor), (vec!["Customer 00"], false, &None));
}

#[tokio::test(flavor = "multi_thread")]
async fn default_page_size_is_twenty() {
    let harness = Harness::seeded().await;
    let client = harness.admin().await;
    let page = client.customer_list().send().await.unwrap();
    assert_eq!((page.data.len(), page.has_more), (20, true));
    assert_eq!(client.customer_list().limit(100).send().await.unwrap().data.len(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_query_parameters_count_as_absent() {
    let harness = Harness::seeded().await;
    let token = harness.token().await;
    let url = harness.url("/customers?search=&cursor=&limit=");
    let response = harness.http().get(url).bearer_auth(token).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let page: CustomerPage = response.json().await.unwrap();
    assert_eq!(page.data.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn search_matches_word_prefixes() {
    let harness = Harness::start().await;
    let client = harness.admin().await;
    create_customer(&client, "Ångström Tools Ltd", "sales@tools.example").await;
    create_customer(&client, "Toolshed", "info@shed.example").await;
    create_customer(&client, "100% Wool", "a_b@wool.example").await;
    let search = async |text: &str| names(&client.customer_list().search(text).send().await.unwrap()).join(", ");
    assert_eq!(search("tool").await, "Toolshed, Ångström Tools Ltd");
    assert_eq!(search("TOOLS").await, "Toolshed, Ångström Tools Ltd");
    assert_eq!(search("tools ltd").await, "Ångström Tools Ltd");
    assert_eq!(search("angst").await, "Ångström Tools Ltd");
    assert_eq!(search("info@shed").await, "Toolshed");
    assert_eq!(search("100").await, "100% Wool");
    assert_eq!(search("ool").await, "");
    for wildcard in ["%", "_", "*", "%ool", "t_ols", "\\", "'", "\" OR 1=1 --"] {
        assert_eq!(search(wildcard).await, "", "{wildcard}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn search_folds_case_in_every_script_and_ignores_invisible_characters() {
    let harness = Harness::start().await;
    let client = harness.admin().await;
    for (n, (name, searches)) in [
        ("Straße GmbH", ["STRASSE", "straße", "STRAẞE gmbh"]),
        ("Işık Ltd", ["IŞIK", "isik", "ışık LTD"]),
        ("İstanbul Halı", ["istanbul hali", "ISTANBUL", "İSTANBUL HALI"]),
        ("Σίσυφος", ["ΣΊΣΥΦΟΣ", "σισυφος", "ΣΙΣ"]),
        ("Ac\u{200b}me Soft\u{ad}ware", ["acme software", "ACME", "ac\u{2060}me soft\u{200d}ware"]),
    ]
    .into_iter()
    .enumerate()
    {
        create_customer(&client, name, &format!("n{n}@example.com")).await;
        for search in searches {
            assert_eq!(names(&client.customer_list().search(search).send().await.unwrap()), [name], "{search}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn search_is_paginated_and_reflects_updates() {
    let harness = Harness::start().await;
    let client = harness.admin().await;
    create_customers(&client, 0..5).await;
    let first = client.customer_list().search("customer").limit(3).send().await.unwrap().into_inner();
    assert_eq!(names(&first), ["Customer 04", "Customer 03", "Customer 02"]);
    let cursor = first.next_cursor.unwrap();
    let second = client.customer_list().search("customer").cursor(cursor).send().await.unwrap();
    assert_eq!((names(&second), second.has_more), (vec!["Customer 01", "Customer 00"], false));
    let renamed = customers_client::types::CustomerInput::builder().name("Renamed").email("x@acme.com");
    client.customer_update().id(first.data[0].id).body(renamed).send().await.unwrap();
    assert_eq!(client.customer_list().search("customer").send().await.unwrap().data.len(), 4);
    assert_eq!(client.customer_list().search("renam").send().await.unwrap().data.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn search_does_not_end_early_while_customers_are_deleted() {
    let harness = Harness::start().await;
    let client = harness.admin().await;
    create_customers(&client, 0..40).await;
    let all = client.customer_list().limit(100).send().await.unwrap().into_inner().data;
    let (to_delete, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|customer| customer.id % 2 == 0);
    let kept: Vec<_> = kept.iter().map(|customer| customer.id).collect();
    let deleted = AtomicBool::new(false);
    let delete = async {
        for customer in to_delete {
            client.customer_delete().id(customer.id).send().await.unwrap();
        }
        deleted.store(true, Ordering::Relaxed);
    };
    let searches = async {
        while !deleted.load(Ordering::Relaxed) {
            let mut found = search_all(&client, "customer").await;
            found.retain(|id| kept.contains(id));
            assert_eq!(found, kept);
        }
    };
    tokio::join!(delete, searches);
    assert_eq!(search_all(&client, "customer acme").await, kept);
}

/// Returns the ids of all customers that a search finds, read in pages of two.
async fn search_all(client: &Client, search: &str) -> Vec<i64> {
    let rows = client.customer_list().search(search).limit(2).rows(Retry::default());
    rows.map_ok(|customer| customer.id).try_collect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn cursor_is_valid_only_for_its_list_and_filters() {
    let harness = Harness::seeded().await;
    let client = harness.admin().await;
    let cursor = client.customer_list().limit(2).send().await.unwrap().into_inner().next_cursor.unwrap();
    let invalid = refused(400, "invalid_cursor");
    let other_filter = client.customer_list().cursor(cursor.clone()).search("acme").send().await;
    assert_eq!(refusal(other_filter), invalid);
    let mut tampered = cursor.clone().into_bytes();
    tampered[0] = if tampered[0] == b'A' { b'B' } else { b'A' };
    for invalid_cursor in [String::from_utf8(tampered).unwrap(), "x".to_owned(), format!("{cursor}A"), "ż".repeat(200)]
    {
        assert_eq!(refusal(client.customer_list().cursor(invalid_cursor).send().await), invalid);
    }
}
