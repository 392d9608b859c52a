//! What is done to a gateway's event before lambda_http reads it.
//!
//! lambda_http knows the shapes of all gateways, but panics on some requests that they let through, and takes no event with
//! others. So the body is read here, and of the rest only that is left which some operation looks at, as far as lambda_http
//! can take it. What is asked for, and by whom, is decided elsewhere.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderName, HeaderValue, header};
use lambda_http::request::LambdaRequest;
use serde_json::Value;

/// In bytes. Three times as long, as percent-encoding can make it, a path still is a URI; none of an operation is nearly as long.
const MAX_PATH: usize = 16 * 1024;

/// The body is not what the event says of it.
pub(crate) struct NotBase64;

pub(crate) type Body = Result<Vec<u8>, NotBase64>;

/// The request in an event, and its body.
///
/// # Errors
///
/// Where the event is from no gateway.
pub(crate) fn read(mut event: Value) -> serde_json::Result<(LambdaRequest, Body)> {
    let body = body(&event);
    retain(&mut event, |name, value| match name {
        "headers" | "multiValueHeaders" => retain(value, is_header),
        // Behind anything but a slash it would become a part of the host.
        "path" | "rawPath" => value.as_str().is_some_and(|path| path.starts_with('/') && path.len() <= MAX_PATH),
        "requestContext" => retain(value, |name, _| {
            matches!(name, "elb" | "http" | "httpMethod" | "resourcePath" | "routeKey" | "stage")
        }),
        _ => matches!(name, "httpMethod" | "pathParameters"),
    });
    Ok((serde_json::from_value(event)?, body))
}

fn body(event: &Value) -> Body {
    let body = event["body"].as_str().unwrap_or_default();
    if event["isBase64Encoded"] == true { BASE64_STANDARD.decode(body).map_err(|_| NotBase64) } else { Ok(body.into()) }
}

/// Whether there is an object. Leaves those of its fields that are wanted.
fn retain(object: &mut Value, mut wanted: impl FnMut(&str, &mut Value) -> bool) -> bool {
    object.as_object_mut().map(|fields| fields.retain(|name, value| wanted(name, value))).is_some()
}

/// Whether lambda_http can take it: it makes a URI of a host, and no header of what none can be. Leaves those values that can be
/// taken.
fn is_header(name: &str, value: &mut Value) -> bool {
    let can_be_taken = |value: &Value| value.as_str().is_some_and(|value| HeaderValue::from_str(value).is_ok());
    let has_value = match value {
        Value::Array(values) => {
            values.retain(can_be_taken);
            !values.is_empty()
        }
        value => can_be_taken(value),
    };
    has_value && name.parse::<HeaderName>().is_ok_and(|name| name != header::HOST)
}

#[cfg(test)]
mod tests {
    use lambda_http::{Request, RequestExt};
    use serde_json::json;

    use super::*;

    const GATEWAYS: [&str; 5] = [
        include_str!("../events/api-gateway-http.json"),
        include_str!("../events/api-gateway-rest.json"),
        include_str!("../events/function-url.json"),
        include_str!("../events/load-balancer.json"),
        include_str!("../events/load-balancer-multi-value.json"),
    ];

    /// What lambda_http chokes on in one of its shapes, or might.
    fn hostile() -> Vec<(&'static str, Value)> {
        let ascii: String = (0..=0x7f).map(char::from).collect();
        let odd = json!({ "host": "a b", "Host": ["<"], "x-forwarded-proto": "?", "x-name": "é", "x y": "1", "x-none": null, "x-line": "a\nb", "x-some": ["\n", null, 1], "": "" });
        let queries = json!({ "<": "{", "é": "\u{0}", "none": null });
        let many_queries = json!({ "<": ["{", "é"], "none": null });
        vec![
            ("/body", json!("****")),
            ("/body", json!(null)),
            ("/isBase64Encoded", json!(true)),
            ("/isBase64Encoded", json!(null)),
            ("/headers", json!(null)),
            ("/headers", odd.clone()),
            ("/multiValueHeaders", json!(null)),
            ("/multiValueHeaders", odd),
            ("/cookies", json!(["é", null])),
            ("/rawQueryString", json!("a=<b>&é#\u{0}")),
            ("/queryStringParameters", json!(null)),
            ("/queryStringParameters", queries),
            ("/multiValueQueryStringParameters", json!(null)),
            ("/multiValueQueryStringParameters", many_queries),
            ("/pathParameters", json!(null)),
            ("/stageVariables", json!({ "none": null })),
            ("/requestContext/domainName", json!("a b<")),
            ("/requestContext/authorizer", json!(["none"])),
            ("/requestContext/identity", json!(null)),
            ("/requestContext/authentication", json!({ "clientCert": null })),
            ("/requestContext/stage", json!("<é ?#")),
            ("/requestContext/stage", json!(null)),
            ("/path", json!(null)),
            ("/path", json!(":99999999")),
            ("/path", json!("[")),
            ("/path", json!("%")),
            ("/path", json!(format!("/é{ascii}"))),
            ("/path", json!("/é".repeat(MAX_PATH / 3))),
            ("/path", json!("/".repeat(70_000))),
        ]
    }

    fn put(event: &mut Value, pointer: &str, value: &Value) {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let name = if name == "path" && event.get("rawPath").is_some() { "rawPath" } else { name };
        event.pointer_mut(parent).unwrap()[name] = value.clone();
    }

    #[test]
    fn whatever_a_gateway_lets_through_becomes_a_request() {
        for gateway in GATEWAYS {
            let plain: Value = serde_json::from_str(gateway).unwrap();
            let mut everything = plain.clone();
            for (pointer, value) in hostile() {
                let mut event = plain.clone();
                put(&mut event, pointer, &value);
                put(&mut everything, pointer, &value);
                for event in [event, everything.clone()] {
                    let (request, _) = read(event).unwrap_or_else(|error| panic!("{pointer} {value}: {error}"));
                    assert_eq!(Request::from(request).method(), "POST", "{pointer} {value}");
                }
            }
        }
    }

    #[test]
    fn what_can_be_taken_stays() {
        for gateway in GATEWAYS {
            let mut event: Value = serde_json::from_str(gateway).unwrap();
            let headers = if event["headers"].is_object() { "headers" } else { "multiValueHeaders" };
            event[headers]["x-bad"] = json!("a\nb");
            event[headers]["x-good"] = json!("é");
            event[headers]["x-both"] = json!(["\n", "good"]);
            let (request, body) = read(event).unwrap();
            let request = Request::from(request);
            let header = |name: &str| request.headers().get(name).map(HeaderValue::as_bytes);
            let found = [header("x-bad"), header("x-good"), header("x-both"), header("content-type")];
            assert_eq!(found, [None, Some("é".as_bytes()), Some(b"good"), Some(b"application/json")]);
            assert!(request.raw_http_path().ends_with("/orchestrator/create-and-confirm-order"));
            assert!(body.is_ok_and(|body| body.starts_with(b"{")));
        }
    }
}
