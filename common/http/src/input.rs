//! Extractors for body, path, query and headers.
//!
//! These extractors never fail; they hold a result that the handler takes after authentication. So an unauthenticated
//! caller gets 401 and no other information, and one place that knows the request's ids handles all failures.

use std::time::Duration;

use async_trait::async_trait;
use common_contract::values::Object;
use common_contract::{Detail, Failure, codes};
use dropshot::{
    ApiEndpointBodyContentType, Body, ExclusiveExtractor, ExtractorMetadata, Header, HttpError, Path, Query,
    RequestContext, ServerContext, SharedExtractor, TypedBody,
};
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use crate::headers::at_most_one;
use crate::invalid::{invalid_input, quote};

/// JSON body of a request.
#[derive(Debug)]
pub struct JsonBody<T>(Result<T, Failure>);

/// Query parameters of a request. A parameter with an empty value counts as absent.
#[derive(Debug)]
pub struct QueryParams<T>(Result<T, Failure>);

/// `{id}` segment of a request's path.
#[derive(Debug)]
pub struct PathId<T>(Result<T, Failure>);

/// Request headers described by `H`.
#[derive(Debug)]
pub struct Headers<H: FromHeaders>(Result<H::Value, Failure>);

/// Description of an operation's request headers, and their parser.
pub trait FromHeaders {
    /// Parsed headers.
    type Value: Send + Sync;

    /// Parses the headers.
    fn from_headers(headers: &HeaderMap) -> Result<Self::Value, Failure>;
}

impl<T> JsonBody<T> {
    /// Returns the body, or the failure that describes why it is invalid.
    pub fn checked(self) -> Result<T, Failure> {
        self.0
    }
}

impl<T> QueryParams<T> {
    /// Returns the parameters, or the failure that describes why they are invalid.
    pub fn checked(self) -> Result<T, Failure> {
        self.0
    }
}

impl<T> PathId<T> {
    /// Returns the id, or the failure that describes why it is invalid.
    pub fn checked(self) -> Result<T, Failure> {
        self.0
    }
}

impl<H: FromHeaders> Headers<H> {
    /// Returns the parsed headers, or the failure that describes why they are invalid.
    pub fn checked(self) -> Result<H::Value, Failure> {
        self.0
    }
}

#[async_trait]
impl<T: DeserializeOwned + JsonSchema + Send + Sync + 'static> ExclusiveExtractor for JsonBody<T> {
    async fn from_request<C: ServerContext>(
        rqctx: &RequestContext<C>,
        request: hyper::Request<Body>,
    ) -> Result<Self, HttpError> {
        let limit = rqctx.request_body_max_bytes();
        Ok(Self(match expect_json(rqctx.request.headers()) {
            Ok(()) => read_body(request.into_body(), limit).await.and_then(|bytes| parse_json(&bytes)),
            Err(failure) => Err(failure),
        }))
    }

    fn metadata(content_type: ApiEndpointBodyContentType) -> ExtractorMetadata {
        <TypedBody<T> as ExclusiveExtractor>::metadata(content_type)
    }
}

#[async_trait]
impl<T: DeserializeOwned + JsonSchema + Send + Sync + 'static> SharedExtractor for QueryParams<T> {
    async fn from_request<C: ServerContext>(rqctx: &RequestContext<C>) -> Result<Self, HttpError> {
        Ok(Self(query_params(rqctx.request.uri().query().unwrap_or_default())))
    }

    fn metadata(content_type: ApiEndpointBodyContentType) -> ExtractorMetadata {
        <Query<T> as SharedExtractor>::metadata(content_type)
    }
}

#[derive(Deserialize, JsonSchema)]
struct IdSegment<T> {
    /// ID of the resource.
    id: T,
}

#[async_trait]
impl<T> SharedExtractor for PathId<T>
where
    T: std::str::FromStr<Err = &'static str> + DeserializeOwned + JsonSchema + Send + Sync + 'static,
{
    async fn from_request<C: ServerContext>(rqctx: &RequestContext<C>) -> Result<Self, HttpError> {
        let path = <Path<IdSegment<String>> as SharedExtractor>::from_request(rqctx).await?;
        let id = path.into_inner().id;
        let invalid = |problem| Failure::invalid_field("id", format!("{problem}, got {}", quote(&id)));
        Ok(Self(id.parse().map_err(invalid)))
    }

    fn metadata(content_type: ApiEndpointBodyContentType) -> ExtractorMetadata {
        <Path<IdSegment<T>> as SharedExtractor>::metadata(content_type)
    }
}

