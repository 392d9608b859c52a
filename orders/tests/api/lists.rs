//! Lists: newest-first order and pagination.

use orders_client::types::{
    self, OrderInputExternalReference, OrderStatus, ProductPage, ProductPatch, ProductPatchName,
};

use crate::harness::{CUSTOMER, Harness, api_error, error_of, new_order, operator_token};

fn skus(page: &ProductPage) -> Vec<&str> {
    page.data.iter().map(|product| product.sku.as_str()).collect()
}

/// Returns the IDs of all orders that match a query, retrieved in pages of three.
async fn ids(harness: &Harness, query: &str) -> Vec<i64> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let url = harness.url(&format!("/orders?limit=3&cursor={cursor}&{query}"));
        let response = harness.http().get(url).bearer_auth(operator_token("ann")).send().await.unwrap();
        assert_eq!(response.status(), 200, "{query}");
        let page: types::OrderSummaryPage = response.json().await.unwrap();
        assert_eq!(page.has_more, page.next_cursor.is_some());
        ids.extend(page.data.iter().map(|order| order.id));
        let Some(next) = page.next_cursor else { return ids };
        cursor = next;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn order_pages_stay_newest_first_during_inserts() {
    let harness = Harness::start().await;
    let a = harness.product("A", 100).await;
    for _ in 0..5 {
        harness.order(&[(a, 1)]).await;
    }
    let client = harness.operator();
    let first = client.order_list().limit(2).send().await.unwrap().into_inner();
    for _ in 0..2 {
        harness.order(&[(a, 1)]).await;
    }
    let next = |cursor: Option<String>| client.order_list().limit(2).cursor(cursor.unwrap()).send();
    let second = next(first.next_cursor).await.unwrap().into_inner();
    let third = next(second.next_cursor).await.unwrap().into_inner();
    let seen: Vec<i64> = [first.data, second.data, third.data].iter().flatten().map(|order| order.id).collect();
    assert_eq!((seen, third.has_more, third.next_cursor), (vec![5, 4, 3, 2, 1], false, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn id_breaks_ties_between_orders_of_the_same_time() {
    let harness = Harness::start().await;
    let a = harness.product("A", 100).await;
    for _ in 0..7 {
        harness.order(&[(a, 1)]).await;
    }
    harness.sql("UPDATE orders SET created_at = '2026-01-01 00:00:00.000001'").await;
    assert_eq!(ids(&harness, "").await, [7, 6, 5, 4, 3, 2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_found_by_each_filter_and_by_all_filters() {
    let harness = Harness::start().await;
    harness.sql("INSERT INTO customers (id, name, email) VALUES (2, 'Other', 'other@acme.com')").await;
    let a = harness.product("A", 100).await;
    for n in 1..=6 {
        let reference = ["PO 1%", "PO 2", "PO 2 "][usize::try_from(n % 3).unwrap()];
        let reference = reference.parse::<OrderInputExternalReference>().unwrap();
        let new = new_order(&[(a, 1)]).customer_id(CUSTOMER + n % 2).external_reference(reference);
        let id = harness.operator().order_create().body(new).send().await.unwrap().id;
        harness.sql(&format!("UPDATE orders SET created_at = '2026-01-0{n} 12:00:00' WHERE id = {id}")).await;
    }
    harness.operator().order_confirm().id(2).x_idempotency_key("k").send().await.unwrap();
    harness.operator().order_cancel().id(5).send().await.unwrap();
    assert_eq!(ids(&harness, "status=CONFIRMED").await, [2]);
    assert_eq!(ids(&harness, "status=CREATED").await, [6, 4, 3, 1]);
    assert_eq!(ids(&harness, "customer_id=2").await, [5, 3, 1]);
    assert_eq!(ids(&harness, "customer_id=3").await, [0; 0]);
    assert_eq!(ids(&harness, "external_reference=PO%201%25").await, [6, 3]);
    assert_eq!(ids(&harness, "external_reference=PO").await, [0; 0]);
    assert_eq!(ids(&harness, "external_reference=PO%25").await, [0; 0]);
    assert_eq!(ids(&harness, "external_reference=PO%202").await, [4, 1]);
    assert_eq!(ids(&harness, "external_reference=PO%202%20").await, [5, 2]);
    assert_eq!(ids(&harness, "from=2026-01-03T12:00:00Z&to=2026-01-05T12:00:00Z").await, [4, 3]);
    assert_eq!(ids(&harness, "from=2026-01-03T13:00:00.000001%2B01:00").await, [6, 5, 4]);
    assert_eq!(ids(&harness, "from=2026-01-05T12:00:00Z&to=2026-01-03T12:00:00Z").await, [0; 0]);
    let all =
        "status=CREATED&from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z&customer_id=2&external_reference=PO%201%25";
    assert_eq!(ids(&harness, all).await, [3]);
    assert_eq!(ids(&harness, "status=&from=&to=&customer_id=&external_reference=").await.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn times_outside_the_database_range_are_before_or_after_all_orders() {
    let harness = Harness::start().await;
    let a = harness.product("A", 100).await;
    harness.order(&[(a, 1)]).await;
    for before in ["0000-01-01T00:00:00Z", "-9999-01-01T00:00:00Z", "-200000-01-01T00:00:00Z", "1969-12-31T23:59:60Z"] {
        assert_eq!(ids(&harness, &format!("from={before}")).await, [1], "{before}");
        assert_eq!(ids(&harness, &format!("to={before}")).await, [0; 0], "{before}");
    }
    for after in ["9999-12-31T23:59:59.999999999Z", "%2B200000-01-01T00:00:00Z"] {
        assert_eq!(ids(&harness, &format!("to={after}")).await, [1], "{after}");
        assert_eq!(ids(&harness, &format!("from={after}")).await, [0; 0], "{after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn listed_order_is_the_order_without_its_items() {
    let harness = Harness::start().await;
    let a = harness.product("A", 100).await;
    let order = harness.confirmed(&[(a, 2)]).await;
    let listed = harness.operator().order_list().send().await.unwrap().into_inner().data.remove(0);
    let mut expected = serde_json::to_value(&order).unwrap();
    expected.as_object_mut().unwrap().remove("items");
    assert_eq!(serde_json::to_value(&listed).unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn page_token_is_valid_only_for_its_list_and_filters() {
    let harness = Harness::start().await;
    let a = harness.product("A", 100).await;
    harness.product("B", 100).await;
    for _ in 0..3 {
        harness.order(&[(a, 1)]).await;
    }
    let client = harness.operator();
    let invalid = api_error(400, "invalid_cursor");
    let cursor = client.order_list().limit(1).send().await.unwrap().into_inner().next_cursor.unwrap();
    assert!(client.order_list().limit(50).cursor(cursor.clone()).send().await.is_ok(), "the limit may change");
    let elsewhere = || client.order_list().cursor(cursor.clone());
    assert_eq!(error_of(elsewhere().status(OrderStatus::Created).send().await), invalid);
    assert_eq!(error_of(elsewhere().customer_id(1).send().await), invalid);
    assert_eq!(error_of(client.product_list().cursor(cursor.clone()).send().await), invalid);
    let mut tampered = cursor.clone().into_bytes();
    tampered[0] = if tampered[0] == b'A' { b'B' } else { b'A' };
    for bad in [String::from_utf8(tampered).unwrap(), "x".to_owned(), format!("{cursor}A"), "ż".to_owned()] {
        assert_eq!(error_of(client.order_list().cursor(bad).send().await), invalid);
    }
    let products = client.product_list().limit(1).send().await.unwrap().into_inner().next_cursor.unwrap();
    assert_eq!(error_of(client.order_list().cursor(products.clone()).send().await), invalid);
    assert_eq!(error_of(client.product_list().cursor(products).search("a").send().await), invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn product_pages_stay_newest_first_during_inserts() {
    let harness = Harness::start().await;
    for n in 0..5 {
        harness.product(&format!("P{n}"), 1).await;
    }
    let client = harness.operator();
    let first = client.product_list().limit(3).send().await.unwrap().into_inner();
    assert_eq!(skus(&first), ["P4", "P3", "P2"]);
    harness.product("P5", 1).await;
    let second = client.product_list().limit(3).cursor(first.next_cursor.unwrap()).send().await.unwrap().into_inner();
    assert_eq!((skus(&second), second.has_more, &second.next_cursor), (vec!["P1", "P0"], false, &None));
}

#[tokio::test(flavor = "multi_thread")]
async fn default_page_has_twenty_rows_and_empty_parameters_are_ignored() {
    let harness = Harness::seeded().await;
    assert_eq!(harness.operator().product_list().send().await.unwrap().data.len(), 20);
    assert!(harness.operator().product_list().limit(100).send().await.unwrap().data.len() > 20);
    let url = harness.url("/products?search=&cursor=&limit=");
    let response = harness.http().get(url).bearer_auth(operator_token("ann")).send().await.unwrap();
    let page: ProductPage = response.json().await.unwrap();
    assert_eq!(page.data.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_search_term_must_be_a_prefix_of_a_word() {
    let harness = Harness::start().await;
    let client = harness.operator();
    for (sku, name) in [("HM-500", "Hammer, steel"), ("HM-9", "Ångström hammer"), ("X_1", "100% Wool")] {
        let new = types::ProductInput::builder().sku(sku).name(name).price_cents(1).stock(0);
        client.product_create().body(new).send().await.unwrap();
    }
    let search = async |text: &str| skus(&client.product_list().search(text).send().await.unwrap()).join(", ");
    assert_eq!(search("ham").await, "HM-9, HM-500");
    assert_eq!(search("HAMMER").await, "HM-9, HM-500");
    assert_eq!(search("hm-5").await, "HM-500");
    assert_eq!(search("steel hm").await, "HM-500");
    assert_eq!(search("angst").await, "HM-9");
    assert_eq!(search("100").await, "X_1");
    assert_eq!(search("ammer").await, "");
    for wildcard in ["%", "_", "*", "%ammer", "h_mmer", "\\", "'", "\" OR 1=1 --"] {
        assert_eq!(search(wildcard).await, "", "{wildcard}");
    }
    let first = client.product_list().search("hm").limit(1).send().await.unwrap().into_inner();
    let second = client.product_list().search("hm").cursor(first.next_cursor.clone().unwrap()).send().await.unwrap();
    assert_eq!((skus(&first), skus(&second)), (vec!["HM-9"], vec!["HM-500"]));
    let renamed = ProductPatch::builder().name("Mallet".parse::<ProductPatchName>().unwrap());
    client.product_update().id(first.data[0].id).body(renamed).send().await.unwrap();
    assert_eq!((search("hammer").await, search("mallet hm").await), ("HM-500".to_owned(), "HM-9".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn search_continues_after_a_page_of_deleted_products() {
    let harness = Harness::start().await;
    for n in 0..5 {
        harness.product(&format!("P{n}"), 1).await;
    }
    // The index still contains the deleted products, as if a search had read the index before the deletion.
    harness.sql("SET foreign_key_checks = 0; DELETE FROM products WHERE sku IN ('P4', 'P3', 'P2')").await;
    let client = harness.operator();
    let first = client.product_list().search("product").limit(2).send().await.unwrap().into_inner();
    assert_eq!((skus(&first), first.has_more), (vec![], true));
    let next = |cursor: Option<String>| client.product_list().search("product").limit(2).cursor(cursor.unwrap()).send();
    let second = next(first.next_cursor).await.unwrap().into_inner();
    assert_eq!((skus(&second), second.has_more), (vec!["P1"], true));
    let third = next(second.next_cursor).await.unwrap().into_inner();
    assert_eq!((skus(&third), third.has_more, &third.next_cursor), (vec!["P0"], false, &None));
}

#[tokio::test(flavor = "multi_thread")]
async fn late_intersection_of_common_words_is_found_on_a_later_page() {
    let harness = Harness::start().await;
    let rows: Vec<String> = (1..=520).map(|id| format!("({id}, 's{id}', '', 0, 0)")).collect();
    let words = "INSERT INTO product_prefixes (prefix, product_id)
                 SELECT IF(id % 2 = 0, 'even', 'odd'), id FROM products UNION ALL SELECT 'even', 1";
    let insert = "INSERT INTO products (id, sku, name, price_cents, stock)";
    harness.sql(&format!("{insert} VALUES {}; {words}", rows.join(", "))).await;
    let client = harness.operator();
    let first = client.product_list().search("even odd").send().await.unwrap().into_inner();
    assert_eq!((skus(&first), first.has_more), (vec![], true));
    let second = client.product_list().search("even odd").cursor(first.next_cursor.unwrap()).send().await.unwrap();
    assert_eq!((skus(&second), second.has_more), (vec!["s1"], false));
}
