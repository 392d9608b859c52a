//! The two fronts give the same status and the same bytes for the same request, however an event is shaped.

use std::path::Path;

use lambda_http::{Context, Request, RequestExt, request};
use orchestrator::lambda;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{PATH, Reply, SERVICE_TOKEN, World, order};

/// The example events, one for each way to reach the function.
const SHAPES: [&str; 4] = ["api-gateway-http", "api-gateway-rest", "function-url", "load-balancer"];

/// A request, whichever way it goes.
struct Sent {
    method: Method,
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Sent {
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

    fn to(mut self, method: Method, path: &'static str) -> Self {
        (self.method, self.path) = (method, path);
        self
    }

    async fn to_local(&self, world: &World) -> Reply {
        let url = format!("{}{}", world.base_url, self.path);
        let mut request = reqwest::Client::new().request(self.method.clone(), url).body(self.body.clone());
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        Reply::to(request).await
    }

    /// The request as an event of this shape.
    fn as_event(&self, shape: &str, base64: bool) -> Request {
        let mut event = example(shape);
        let headers: Value = self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let stage = if shape == "api-gateway-http" { "/prod" } else { "" };
        let path = format!("{stage}{}", self.path);
        for (pointer, value) in [
            ("/rawPath", json!(path)),
            ("/requestContext/http/path", json!(path)),
            ("/requestContext/http/method", json!(self.method.as_str())),
            ("/path", json!(path)),
            ("/httpMethod", json!(self.method.as_str())),
            ("/headers", headers),
            ("/multiValueHeaders", json!({})),
            ("/body", if base64 { json!(encoded(&self.body)) } else { json!(self.body) }),
            ("/isBase64Encoded", json!(base64)),
        ] {
            if let Some(place) = event.pointer_mut(pointer) {
                *place = value;
            }
        }
        parsed(&event)
    }
}

pub(crate) fn example(shape: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("events").join(shape).with_extension("json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn parsed(event: &Value) -> Request {
    let mut context = Context::default();
    context.request_id = "the-request".to_owned();
    request::from_str(&event.to_string()).unwrap().with_lambda_context(context)
}

/// This body as an event from a function URL.
pub(crate) fn event(body: &Value) -> Request {
    Sent::json(body).as_event("function-url", false)
}

/// Standard Base64 (RFC 4648, 4).
fn encoded(text: &str) -> String {
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

/// What both fronts have to agree on. A request's own id differs by nature.
fn comparable(status: u16, headers: &lambda_http::http::HeaderMap, text: &str) -> (u16, Vec<Option<String>>, String) {
    let value = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let request_id = value("x-request-id").unwrap();
    assert!(!request_id.is_empty());
    let names = ["content-type", "x-correlation-id", "retry-after", "www-authenticate", "allow"];
    let without_id = |text: String| text.replace(&request_id, "(request)");
    (status, names.iter().map(|name| value(name).map(without_id)).collect(), without_id(text.to_owned()))
}

fn rows() -> Vec<Sent> {
    let order = |change: fn(&mut Value)| {
        let mut body = order("a");
        change(&mut body);
        Sent::json(&body)
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
        Sent::text("{"),
        Sent::text("{} x"),
        Sent::text(""),
        Sent::text(&" ".repeat(64 * 1024 + 1)),
        Sent::text(&"x".repeat(64 * 1024)),
        Sent::text("{").without("authorization"),
        order(|_| ()).to(Method::GET, PATH),
        order(|_| ()).to(Method::DELETE, "/health"),
        order(|_| ()).to(Method::POST, "/orchestrator"),
        order(|_| ()).to(Method::GET, "/"),
        order(|_| ()).to(Method::POST, "/orchestrator//create%2Dand-confirm-order/"),
        Sent::text("").to(Method::GET, "/health"),
        Sent::text("").to(Method::GET, "/ready"),
    ]
}

#[tokio::test]
async fn both_fronts_answer_alike_however_an_event_is_shaped() {
    let world = World::new().await;
    let function = world.function();
    for row in rows() {
        let local = row.to_local(&world).await;
        let expected = comparable(local.status, &local.headers, &local.text);
        for (shape, base64) in SHAPES.iter().flat_map(|shape| [(shape, false), (shape, true)]) {
            let response = lambda::answer(&function, row.as_event(shape, base64)).await;
            let text = std::str::from_utf8(response.body()).unwrap();
            let answered = comparable(response.status().as_u16(), response.headers(), text);
            assert_eq!(answered, expected, "{shape} {} {}", row.method, row.path);
        }
    }
    assert_eq!(world.shop().orders.len(), 1);
}

#[tokio::test]
async fn a_stage_in_front_of_the_path_is_no_part_of_it_whatever_its_name() {
    let world = World::new().await;
    let function = world.function();
    let rows = [
        ("orchestrator", PATH.to_owned(), 201),
        ("orchestrator", format!("/orchestrator{PATH}"), 201),
        ("live", format!("/live{PATH}"), 201),
        ("live", format!("/other{PATH}"), 404),
        ("live", format!("/live/live{PATH}"), 404),
    ];
    for (stage, path, status) in rows {
        let mut event = example("api-gateway-http");
        event["requestContext"]["stage"] = json!(stage);
        event["rawPath"] = json!(path);
        event["headers"]["authorization"] = json!(format!("Bearer {SERVICE_TOKEN}"));
        let response = lambda::answer(&function, parsed(&event)).await;
        assert_eq!(response.status().as_u16(), status, "{stage} {path}");
    }
}

#[tokio::test]
async fn every_example_event_makes_the_order_it_shows() {
    let world = World::in_profile("development").await;
    let function = world.function_in_profile("development");
    for shape in SHAPES {
        let response = lambda::answer(&function, parsed(&example(shape))).await;
        let text = std::str::from_utf8(response.body()).unwrap();
        assert_eq!(response.status(), 201, "{shape}: {text}");
    }
    assert_eq!(world.shop().orders.len(), 1);
}