#[async_trait]
impl<H: FromHeaders + DeserializeOwned + JsonSchema + Send + Sync + 'static> SharedExtractor for Headers<H> {
    async fn from_request<C: ServerContext>(rqctx: &RequestContext<C>) -> Result<Self, HttpError> {
        Ok(Self(H::from_headers(rqctx.request.headers())))
    }

    fn metadata(content_type: ApiEndpointBodyContentType) -> ExtractorMetadata {
        <Header<H> as SharedExtractor>::metadata(content_type)
    }
}

/// Parses a complete body as one JSON document, and checks its content type and size.
///
/// # Errors
///
/// A failure that describes the problem and names the field, if the problem is in one field.
pub fn json_body<T: DeserializeOwned + JsonSchema>(
    headers: &HeaderMap,
    body: &[u8],
    limit: usize,
) -> Result<T, Failure> {
    expect_json(headers)?;
    if body.len() > limit { Err(too_large(limit)) } else { parse_json(body) }
}

/// Parses exactly one JSON document, without trailing data.
fn parse_json<T: DeserializeOwned + JsonSchema>(bytes: &[u8]) -> Result<T, Failure> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (path, error) = (error.path().clone(), error.into_inner());
        let input = serde_json::from_slice::<Value>(bytes).ok();
        let message = error.to_string();
        let problem = message.rsplit_once(" at line ").map_or(&*message, |(problem, _)| problem);
        match input {
            input if error.is_data() => invalid_input::<T>(&path, problem, input.as_ref()),
            // serde_json reports some values of a wrong type as malformed JSON.
            Some(input) => invalid_input::<T>(&path, "", Some(&input)),
            None => not_json(&error),
        }
    })?;
    json.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

/// Parses a query string. A parameter with an empty value counts as absent.
///
/// # Errors
///
/// A failure that describes the problem and names the parameter.
pub fn query_params<T: DeserializeOwned + JsonSchema>(query: &str) -> Result<T, Failure> {
    let given: Vec<_> =
        query.split('&').filter(|pair| pair.split_once('=').is_some_and(|(_, value)| !value.is_empty())).collect();
    let given = given.join("&");
    // The parser would insert replacement characters and so accept a different text.
    if percent_encoding::percent_decode_str(&given).decode_utf8().is_err() {
        return Err(Failure::new(codes::INVALID_REQUEST, "the query string is not UTF-8"));
    }
    let pairs = || form_urlencoded::parse(given.as_bytes());
    serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs())).map_err(|error| {
        let values = pairs().map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())));
        invalid_input::<T>(error.path(), &error.inner().to_string(), Some(&Value::Object(values.collect())))
    })
}

/// Checks that the content type is JSON. A missing one is accepted, because existing clients omit it.
fn expect_json(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(value) = at_most_one(headers, &header::CONTENT_TYPE)? else {
        return Ok(());
    };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        let problem = format!("expected application/json, got {}", quote(essence));
        Err(Failure::new(codes::UNSUPPORTED_MEDIA_TYPE, format!("Content-Type: {problem}"))
            .with(Detail::field("Content-Type", problem)))
    }
}

/// Maximum time to receive a body, so that slow senders do not occupy connections.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

async fn read_body(body: Body, limit: usize) -> Result<bytes::Bytes, Failure> {
    let Ok(result) = timeout(BODY_TIMEOUT, Limited::new(body, limit).collect()).await else {
        return Err(Failure::new(codes::REQUEST_TIMEOUT, "the body did not arrive within 10 seconds"));
    };
    match result {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Err(error) => {
            Err(Failure::new(codes::INVALID_REQUEST, "the connection ended before the end of the body")
                .caused_by(error))
        }
    }
}

fn too_large(limit: usize) -> Failure {
    Failure::new(codes::PAYLOAD_TOO_LARGE, format!("the body is larger than {limit} bytes"))
}

