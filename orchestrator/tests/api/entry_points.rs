//! The local server and the Lambda function return the same status, headers and body for the same request, in every
//! event format.

use std::path::Path;

use lambda_http::{Context, LambdaEvent};
use orchestrator::{Orchestrator, lambda};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::harness::{Harness, PATH, Reply, SERVICE_TOKEN, order_body};

/// Example events, one for each gateway event format.
const GATEWAYS: [&str; 4] = ["api-gateway-http", "api-gateway-rest", "function-url", "load-balancer"];

/// A request that can be sent to either entry point.
struct TestRequest {
    method: Method,
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl TestRequest {
    fn json(body: &Value) -> Self {
        let bearer = ("authorization", format!("Bearer {SERVICE_TOKEN}"));
        let json = ("content-type", "application/json".to_owned());
        Self { method: Method::POST, path: PATH, headers: vec![bearer, json], body: body.to_string() }
    }

    fn text(body: &str) -> Self {
        Self { body: body.to_owned(), ..Self::json(&json!(null)) }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self
    }

    fn with_target(mut self, method: Method, path: &'static str) -> Self {
        (self.method, self.path) = (method, path);
        self
    }

    async fn send_to_server(&self, harness: &Harness) -> Reply {
        let url = format!("{}{}", harness.base_url, self.path);
        let mut request = reqwest::Client::new().request(self.method.clone(), url).body(self.body.clone());
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        Reply::send(request).await
    }

    /// Returns the request as an event in this gateway's format.
    fn as_event(&self, gateway: &str, is_base64: bool) -> Value {
        let mut event = example(gateway);
        let headers: Value = self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let many_values: Value = self.headers.iter().map(|(name, value)| (*name, vec![value.as_str()])).collect();
        let stage = if gateway == "api-gateway-http" { "/prod" } else { "" };
        let path = format!("{stage}{}", self.path);
        for (pointer, value) in [
            ("/rawPath", json!(path)),
            ("/requestContext/http/path", json!(path)),
            ("/requestContext/http/method", json!(self.method.as_str())),
            ("/path", json!(path)),
            ("/pathParameters/proxy", json!(self.path.trim_start_matches('/'))),
            ("/httpMethod", json!(self.method.as_str())),
            ("/headers", headers),
            ("/multiValueHeaders", many_values),
            ("/body", if is_base64 { json!(base64(&self.body)) } else { json!(self.body) }),
            ("/isBase64Encoded", json!(is_base64)),
        ] {
            if let Some(target) = event.pointer_mut(pointer) {
                *target = value;
            }
        }
        event
    }
}

pub(crate) fn example(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("events").join(name).with_extension("json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Invokes the function and converts its response, whose headers are in one of two formats.
pub(crate) async fn invoke(function: &Orchestrator, event: &Value) -> Reply {
    let mut context = Context::default();
    context.request_id = "the-request".to_owned();
    let response = lambda::answer(function, LambdaEvent::new(event.clone(), context)).await.unwrap();
    let single = response["headers"].as_object().into_iter().flatten();
    let multi = response["multiValueHeaders"].as_object().into_iter().flatten();
    let multi = multi.flat_map(|(name, values)| values.as_array().unwrap().iter().map(move |value| (name, value)));
    let headers =
        single.chain(multi).map(|(name, value)| (name.parse().unwrap(), value.as_str().unwrap().parse().unwrap()));
    Reply {
        status: response["statusCode"].as_u64().unwrap().try_into().unwrap(),
        headers: HeaderMap::from_iter(headers),
        text: response["body"].as_str().unwrap().to_owned(),
    }
}

/// Returns a function URL event with this body.
pub(crate) fn event(body: &Value) -> Value {
    TestRequest::json(body).as_event("function-url", false)
}

/// Encodes text as standard Base64 (RFC 4648, section 4).
fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for three in text.as_bytes().chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let six = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap();
            encoded.push(if place <= three.len() { char::from(ALPHABET[six]) } else { '=' });
        }
    }
    encoded
}

/// Returns the parts of a response that must be equal for both entry points. Replaces the request ID, which differs.
fn comparable(Reply { status, headers, text }: &Reply) -> (u16, Vec<Option<String>>, String) {
    let value = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let request_id = value("x-request-id").unwrap();
    assert!(!request_id.is_empty());
    let names = ["content-type", "x-correlation-id", "retry-after", "www-authenticate", "allow"];
    let without_id = |text: String| text.replace(&request_id, "(request)");
    (*status, names.iter().map(|name| value(name).map(without_id)).collect(), without_id(text.clone()))
}

