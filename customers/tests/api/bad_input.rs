//! Invalid input: the error names the field and nothing is written.

use common_server::testing::message_violations;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::harness::{DOCUMENT, Harness, SERVICE_TOKEN};

/// Server with seeded customers, and an admin's token.
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

/// Sends a request that fails, and returns the status, the error code and the first named field.
async fn error_of(request: RequestBuilder) -> (u16, String, String) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert!(!body["request_id"].as_str().unwrap().is_empty(), "{body}");
    assert!(!body["message"].as_str().unwrap().is_empty(), "{body}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (status, text(&body["error_code"]), text(&body["details"][0]["field"]))
}

fn invalid_request(field: &str) -> (u16, String, String) {
    (400, "invalid_request".to_owned(), field.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_body_is_rejected_and_the_error_names_the_field() {
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
        (r#"{"name":"a\u0085b","email":"a@b.com"}"#, "name"),
        (r#"{"name":"\u3000","email":"a@b.com"}"#, "name"),
        (r#"{"name":"\u200b","email":"a@b.com"}"#, "name"),
        (r#"{"name":" \u00a0\u00ad\u2800\u3164\ufe0f","email":"a@b.com"}"#, "name"),
        (r#"{"name":"A","email":"a@b.com","phone":"\u200b"}"#, "phone"),
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
        assert_eq!(error_of(target.post(body)).await, invalid_request(field), "{body}");
    }
    assert_eq!(error_of(target.post("\u{feff}{}")).await.0, 400);
    assert_eq!(target.count().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn body_that_is_not_utf8_is_rejected() {
    let target = Target::start().await;
    let mut body = br#"{"name":""#.to_vec();
    body.extend([0xff, 0xfe, 0xc0]);
    body.extend(br#"","email":"a@b.com"}"#);
    let request = target.request(Method::POST, "/customers").header("content-type", "application/json").body(body);
    assert_eq!(error_of(request).await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_body_returns_413() {
    let target = Target::start().await;
    let body = format!(r#"{{"name":"{}","email":"a@b.com"}}"#, "x".repeat(70_000));
    let (status, code, _) = error_of(target.post(body)).await;
    assert_eq!((status, code.as_str()), (413, "payload_too_large"));
}

#[tokio::test(flavor = "multi_thread")]
async fn non_json_content_type_is_rejected_and_a_missing_one_means_json() {
    let target = Target::start().await;
    let post = |body: &'static str| target.request(Method::POST, "/customers").body(body);
    for other in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "é"] {
        let (status, code, field) = error_of(post("{}").header("content-type", other)).await;
        assert_eq!((status, code.as_str(), field.as_str()), (415, "unsupported_media_type", "Content-Type"), "{other}");
    }
    let twice = post("{}").header("content-type", "application/json").header("content-type", "text/plain");
    assert_eq!(error_of(twice).await, invalid_request("Content-Type"));
    let bare = post(r#"{"name":"A","email":"bare@b.com"}"#).send().await.unwrap();
    assert_eq!(bare.status(), 201);
    let charset =
        post(r#"{"name":"A","email":"charset@b.com"}"#).header("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(charset.send().await.unwrap().status(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_id_is_rejected() {
    let target = Target::start().await;
    for id in ["0", "-1", "1.5", "+1", "x", "9223372036854775808", "99999999999999999999999", "%00", "1%20", "é"] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let request = target.request(method.clone(), &format!("/customers/{id}")).body("{}");
            assert_eq!(error_of(request).await, invalid_request("id"), "{method} {id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_if_match_is_rejected() {
    let target = Target::start().await;
    for condition in ["v2", "\"v1", "\"v1\" \"v2\"", "", ",", "*, \"v1\""] {
        let request = target.request(Method::DELETE, "/customers/1").header("if-match", condition);
        assert_eq!(error_of(request).await, invalid_request("If-Match"), "{condition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_query_parameter_is_rejected_by_name() {
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
        assert_eq!(error_of(request).await, invalid_request(field), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unauthenticated_request_returns_401_before_input_errors() {
    let target = Target::start().await;
    let request = target.harness.http().post(target.harness.url("/customers")).body("not json");
    assert_eq!(error_of(request).await, (401, "unauthorized".to_owned(), String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_says_what_was_expected_in_the_words_of_the_contract() {
    let harness = Harness::seeded().await;
    let token = harness.token().await;
    let wrong = message_violations(DOCUMENT, &harness.url(""), &token, SERVICE_TOKEN).await.unwrap();
    assert_eq!(wrong, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn role_that_is_not_a_string_is_rejected() {
    let target = Target::start().await;
    let body = r#"{"username":"ann","password":"correct horse","role":{"viewer":null}}"#;
    assert_eq!(error_of(target.request(Method::POST, "/operators").body(body)).await, invalid_request("role"));
}

#[tokio::test(flavor = "multi_thread")]
async fn message_contains_no_password() {
    let target = Target::start().await;
    let post = |path: &str, body: &str| target.request(Method::POST, path).body(body.to_owned()).send();
    for (path, body) in [
        ("/auth/token", r#"{"username":"ann","password":12345678}"#),
        ("/auth/password", r#"{"current_password":"a","new_password":"hunter2"}"#),
        ("/operators", r#"{"username":"ann","password":"hunter2","role":"viewer"}"#),
        // Encoded twice.
        ("/auth/token", r#""{\"password\":\"hunter2\"}""#),
    ] {
        let response = post(path, body).await.unwrap();
        assert_eq!(response.status(), 400, "{path}");
        let text = response.text().await.unwrap();
        assert!(!text.contains("hunter2") && !text.contains("12345678"), "{text}");
    }
}
