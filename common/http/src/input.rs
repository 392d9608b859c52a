//! Reading a request: body, path, query, headers.
//!
//! An extractor here never fails. It keeps what it found, and the handler takes it out after it has asked who is
//! calling: so a stranger is told 401 and nothing of what else is wrong, and every failure passes through one place
//! that knows the request's ids.

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
use tokio::time::timeout;

/// The JSON body of a request.
#[derive(Debug)]
pub struct JsonBody<T>(Result<T, Failure>);

/// The query string of a request. A parameter without a value counts as absent.
#[derive(Debug)]
pub struct QueryParams<T>(Result<T, Failure>);

/// The `{id}` in the path of a request.
#[derive(Debug)]
pub struct PathId<T>(Result<T, Failure>);

/// The headers of a request that `H` describes.
#[derive(Debug)]
pub struct Headers<H: FromHeaders>(Result<H::Value, Failure>);

/// Headers that mean something to an operation: described by the type, read into its value.
pub trait FromHeaders {
    /// What the headers say.
    type Value: Send + Sync;

    /// Reads them.
    fn from_headers(headers: &HeaderMap) -> Result<Self::Value, Failure>;
}

impl<T> JsonBody<T> {
    /// The body, or what is wrong with it.
    pub fn checked(self) -> Result<T, Failure> {
        self.0
    }
}

impl<T> QueryParams<T> {
    /// The parameters, or what is wrong with them.
    pub fn checked(self) -> Result<T, Failure> {
        self.0
    }
}

impl<T> PathId<T> {
    /// The id, or what is wrong with it.
    pub fn checked(self) -> Result<T, Failure> {
        self.0
    }
}

impl<H: FromHeaders> Headers<H> {
    /// What the headers say, or what is wrong with them.
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
            Ok(()) => read(request.into_body(), limit).await.and_then(|bytes| parse_json(&bytes)),
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
        Ok(Self(path.into_inner().id.parse().map_err(|problem| Failure::invalid_field("id", problem))))
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

/// A body that came as a whole: the right type, the right size, one JSON document.
///
/// # Errors
///
/// What is wrong with it, by the name of the field where it is one field's fault.
pub fn json_body<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8], limit: usize) -> Result<T, Failure> {
    expect_json(headers)?;
    if body.len() > limit { Err(too_large(limit)) } else { parse_json(body) }
}

/// Reads one JSON document, all of it and nothing after it.
fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        if error.is_data() { invalid_data(&path, &error.to_string()) } else { not_json(&error) }
    })?;
    json.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

/// The parameters of a query string. One without a value counts as absent.
///
/// # Errors
///
/// What is wrong with it, by the name of the parameter.
pub fn query_params<T: DeserializeOwned>(query: &str) -> Result<T, Failure> {
    let given: Vec<_> =
        query.split('&').filter(|pair| pair.split_once('=').is_some_and(|(_, value)| !value.is_empty())).collect();
    let given = given.join("&");
    // The parser would put replacement characters in, and so take one text for another.
    if percent_encoding::percent_decode_str(&given).decode_utf8().is_err() {
        return Err(Failure::new(codes::INVALID_REQUEST, "the query string is not UTF-8"));
    }
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(given.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let path = error.path().to_string();
        let problem = error.into_inner().to_string();
        // What the standard library says of a text that is no number.
        let no_number = problem.contains("digit found in string") || problem.contains("integer from empty string");
        invalid_data(
            &path,
            if no_number || problem.starts_with("number too ") { "expected an integer" } else { &problem },
        )
    })
}

/// A missing content type counts as JSON: clients of other implementations leave it out.
fn expect_json(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(Failure::new(codes::UNSUPPORTED_MEDIA_TYPE, "Content-Type: expected application/json")
            .with(Detail::field("Content-Type", "expected application/json")))
    }
}

/// Whoever sends slower than this keeps a connection for nothing.
const BODY_WITHIN: Duration = Duration::from_secs(10);

async fn read(body: Body, limit: usize) -> Result<bytes::Bytes, Failure> {
    let Ok(read) = timeout(BODY_WITHIN, Limited::new(body, limit).collect()).await else {
        return Err(Failure::new(codes::REQUEST_TIMEOUT, "the body did not arrive within 10 seconds"));
    };
    match read {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Err(error) => Err(Failure::new(codes::INVALID_REQUEST, "the body ended early").caused_by(error)),
    }
}

fn too_large(limit: usize) -> Failure {
    Failure::new(codes::PAYLOAD_TOO_LARGE, format!("the body is larger than {limit} bytes"))
}

fn not_json(error: &serde_json::Error) -> Failure {
    Failure::new(codes::INVALID_REQUEST, format!("the body is not one JSON document: {error}"))
}

/// Turns serde's words into a field and what is wrong with it. serde names a missing, an unknown or a repeated field
/// only in its message, and the path then ends at the object around it.
fn invalid_data(path: &str, message: &str) -> Failure {
    let problem = message.rsplit_once(" at line ").map_or(message, |(problem, _)| problem);
    let path = if path == "." || path == "?" { "" } else { path };
    for (prefix, problem) in [
        ("missing field `", "is missing"),
        ("unknown field `", "is not known"),
        ("duplicate field `", "is given twice"),
    ] {
        if let Some((name, _)) = message.strip_prefix(prefix).and_then(|rest| rest.split_once('`')) {
            let around = path.strip_suffix(name).map_or(path, |around| around.trim_end_matches('.'));
            let field = if around.is_empty() { name.to_owned() } else { format!("{around}.{name}") };
            return Failure::invalid_field(field, problem);
        }
    }
    match path {
        "" => Failure::new(codes::INVALID_REQUEST, problem),
        field => Failure::invalid_field(field, problem),
    }
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

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only reading it is tested")]
        list: List<Inner, 0, 9>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only reading it is tested")]
        qty: u8,
    }

    fn field(json: &str) -> String {
        let failure = parse_json::<Outer>(json.as_bytes()).expect_err("bad input");
        assert_eq!(failure.code, codes::INVALID_REQUEST);
        failure.details.first().and_then(|detail| detail.field.clone()).unwrap_or_default()
    }

    #[test]
    fn a_failure_names_the_field_by_its_whole_path() {
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

    #[tokio::test(start_paused = true)]
    async fn a_body_is_waited_for_no_longer_than_its_time() {
        let never = Body::wrap(StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>()));
        assert_eq!(read(never, 9).await.unwrap_err().code, codes::REQUEST_TIMEOUT);
        assert_eq!(read(Body::from("123456789".to_owned()), 9).await.unwrap(), "123456789");
        assert_eq!(read(Body::from("1234567890".to_owned()), 9).await.unwrap_err().code, codes::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn what_is_not_one_json_document_names_no_field() {
        for json in ["", "{", "[]", "[[]]", r#"[[{"qty":1}]]"#, r#"{"list":[]}x"#, r#"{"list":[]}{}"#] {
            assert_eq!(field(json), "", "{json}");
        }
    }
}