fn not_json(error: &serde_json::Error) -> Failure {
    let message = error.to_string();
    let problem = match message {
        _ if error.is_eof() => "it ends too early",
        message if message.starts_with("number out of range") => "a number is too large",
        message if message.starts_with("recursion limit") => "it is nested too deeply",
        _ => "unexpected input",
    };
    let (line, column) = (error.line(), error.column());
    let message = format!("the body is not one JSON document: {problem} at line {line}, column {column}");
    Failure::new(codes::INVALID_REQUEST, message)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use futures::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;
    use common_contract::List;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only its deserialization is tested")]
        list: List<Inner, 0, 9>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its deserialization is tested")]
        qty: u8,
        #[expect(dead_code, reason = "only its deserialization is tested")]
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    enum Kind {
        /// The documentation gives each variant a schema of its own.
        Whole,
        /// Another one.
        Part,
    }

    fn field(json: &str) -> String {
        let failure = parse_json::<Outer>(json.as_bytes()).expect_err("bad input");
        assert_eq!(failure.code, codes::INVALID_REQUEST);
        failure.details.first().and_then(|detail| detail.field.clone()).unwrap_or_default()
    }

    #[test]
    fn a_failure_names_the_field_by_its_full_path() {
        assert_eq!(field(r#"{}"#), "list");
        assert_eq!(field(r#"{"list":1}"#), "list");
        assert_eq!(field(r#"{"list":[],"list":[]}"#), "list");
        assert_eq!(field(r#"{"list":[],"more":1}"#), "more");
        assert_eq!(field(r#"{"list":[{"qty":1},{"qty":300}]}"#), "list[1].qty");
        assert_eq!(field(r#"{"list":[{}]}"#), "list[0].qty");
        assert_eq!(field(r#"{"list":[{"qty":1,"qty":2}]}"#), "list[0].qty");
        assert_eq!(field(r#"{"list":[{"qty":1,"x":2}]}"#), "list[0].x");
        assert_eq!(field(r#"{"list":[[1]]}"#), "list[0]");
    }

    #[test]
    fn a_failure_says_what_was_expected_and_given() {
        let message = |inner: &str| {
            let json = format!(r#"{{"list":[{{"qty":1}},{inner}]}}"#);
            parse_json::<Outer>(json.as_bytes()).expect_err("bad input").message.replace("list[1]", "item")
        };
        let qty = "item.qty: expected an integer from 0 to 9223372036854775807";
        assert_eq!(message(r#"{"qty":"1"}"#), format!(r#"{qty}, got "1""#));
        assert_eq!(message(r#"{"qty":null}"#), format!("{qty}, got null"));
        let long = "x".repeat(41);
        assert_eq!(message(&format!(r#"{{"qty":"{long}"}}"#)), format!(r#"{qty}, got "{}…""#, &long[..40]));
        let kind = "item.kind: expected one of Whole, Part";
        for (given, shown) in
            [(r#""whole""#, r#""whole""#), ("1", "1"), ("{}", "an object"), ("[1]", "an array of 1 item")]
        {
            assert_eq!(message(&format!(r#"{{"qty":1,"kind":{given}}}"#)), format!("{kind}, got {shown}"));
        }
        assert_eq!(
            message(r#"{"kind":"Part"}"#),
            "item.qty: is missing, expected an integer from 0 to 9223372036854775807"
        );
        assert_eq!(message(r#"{"qty":1,"x":2}"#), "item.x: is unknown, expected one of kind, qty");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_in_time_is_refused() {
        let never = Body::wrap(StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>()));
        assert_eq!(read_body(never, 9).await.unwrap_err().code, codes::REQUEST_TIMEOUT);
        assert_eq!(read_body(Body::from("123456789".to_owned()), 9).await.unwrap(), "123456789");
        assert_eq!(read_body(Body::from("1234567890".to_owned()), 9).await.unwrap_err().code, codes::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn the_failure_of_malformed_json_names_no_field() {
        for json in ["", "{", "[]", "[[]]", r#"[[{"qty":1}]]"#, r#"{"list":[]}x"#, r#"{"list":[]}{}"#] {
            assert_eq!(field(json), "", "{json}");
        }
    }
}
