//! Invalid input is rejected with an error that names the field, and changes nothing.

use common_server::testing::message_violations;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::harness::{DOCUMENT, Harness, SERVICE_TOKEN, operator_token};
use crate::invariants;

/// A server with product 1 and order 1.
struct Target(Harness);

impl Target {
    async fn start() -> Self {
        let harness = Harness::start().await;
        let product = harness.product("A", 10).await;
        harness.order(&[(product, 1)]).await;
        Self(harness)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.0.http().request(method, self.0.url(path)).bearer_auth(operator_token("ann"))
    }

    fn send(&self, method: Method, path: &str, body: &str) -> RequestBuilder {
        self.request(method, path).header("content-type", "application/json").body(body.to_owned())
    }

    /// Each case consists of a body and the name of its invalid field.
    async fn assert_rejects(&self, method: Method, path: &str, cases: &[(&str, &str)]) {
        for (body, field) in cases {
            assert_eq!(error_response(self.send(method.clone(), path, body)).await, invalid(field), "{body}");
        }
        self.assert_unchanged().await;
    }

    async fn assert_unchanged(&self) {
        for (table, rows) in [("products", 1), ("orders", 1), ("stock_movements", 2), ("idempotency_keys", 0)] {
            let count = self.0.number(&format!("SELECT COUNT(*) AS n FROM {table}")).await;
            assert_eq!(count, rows, "{table}");
        }
        invariants::check(&self.0).await;
    }
}

/// Status, code and field of an error response.
async fn error_response(request: RequestBuilder) -> (u16, String, String) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert!(!body["request_id"].as_str().unwrap().is_empty(), "{body}");
    assert!(!body["message"].as_str().unwrap().is_empty(), "{body}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (status, text(&body["error_code"]), text(&body["details"][0]["field"]))
}

