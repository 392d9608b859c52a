//! The events in which gateways put HTTP requests, and the answers that they expect.
//!
//! An event is read field by field and whatever is missing counts as absent, so that no request which a gateway lets
//! through can fail here. What is asked for, and by whom, is decided elsewhere.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};

/// A gateway's request.
pub(crate) struct Event<'e> {
    gateway: Gateway,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    event: &'e Value,
}

/// Who sent the event, as far as the shape of the answer depends on it.
enum Gateway {
    /// API Gateway, REST API.
    Rest,
    /// API Gateway, HTTP API; and function URLs.
    Http,
    /// An Application Load Balancer, whose target group takes several values of a header or one.
    LoadBalancer { many_values: bool },
}

/// The body is not what the event says of it.
pub(crate) struct NotBase64;

impl<'e> Event<'e> {
    /// The request in this event; none where it is from no gateway.
    pub(crate) fn read(event: &'e Value) -> Option<Self> {
        let gateway = if event.pointer("/requestContext/elb").is_some() {
            Gateway::LoadBalancer { many_values: event["multiValueHeaders"].is_object() }
        } else if event.pointer("/requestContext/http").is_some() {
            Gateway::Http
        } else {
            Gateway::Rest
        };
        let method = match gateway {
            Gateway::Http => event.pointer("/requestContext/http/method"),
            Gateway::Rest | Gateway::LoadBalancer { .. } => event.get("httpMethod"),
        };
        let method = Method::from_bytes(method?.as_str()?.as_bytes()).ok()?;
        Some(Self { gateway, method, headers: headers(event), event })
    }

    /// The path that was asked for, as it may have to be read: as it came; without the stage, which a gateway puts in front;
    /// without the rest of a custom domain's base path, where the gateway's own route says what is behind it.
    pub(crate) fn paths(&self) -> impl Iterator<Item = Cow<'e, str>> {
        let path = self.text(match self.gateway {
            Gateway::Http => "/rawPath",
            Gateway::Rest | Gateway::LoadBalancer { .. } => "/path",
        });
        let without_stage = path.zip(self.text("/requestContext/stage")).and_then(|(path, stage)| {
            let rest = path.strip_prefix('/')?.strip_prefix(stage)?;
            rest.starts_with('/').then_some(rest)
        });
        [path, without_stage].into_iter().flatten().map(Cow::Borrowed).chain(self.routed())
    }

    /// The path by the route that the gateway chose: `/orders`, or `/{proxy+}` with what it stands for.
    fn routed(&self) -> Option<Cow<'e, str>> {
        let route = match self.gateway {
            Gateway::Rest => self.text("/resource")?,
            Gateway::Http => self.text("/routeKey")?.split_once(' ')?.1,
            Gateway::LoadBalancer { .. } => return None,
        };
        let Some((before, _)) = route.split_once("{proxy+}") else { return Some(Cow::Borrowed(route)) };
        self.text("/pathParameters/proxy").map(|proxy| Cow::Owned(format!("{before}{proxy}")))
    }

    /// The body's bytes.
    pub(crate) fn body(&self) -> Result<Cow<'e, [u8]>, NotBase64> {
        let body = self.text("/body").unwrap_or_default().as_bytes();
        if self.event["isBase64Encoded"] != true {
            return Ok(Cow::Borrowed(body));
        }
        BASE64_STANDARD.decode(body).map(Cow::Owned).map_err(|_| NotBase64)
    }

    /// What the gateway makes its answer of.
    pub(crate) fn answer(&self, status: StatusCode, headers: &HeaderMap, body: &str) -> Value {
        let mut answer = json!({ "statusCode": status.as_u16(), "body": body, "isBase64Encoded": false });
        match self.gateway {
            Gateway::Rest => answer["multiValueHeaders"] = many_values(headers),
            Gateway::Http => answer["headers"] = one_value(headers),
            Gateway::LoadBalancer { many_values: true } => answer["multiValueHeaders"] = many_values(headers),
            Gateway::LoadBalancer { many_values: false } => answer["headers"] = one_value(headers),
        }
        if let Gateway::LoadBalancer { .. } = self.gateway {
            answer["statusDescription"] = json!(status.to_string());
        }
        answer
    }

    fn text(&self, pointer: &str) -> Option<&'e str> {
        self.event.pointer(pointer).and_then(Value::as_str)
    }
}

/// Gateways give headers with one value each, with all of them, or both. What no header can be is left out.
fn headers(event: &Value) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, values) in event["multiValueHeaders"].as_object().into_iter().flatten() {
        for value in values.as_array().into_iter().flatten() {
            if let Some((name, value)) = header(name, value) {
                headers.append(name, value);
            }
        }
    }
    for (name, value) in event["headers"].as_object().into_iter().flatten() {
        if let Some((name, value)) = header(name, value) {
            headers.entry(name).or_insert(value);
        }
    }
    headers
}

fn header(name: &str, value: &Value) -> Option<(HeaderName, HeaderValue)> {
    // Gateways take a value for UTF-8; as bytes, it need not be ASCII.
    Some((name.parse().ok()?, HeaderValue::from_bytes(value.as_str()?.as_bytes()).ok()?))
}

fn one_value(headers: &HeaderMap) -> Value {
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect::<Map<_, _>>().into()
}

fn many_values(headers: &HeaderMap) -> Value {
    let all = |name: &HeaderName| headers.get_all(name).iter().map(text).collect::<Value>();
    headers.keys().map(|name| (name.to_string(), all(name))).collect::<Map<_, _>>().into()
}

fn text(value: &HeaderValue) -> Value {
    String::from_utf8_lossy(value.as_bytes()).into()
}