fn test_requests() -> Vec<TestRequest> {
    let order = |change: fn(&mut Value)| {
        let mut body = order_body("a");
        change(&mut body);
        TestRequest::json(&body)
    };
    vec![
        order(|_| ()),
        order(|body| body["items"][0]["qty"] = json!(4)),
        order(|body| body["customer_id"] = json!(7)),
        order(|body| body["unknown"] = json!(1)),
        order(|body| body["items"][0]["qty"] = json!(0)),
        order(|body| drop(body.as_object_mut().unwrap().remove("correlation_id"))),
        order(|body| drop(body.as_object_mut().unwrap().remove("correlation_id"))).with("x-correlation-id", "mine"),
        order(|_| ()).without("content-type"),
        order(|_| ()).without("authorization"),
        order(|_| ()).with("authorization", "Bearer wrong"),
        order(|_| ()).with("content-type", "text/plain"),
        order(|_| ()).with("content-type", "Application/JSON; charset=utf-8"),
        TestRequest::text("{"),
        TestRequest::text("{} x"),
        TestRequest::text(""),
        TestRequest::text(&" ".repeat(64 * 1024 + 1)),
        TestRequest::text(&"x".repeat(64 * 1024)),
        TestRequest::text("{").without("authorization"),
        order(|_| ()).with_target(Method::GET, PATH),
        order(|_| ()).with_target(Method::HEAD, PATH),
        order(|_| ()).with_target(Method::OPTIONS, PATH),
        order(|_| ()).with_target(Method::DELETE, "/health"),
        order(|_| ()).with_target(Method::POST, "/orchestrator"),
        order(|_| ()).with_target(Method::GET, "/"),
        order(|_| ()).with_target(Method::POST, "/orchestrator//create%2Dand-confirm-order/"),
        TestRequest::text("").with_target(Method::GET, "/health"),
        TestRequest::text("").with_target(Method::GET, "/ready"),
        TestRequest::text("").with_target(Method::HEAD, "/health"),
        TestRequest::text("").with_target(Method::HEAD, "/ready"),
        TestRequest::text("").with_target(Method::POST, "/ready"),
    ]
}

#[tokio::test]
async fn lambda_and_local_server_respond_identically_to_every_event_shape() {
    let harness = Harness::new().await;
    let function = harness.function();
    for request in test_requests() {
        let expected = comparable(&request.send_to_server(&harness).await);
        for (gateway, is_base64) in GATEWAYS.iter().flat_map(|gateway| [(gateway, false), (gateway, true)]) {
            let response = comparable(&invoke(&function, &request.as_event(gateway, is_base64)).await);
            assert_eq!(response, expected, "{gateway} {} {}", request.method, request.path);
        }
    }
    assert_eq!(harness.store().orders.len(), 1);
}

/// Returns an event in this gateway's format in which a service requests an order, with these values replaced.
fn changed(gateway: &str, changes: &[(&str, Value)]) -> Value {
    let mut event = TestRequest::json(&order_body("a")).as_event(gateway, false);
    for (pointer, value) in changes {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[name] = value.clone();
    }
    event
}

#[tokio::test]
async fn gateway_path_prefixes_are_stripped() {
    let harness = Harness::new().await;
    let function = harness.function();
    let stage = "/requestContext/stage";
    let http = |stage_name, path: String| {
        changed("api-gateway-http", &[(stage, json!(stage_name)), ("/rawPath", json!(path))])
    };
    let rest = |path: String, proxy| {
        let changes = [("/path", json!(path)), ("/pathParameters/proxy", json!(proxy))];
        changed("api-gateway-rest", &changes)
    };
    let mapped = json!(format!("/shop{PATH}"));
    let route = |key| {
        let changes = [("/requestContext/routeKey", json!(key)), ("/rawPath", mapped.clone())];
        changed("api-gateway-http", &changes)
    };
    let by_resource =
        [("/requestContext/resourcePath", json!(PATH)), ("/path", mapped.clone()), ("/pathParameters", json!(null))];
    let rows = [
        (http("orchestrator", PATH.to_owned()), 201),
        (http("orchestrator", format!("/orchestrator{PATH}")), 201),
        (http("live", format!("/live{PATH}")), 201),
        (http("live", format!("/other{PATH}")), 404),
        (http("live", format!("/live/live{PATH}")), 404),
        (http("li", format!("/live{PATH}")), 404),
        (rest(format!("/prod{PATH}"), PATH.trim_start_matches('/')), 201),
        (rest(format!("/shop{PATH}"), PATH.trim_start_matches('/')), 201),
        (rest(format!("/shop{PATH}"), "another"), 404),
        (route(format!("POST {PATH}")), 201),
        (route("ANY /{proxy+}".to_owned()), 404),
        (changed("api-gateway-rest", &by_resource), 201),
    ];
    for (event, status) in rows {
        assert_eq!(invoke(&function, &event).await.status, status, "{event}");
    }
}