fn invalid(field: &str) -> (u16, String, String) {
    (400, "invalid_request".to_owned(), field.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_order_is_rejected_with_its_field() {
    let target = Target::start().await;
    let many = format!(r#"{{"customer_id":1,"items":[{}]}}"#, vec![r#"{"product_id":1,"qty":1}"#; 101].join(","));
    let long = format!(
        r#"{{"customer_id":1,"items":[{{"product_id":1,"qty":1}}],"external_reference":"{}"}}"#,
        "x".repeat(101)
    );
    let cases = [
        (r#"{"items":[{"product_id":1,"qty":1}]}"#, "customer_id"),
        (r#"{"customer_id":0,"items":[{"product_id":1,"qty":1}]}"#, "customer_id"),
        (r#"{"customer_id":"1","items":[{"product_id":1,"qty":1}]}"#, "customer_id"),
        (r#"{"customer_id":1.5,"items":[{"product_id":1,"qty":1}]}"#, "customer_id"),
        (r#"{"customer_id":9223372036854775808,"items":[{"product_id":1,"qty":1}]}"#, "customer_id"),
        (r#"{"customer_id":null,"items":[{"product_id":1,"qty":1}]}"#, "customer_id"),
        (r#"{"customer_id":1}"#, "items"),
        (r#"{"customer_id":1,"items":[]}"#, "items"),
        (r#"{"customer_id":1,"items":{}}"#, "items"),
        (&many, "items"),
        (r#"{"customer_id":1,"items":[{"qty":1}]}"#, "items[0].product_id"),
        (r#"{"customer_id":1,"items":[{"product_id":1,"qty":1},{"product_id":-1,"qty":1}]}"#, "items[1].product_id"),
        (r#"{"customer_id":1,"items":[{"product_id":1}]}"#, "items[0].qty"),
        (r#"{"customer_id":1,"items":[{"product_id":1,"qty":0}]}"#, "items[0].qty"),
        (r#"{"customer_id":1,"items":[{"product_id":1,"qty":-1}]}"#, "items[0].qty"),
        (r#"{"customer_id":1,"items":[{"product_id":1,"qty":1000001}]}"#, "items[0].qty"),
        (r#"{"customer_id":1,"items":[{"product_id":1,"qty":1.0}]}"#, "items[0].qty"),
        (r#"{"customer_id":1,"items":[{"product_id":1,"qty":1e3}]}"#, "items[0].qty"),
        (r#"{"customer_id":1,"items":[{"product_id":1,"qty":true}]}"#, "items[0].qty"),
        (r#"{"customer_id":1,"items":[{"product_id":1,"qty":99999999999999999999}]}"#, "items[0].qty"),
        (r#"{"customer_id":1,"items":[{"product_id":1,"qty":1,"price":1}]}"#, "items[0].price"),
        (r#"{"customer_id":1,"items":[{"product_id":1,"qty":1,"qty":2}]}"#, "items[0].qty"),
        (r#"{"customer_id":1,"items":[{"product_id":1,"qty":1}],"expected_total_cents":"1"}"#, "expected_total_cents"),
        (r#"{"customer_id":1,"items":[{"product_id":1,"qty":1}],"external_reference":""}"#, "external_reference"),
        (&long, "external_reference"),
        (
            r#"{"customer_id":1,"items":[{"product_id":1,"qty":1}],"external_reference":"a\u0000b"}"#,
            "external_reference",
        ),
        (r#"{"customer_id":1,"items":[{"product_id":1,"qty":1}],"external_reference":"\u3000"}"#, "external_reference"),
        (r#"{"customer_id":1,"items":[{"product_id":1,"qty":1}],"status":"CONFIRMED"}"#, "status"),
        (r#"{"customer_id":1,"customer_id":2,"items":[{"product_id":1,"qty":1}]}"#, "customer_id"),
        (r#"{"customer_id":1,"items":[{"product_id":1,"qty":1}]} trailing"#, ""),
        (r#"{"customer_id":1,"items":[{"product_id":1,"qty":1}]}{}"#, ""),
        (r#"{"customer_id":1,"items":[{"product_id":1,"qty":1}]"#, ""),
        ("[]", ""),
        ("[1,[[2,3]],null,null]", ""),
        (r#"{"customer_id":1,"items":[[1,3]]}"#, "items[0]"),
        ("null", ""),
        ("", ""),
    ];
    target.assert_rejects(Method::POST, "/orders", &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_product_is_rejected_with_its_field() {
    let target = Target::start().await;
    let long_sku = format!(r#"{{"sku":"{}","name":"N","price_cents":1,"stock":1}}"#, "x".repeat(65));
    let long_name = format!(r#"{{"sku":"S","name":"{}","price_cents":1,"stock":1}}"#, "x".repeat(201));
    let cases = [
        (r#"{"name":"N","price_cents":1,"stock":1}"#, "sku"),
        (r#"{"sku":" S","name":"N","price_cents":1,"stock":1}"#, "sku"),
        (r#"{"sku":"é","name":"N","price_cents":1,"stock":1}"#, "sku"),
        (&long_sku, "sku"),
        (r#"{"sku":"S","price_cents":1,"stock":1}"#, "name"),
        (r#"{"sku":"S","name":"  ","price_cents":1,"stock":1}"#, "name"),
        (r#"{"sku":"S","name":"\u3000","price_cents":1,"stock":1}"#, "name"),
        (r#"{"sku":"S","name":"\u200b","price_cents":1,"stock":1}"#, "name"),
        (r#"{"sku":"\u200b","name":"N","price_cents":1,"stock":1}"#, "sku"),
        (&long_name, "name"),
        (r#"{"sku":"S","name":"N","stock":1}"#, "price_cents"),
        (r#"{"sku":"S","name":"N","price_cents":-1,"stock":1}"#, "price_cents"),
        (r#"{"sku":"S","name":"N","price_cents":10000000001,"stock":1}"#, "price_cents"),
        (r#"{"sku":"S","name":"N","price_cents":1}"#, "stock"),
        (r#"{"sku":"S","name":"N","price_cents":1,"stock":-1}"#, "stock"),
        (r#"{"sku":"S","name":"N","price_cents":1,"stock":1000000001}"#, "stock"),
        (r#"{"sku":"S","name":"N","price_cents":1,"stock":1,"id":7}"#, "id"),
    ];
    target.assert_rejects(Method::POST, "/products", &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_product_change_is_rejected_with_its_field() {
    let target = Target::start().await;
    let cases = [
        (r#"{"stock":-1}"#, "stock"),
        (r#"{"price_cents":1.5}"#, "price_cents"),
        (r#"{"name":""}"#, "name"),
        (r#"{"name":"\u2003\u3164"}"#, "name"),
        (r#"{"stock":1,"expected_stock":-1}"#, "expected_stock"),
        (r#"{"sku":"NEW"}"#, "sku"),
    ];
    target.assert_rejects(Method::PATCH, "/products/1", &cases).await;
    let cases = [
        (r#"{"reason":"count"}"#, "delta"),
        (r#"{"delta":1}"#, "reason"),
        (r#"{"delta":1000000001,"reason":"count"}"#, "delta"),
        (r#"{"delta":1,"reason":""}"#, "reason"),
        (r#"{"delta":1,"reason":"\u3000","reference":"7"}"#, "reason"),
        (r#"{"delta":1,"reason":"count","reference":""}"#, "reference"),
        (r#"{"delta":1,"reason":"count","reference":"\u200b\u00ad"}"#, "reference"),
        (r#"{"delta":1,"reason":"count","order_id":1}"#, "order_id"),
    ];
    target.assert_rejects(Method::POST, "/products/1/stock-adjustments", &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_abandon_or_lookup_is_rejected_with_its_field() {
    let target = Target::start().await;
    let cases = [
        ("{}", "create_key"),
        (r#"{"create_key":""}"#, "create_key"),
        (r#"{"create_key":"k"}"#, "order"),
        (r#"{"create_key":"k","order":{"customer_id":1,"items":[]}}"#, "order.items"),
        (r#"{"create_key":"k","order":[1,[{"product_id":1,"qty":1}],null,null]}"#, "order"),
        (r#"{"create_key":"k","x":1}"#, "x"),
    ];
    for (body, field) in cases {
        let request = target.0.http().post(target.0.url("/internal/orders/abandon")).bearer_auth(SERVICE_TOKEN);
        assert_eq!(error_response(request.body(body)).await, invalid(field), "{body}");
    }
    let lookup = target.0.http().get(target.0.url("/internal/orders/lookup")).bearer_auth(SERVICE_TOKEN);
    assert_eq!(error_response(lookup).await, invalid("create_key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_body_is_413_and_invalid_utf8_is_400() {
    let target = Target::start().await;
    let body = format!(r#"{{"customer_id":1,"items":[],"external_reference":"{}"}}"#, "x".repeat(70_000));
    let (status, code, _) = error_response(target.send(Method::POST, "/orders", &body)).await;
    assert_eq!((status, code.as_str()), (413, "payload_too_large"));
    let bytes = target.request(Method::POST, "/orders").body(vec![b'{', b'"', 0xff, 0xfe, b'"', b'}']);
    assert_eq!(error_response(bytes).await.0, 400);
    target.assert_unchanged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_json_is_accepted() {
    let target = Target::start().await;
    let body = r#"{"customer_id":1,"items":[{"product_id":1,"qty":1}]}"#;
    for other in ["text/plain", "application/x-www-form-urlencoded", "application/xml"] {
        let request = target.request(Method::POST, "/orders").header("content-type", other).body(body);
        let (status, code, field) = error_response(request).await;
        assert_eq!((status, code.as_str(), field.as_str()), (415, "unsupported_media_type", "Content-Type"), "{other}");
    }
    target.assert_unchanged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_id_is_rejected() {
    let target = Target::start().await;
    for id in ["0", "-1", "1.5", "+1", "x", "9223372036854775808", "99999999999999999999999", "%00", "1%20", "é"] {
        for (method, path) in [
            (Method::GET, format!("/products/{id}")),
            (Method::PATCH, format!("/products/{id}")),
            (Method::GET, format!("/products/{id}/stock-adjustments")),
            (Method::POST, format!("/products/{id}/stock-adjustments")),
            (Method::GET, format!("/orders/{id}")),
            (Method::GET, format!("/orders/{id}/events")),
            (Method::POST, format!("/orders/{id}/confirm")),
            (Method::POST, format!("/orders/{id}/cancel")),
        ] {
            assert_eq!(error_response(target.send(method, &path, "{}")).await, invalid("id"), "{path}");
        }
    }
    target.assert_unchanged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_query_parameter_is_named() {
    let target = Target::start().await;
    let cases = [
        ("/orders?limit=0", "limit"),
        ("/orders?limit=101", "limit"),
        ("/orders?status=created", "status"),
        ("/orders?status=SHIPPED", "status"),
        ("/orders?from=yesterday", "from"),
        ("/orders?to=2026-13-01T00:00:00Z", "to"),
        ("/orders?customer_id=0", "customer_id"),
        ("/orders?customer_id=9223372036854775808", "customer_id"),
        ("/orders?external_reference=%20", "external_reference"),
        ("/orders?status=CREATED&status=CREATED", "status"),
        ("/orders?offset=5", "offset"),
        ("/products?limit=ten", "limit"),
        ("/products?search=a&search=b", "search"),
        ("/products?q=a", "q"),
        ("/products/1/stock-adjustments?limit=-1", "limit"),
        ("/products/1/stock-adjustments?reason=order", "reason"),
        // The query is not UTF-8, so the error cannot name a parameter.
        ("/products?search=%FF", ""),
        ("/orders?external_reference=%ED%A0%80", ""),
    ];
    for (path, field) in cases {
        assert_eq!(error_response(target.request(Method::GET, path)).await, invalid(field), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_text_is_a_valid_search_and_reference() {
    let target = Target::start().await;
    for text in ["株式会社", "🦀", "e\u{301}", "\u{202e}rtl", "' OR 1=1 --", "\u{fffd}", "\u{10ffff}", "%", "\\"]
    {
        for (path, name) in [("/products", "search"), ("/orders", "external_reference")] {
            let response = target.request(Method::GET, path).query(&[(name, text)]).send().await.unwrap();
            assert_eq!(response.status(), 200, "{text}");
        }
        let new = serde_json::json!({
            "customer_id": 1, "items": [{"product_id": 1, "qty": 1}], "external_reference": text
        });
        let created: Value =
            target.send(Method::POST, "/orders", &new.to_string()).send().await.unwrap().json().await.unwrap();
        assert_eq!(created["external_reference"], text);
        let found = target.request(Method::GET, "/orders").query(&[("external_reference", text)]).send().await.unwrap();
        assert_eq!(found.json::<Value>().await.unwrap()["data"][0]["id"], created["id"], "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_header_is_named() {
    let target = Target::start().await;
    let confirm = |name: &str, value: &str| target.request(Method::POST, "/orders/1/confirm").header(name, value);
    let with_key = |value: &str| confirm("If-Match", value).header("X-Idempotency-Key", "k");
    assert_eq!(error_response(confirm("X-Idempotency-Key", "a b")).await, invalid("X-Idempotency-Key"));
    assert_eq!(error_response(with_key("v1")).await, invalid("If-Match"));
    assert_eq!(error_response(with_key("\"v1")).await, invalid("If-Match"));
    for name in ["X-Idempotency-Key", "Idempotency-Key"] {
        assert_eq!(error_response(confirm(name, "k").header(name, "k")).await, invalid(name));
    }
    target.assert_unchanged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_says_what_was_expected_in_the_words_of_the_contract() {
    let target = Target::start().await;
    let wrong = message_violations(DOCUMENT, &target.0.url(""), &operator_token("ann"), SERVICE_TOKEN).await.unwrap();
    assert_eq!(wrong, Vec::<String>::new());
    target.assert_unchanged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn message_names_the_field_the_expected_and_the_given_value() {
    let target = Target::start().await;
    let message = async |request: RequestBuilder| {
        let body: Value = request.send().await.unwrap().json().await.unwrap();
        body["message"].as_str().unwrap().to_owned()
    };
    let id = "expected an integer from 1 to 9223372036854775807";
    let qty = |qty: &str| format!(r#"{{"customer_id":1,"items":[{{"product_id":1,"qty":{qty}}}]}}"#);
    let nested = "[".repeat(200);
    for (body, expected) in [
        (r#"{"customer_id":"1"}"#, format!("customer_id: {id}, got \"1\"")),
        (r#"{"customer_id":9223372036854775808}"#, format!("customer_id: {id}, got 9223372036854775808")),
        (r#"{"customer_id":1}"#, "items: is missing, expected an array of 1 to 100 items".to_owned()),
        (r#"{"customer_id":1,"items":[]}"#, "items: expected 1 to 100 items, got an array of 0 items".to_owned()),
        (&qty("4999.99"), "items[0].qty: expected an integer from 1 to 1000000, got 4999.99".to_owned()),
        (&qty("0"), "items[0].qty: expected an integer from 1 to 1000000, got 0".to_owned()),
        (&qty("[]"), "items[0].qty: expected an integer from 1 to 1000000, got an array of 0 items".to_owned()),
        (
            r#"{"customer_id":1,"id":2}"#,
            "id: is unknown, expected one of customer_id, expected_total_cents, external_reference, items".to_owned(),
        ),
        (r#"{"customer_id":1,"customer_id":2}"#, "customer_id: is given more than once, expected one value".to_owned()),
        ("[1]", "the body: expected an object, got an array of 1 item".to_owned()),
        ("", "the body is not one JSON document: it ends too early at line 1, column 0".to_owned()),
        ("{\n x}", "the body is not one JSON document: unexpected input at line 2, column 2".to_owned()),
        (&qty("1e999"), "the body is not one JSON document: a number is too large at line 1, column 53".to_owned()),
        (&nested, "the body: expected an object".to_owned()),
    ] {
        assert_eq!(message(target.send(Method::POST, "/orders", body)).await, expected, "{body}");
    }
    for (query, expected) in [
        ("to=x", "to: expected a time such as 2026-11-30T12:00:00Z, got \"x\"".to_owned()),
        ("status=new", "status: expected one of CREATED, CONFIRMED, CANCELED, got \"new\"".to_owned()),
        ("customer_id=0", format!("customer_id: {id}, got \"0\"")),
        ("limit=ten", "limit: expected an integer from 1 to 100, got \"ten\"".to_owned()),
    ] {
        assert_eq!(message(target.request(Method::GET, &format!("/orders?{query}"))).await, expected);
    }
    assert_eq!(message(target.request(Method::GET, "/orders/x")).await, format!("id: {id}, got \"x\""));
}
