//! The two fronts give the same status and the same bytes for the same request, however an event is shaped.

use std::path::Path;

use lambda_http::{Context, LambdaEvent};
use orchestrator::{Orchestrator, lambda};
use reqwest::Method;
use reqwest::header::HeaderMap;
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
    fn as_event(&self, shape: &str, base64: bool) -> Value {
        let mut event = example(shape);
        let headers: Value = self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let many_values: Value = self.headers.iter().map(|(name, value)| (*name, vec![value.as_str()])).collect();
        let stage = if shape == "api-gateway-http" { "/prod" } else { "" };
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
            ("/body", if base64 { json!(encoded(&self.body)) } else { json!(self.body) }),
            ("/isBase64Encoded", json!(base64)),
        ] {
            if let Some(place) = event.pointer_mut(pointer) {
                *place = value;
            }
        }
        event
    }
}

pub(crate) fn example(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("events").join(name).with_extension("json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// What the function answers, whichever shape it has.
pub(crate) async fn answered(function: &Orchestrator, event: &Value) -> Reply {
    let mut context = Context::default();
    context.request_id = "the-request".to_owned();
    let answer = lambda::answer(function, LambdaEvent::new(event.clone(), context)).await.unwrap();
    let one = answer["headers"].as_object().into_iter().flatten();
    let many = answer["multiValueHeaders"].as_object().into_iter().flatten();
    let many = many.flat_map(|(name, values)| values.as_array().unwrap().iter().map(move |value| (name, value)));
    let headers =
        one.chain(many).map(|(name, value)| (name.parse().unwrap(), value.as_str().unwrap().parse().unwrap()));
    Reply {
        status: answer["statusCode"].as_u64().unwrap().try_into().unwrap(),
        headers: HeaderMap::from_iter(headers),
        text: answer["body"].as_str().unwrap().to_owned(),
    }
}

/// This body as an event from a function URL.
pub(crate) fn event(body: &Value) -> Value {
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
fn comparable(Reply { status, headers, text }: &Reply) -> (u16, Vec<Option<String>>, String) {
    let value = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let request_id = value("x-request-id").unwrap();
    assert!(!request_id.is_empty());
    let names = ["content-type", "x-correlation-id", "retry-after", "www-authenticate", "allow"];
    let without_id = |text: String| text.replace(&request_id, "(request)");
    (*status, names.iter().map(|name| value(name).map(without_id)).collect(), without_id(text.clone()))
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
        order(|_| ()).to(Method::HEAD, PATH),
        order(|_| ()).to(Method::OPTIONS, PATH),
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
        let expected = comparable(&row.to_local(&world).await);
        for (shape, base64) in SHAPES.iter().flat_map(|shape| [(shape, false), (shape, true)]) {
            let answered = comparable(&answered(&function, &row.as_event(shape, base64)).await);
            assert_eq!(answered, expected, "{shape} {} {}", row.method, row.path);
        }
    }
    assert_eq!(world.shop().orders.len(), 1);
}

/// An order from this gateway, as a service sends it, with this changed.
fn changed(shape: &str, changes: &[(&str, Value)]) -> Value {
    let mut event = Sent::json(&order("a")).as_event(shape, false);
    for (pointer, value) in changes {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[name] = value.clone();
    }
    event
}

#[tokio::test]
async fn what_a_gateway_puts_in_front_of_the_path_is_no_part_of_it() {
    let world = World::new().await;
    let function = world.function();
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
        assert_eq!(answered(&function, &event).await.status, status, "{event}");
    }
}

#[tokio::test]
async fn whatever_a_gateway_lets_through_is_answered() {
    let world = World::new().await;
    let function = world.function();
    for shape in SHAPES {
        let encoded = |body: &str| changed(shape, &[("/isBase64Encoded", json!(true)), ("/body", json!(body))]);
        let odd = json!({ "authorization": format!("Bearer {SERVICE_TOKEN}"), "host": "a b", "x-forwarded-proto": "?", "x-name": "é\u{fffd}", "x y": "1", "x-none": null, "x-line": "a\nb" });
        let rows = [
            (encoded("****"), 400, "invalid_request"),
            // gzip, and what is not UTF-8.
            (encoded("H4sIAAAAAAAA/w=="), 400, "invalid_request"),
            (encoded("//79"), 400, "invalid_request"),
            (changed(shape, &[("/body", json!(null))]), 400, "invalid_request"),
            (changed(shape, &[("/headers", json!(null)), ("/multiValueHeaders", json!(null))]), 401, "unauthorized"),
            (changed(shape, &[("/rawQueryString", json!("a=<b>&é"))]), 201, ""),
            (changed(shape, &[("/queryStringParameters", json!({ "<": "{" }))]), 201, ""),
            (changed(shape, &[("/headers", odd), ("/multiValueHeaders", json!(null))]), 201, ""),
            (
                changed(shape, &[("/path", json!(":")), ("/rawPath", json!(":")), ("/pathParameters", json!(null))]),
                404,
                "",
            ),
        ];
        for (event, status, code) in rows {
            let reply = answered(&function, &event).await;
            let found = reply.json()["error"]["code"].as_str().unwrap_or_default().to_owned();
            assert_eq!((reply.status, found.as_str()), (status, code), "{event}");
        }
    }
}

#[tokio::test]
async fn each_gateway_gets_its_headers_in_the_shape_that_it_takes() {
    let world = World::new().await;
    let function = world.function();
    let (none, one, many) = (json!(null), json!("application/json"), json!(["application/json"]));
    let rows = [
        ("api-gateway-http", &one, &none, json!(null)),
        ("api-gateway-rest", &none, &many, json!(null)),
        ("function-url", &one, &none, json!(null)),
        // Its target group takes one of the two.
        ("load-balancer", &one, &many, json!("201 Created")),
    ];
    for (shape, one, many, description) in rows {
        let event = LambdaEvent::new(changed(shape, &[]), Context::default());
        let answer = lambda::answer(&function, event).await.unwrap();
        let types = [&answer["headers"]["content-type"], &answer["multiValueHeaders"]["content-type"]];
        assert_eq!((types, &answer["statusDescription"]), ([one, many], &description), "{answer}");
    }
}

#[tokio::test]
async fn an_event_that_is_no_http_request_fails_so_that_its_sender_notices() {
    let world = World::new().await;
    let function = world.function();
    let queue = json!({ "Records": [{ "eventSource": "aws:sqs", "body": order("a").to_string() }] });
    for event in [json!(null), json!({}), json!([1]), json!("text"), queue, json!({ "httpMethod": "A B" })] {
        let failed = lambda::answer(&function, LambdaEvent::new(event.clone(), Context::default())).await.unwrap_err();
        assert_eq!(failed.error_type, "NotAnHttpRequest", "{event}");
    }
    assert_eq!(world.orders.seen(), [] as [&str; 0]);
}