#[tokio::test]
async fn malformed_gateway_events_get_a_response() {
    let harness = Harness::new().await;
    let function = harness.function();
    for gateway in GATEWAYS {
        let base64_event = |body: &str| changed(gateway, &[("/isBase64Encoded", json!(true)), ("/body", json!(body))]);
        let headers = json!({ "authorization": format!("Bearer {SERVICE_TOKEN}"), "host": "a b", "x-forwarded-proto": "?", "x-name": "é\u{fffd}", "x y": "1", "x-none": null, "x-line": "a\nb" });
        let rows = [
            (base64_event("****"), 400, "invalid_request"),
            // Start of a gzip stream, which is invalid UTF-8.
            (base64_event("H4sIAAAAAAAA/w=="), 400, "invalid_request"),
            (base64_event("//79"), 400, "invalid_request"),
            (changed(gateway, &[("/body", json!(null))]), 400, "invalid_request"),
            (changed(gateway, &[("/headers", json!(null)), ("/multiValueHeaders", json!(null))]), 401, "unauthorized"),
            (changed(gateway, &[("/rawQueryString", json!("a=<b>&é"))]), 201, ""),
            (changed(gateway, &[("/queryStringParameters", json!({ "<": "{" }))]), 201, ""),
            (changed(gateway, &[("/headers", headers), ("/multiValueHeaders", json!(null))]), 201, ""),
            (
                changed(gateway, &[("/path", json!(":")), ("/rawPath", json!(":")), ("/pathParameters", json!(null))]),
                404,
                "",
            ),
        ];
        for (event, status, code) in rows {
            let reply = invoke(&function, &event).await;
            let error_code = reply.json()["error"]["code"].as_str().unwrap_or_default().to_owned();
            assert_eq!((reply.status, error_code.as_str()), (status, code), "{event}");
        }
    }
}

#[tokio::test]
async fn response_headers_match_the_gateway_format() {
    let harness = Harness::new().await;
    let function = harness.function();
    let (none, single, multi) = (json!(null), json!("application/json"), json!(["application/json"]));
    let rows = [
        ("api-gateway-http", &single, &none, json!(null)),
        ("api-gateway-rest", &none, &multi, json!(null)),
        ("function-url", &single, &none, json!(null)),
        // The target group reads only one of the two header formats.
        ("load-balancer", &single, &multi, json!("201 Created")),
    ];
    for (gateway, single, multi, description) in rows {
        let event = LambdaEvent::new(changed(gateway, &[]), Context::default());
        let response = lambda::answer(&function, event).await.unwrap();
        let types = [&response["headers"]["content-type"], &response["multiValueHeaders"]["content-type"]];
        assert_eq!((types, &response["statusDescription"]), ([single, multi], &description), "{response}");
    }
}

#[tokio::test]
async fn non_http_event_fails_the_invocation() {
    let harness = Harness::new().await;
    let function = harness.function();
    let queue = json!({ "Records": [{ "eventSource": "aws:sqs", "body": order_body("a").to_string() }] });
    for event in [json!(null), json!({}), json!([1]), json!("text"), queue, json!({ "httpMethod": "A B" })] {
        let error = lambda::answer(&function, LambdaEvent::new(event.clone(), Context::default())).await.unwrap_err();
        assert_eq!(error.error_type, "NotAnHttpRequest", "{event}");
    }
    assert_eq!(harness.orders.requests(), [] as [&str; 0]);
}
