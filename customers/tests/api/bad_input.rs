//! Bad input gets a clear error that names the field, and writes nothing.

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::harness::Harness;

/// A server with one customer, and the token to reach it.
struct Target {
    harness: Harness,
    token: String,
}

impl Target {
    async fn start() -> Self {
        let harness = Harness::seeded().await;
        let token = harness.token().await;
        Self { harness, token }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.harness.http().request(method, self.harness.url(path)).bearer_auth(&self.token)
    }

    fn post(&self, body: impl Into<String>) -> RequestBuilder {
        self.request(Method::POST, "/customers").header("content-type", "application/json").body(body.into())
    }

    async fn count(&self) -> usize {
        let page: Value = self.request(Method::GET, "/customers?limit=100").send().await.unwrap().json().await.unwrap();
        page["data"].as_array().unwrap().len()
    }
}

/// Status, code and the named field of an error answer.
async fn told(request: RequestBuilder) -> (u16, String, String) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    assert!(!body["request_id"].as_str().unwrap().is_empty(), "{body}");
    assert!(!body["message"].as_str().unwrap().is_empty(), "{body}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (status, text(&body["error_code"]), text(&body["details"][0]["field"]))
}

fn invalid(field: &str) -> (u16, String, String) {
    (400, "invalid_request".to_owned(), field.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_as_documented_is_refused_by_the_name_of_its_field() {
    let target = Target::start().await;
    let before = target.count().await;
    let long = "x".repeat(201);
    let cases = [
        (r#"{"email":"a@b.com"}"#, "name"),
        (r#"{"name":"A"}"#, "email"),
        (r#"{"name":5,"email":"a@b.com"}"#, "name"),
        (r#"{"name":null,"email":"a@b.com"}"#, "name"),
        (r#"{"name":"","email":"a@b.com"}"#, "name"),
        (r#"{"name":"   ","email":"a@b.com"}"#, "name"),
        (r#"{"name":"a\u0000b","email":"a@b.com"}"#, "name"),
        (&format!(r#"{{"name":"{long}","email":"a@b.com"}}"#), "name"),
        (r#"{"name":"A","email":"a@b.com","phone":[]}"#, "phone"),
        (r#"{"name":"A","email":"a@b.com","phone":""}"#, "phone"),
        (r#"{"name":"A","email":"not an address"}"#, "email"),
        (r#"{"name":"A","email":"A <a@b.com>"}"#, "email"),
        (r#"{"name":"A","email":"a@b.com","vip":true}"#, "vip"),
        (r#"{"name":"A","name":"B","email":"a@b.com"}"#, "name"),
        (r#"{"name":"A","email":"a@b.com"} trailing"#, ""),
        (r#"{"name":"A","email":"a@b.com"}{}"#, ""),
        (r#"{"name":"A","email":"a@b.com""#, ""),
        (r#"{"name":"A","email":"\"a@b\"@c.com"}"#, "email"),
        (r#"["A","a@b.com",null]"#, ""),
        ("null", ""),
        ("", ""),
    ];
    for (body, field) in cases {
        assert_eq!(told(target.post(body)).await, invalid(field), "{body}");
    }
    assert_eq!(told(target.post("\u{feff}{}")).await.0, 400);
    assert_eq!(target.count().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_are_refused() {
    let target = Target::start().await;
    let mut body = br#"{"name":""#.to_vec();
    body.extend([0xff, 0xfe, 0xc0]);
    body.extend(br#"","email":"a@b.com"}"#);
    let request = target.request(Method::POST, "/customers").header("content-type", "application/json").body(body);
    assert_eq!(told(request).await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_told_413() {
    let target = Target::start().await;
    let body = format!(r#"{{"name":"{}","email":"a@b.com"}}"#, "x".repeat(70_000));
    let (status, code, _) = told(target.post(body)).await;
    assert_eq!((status, code.as_str()), (413, "payload_too_large"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_json_is_taken_and_a_missing_content_type_counts_as_json() {
    let target = Target::start().await;
    let post = |body: &'static str| target.request(Method::POST, "/customers").body(body);
    for other in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "é"] {
        let (status, code, field) = told(post("{}").header("content-type", other)).await;
        assert_eq!((status, code.as_str(), field.as_str()), (415, "unsupported_media_type", "Content-Type"), "{other}");
    }
    let bare = post(r#"{"name":"A","email":"bare@b.com"}"#).send().await.unwrap();
    assert_eq!(bare.status(), 201);
    let charset =
        post(r#"{"name":"A","email":"charset@b.com"}"#).header("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(charset.send().await.unwrap().status(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_none_is_refused() {
    let target = Target::start().await;
    for id in ["0", "-1", "1.5", "+1", "x", "9223372036854775808", "99999999999999999999999", "%00", "1%20", "é"] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let request = target.request(method.clone(), &format!("/customers/{id}")).body("{}");
            assert_eq!(told(request).await, invalid("id"), "{method} {id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_is_no_entity_tag_is_refused() {
    let target = Target::start().await;
    for condition in ["v2", "\"v1", "\"v1\" \"v2\"", ""] {
        let request = target.request(Method::DELETE, "/customers/1").header("if-match", condition);
        assert_eq!(told(request).await, invalid("If-Match"), "{condition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn query_parameters_are_checked_by_name() {
    let target = Target::start().await;
    let cases = [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limit=1.0", "limit"),
        ("limit=%2B5", "limit"),
        ("offset=5", "offset"),
        ("search=a&search=b", "search"),
        ("search=%20%20", "search"),
    ];
    for (query, field) in cases {
        let request = target.request(Method::GET, &format!("/customers?{query}"));
        assert_eq!(told(request).await, invalid(field), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_told_nothing_of_what_else_is_wrong() {
    let target = Target::start().await;
    let request = target.harness.http().post(target.harness.url("/customers")).body("not json");
    assert_eq!(told(request).await, (401, "unauthorized".to_owned(), String::new()));
}
