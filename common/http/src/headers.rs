//! Typed request headers, read one by one.
//!
//! dropshot's header extractor reads all headers at once and fails for a non-ASCII byte in any of them, even in an
//! unrelated one.

use http::{HeaderMap, HeaderName, header};
use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::Schema;
use serde::Deserialize;

use common_contract::values::text_schema;
use common_contract::{Failure, IdempotencyKey, IfMatch};

use crate::input::FromHeaders;

const X_IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("x-idempotency-key");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Schema of `If-Match` for the OpenAPI document.
#[derive(Debug, Deserialize)]
struct IfMatchHeader;

impl JsonSchema for IfMatchHeader {
    fn is_referenceable() -> bool {
        false
    }

    fn schema_name() -> String {
        "IfMatch".to_owned()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_schema(1..=IfMatch::MAX, None, r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#)
    }
}

/// Headers of an operation that accepts an idempotency key.
#[expect(dead_code, reason = "read one by one; the fields only describe the headers in the OpenAPI document")]
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Keyed {
    /// Idempotency key: 1 to 255 visible ASCII characters, unique per caller and operation. Retrying the same request
    /// with the same key returns the stored response of the first success instead of executing it again. Responses are
    /// stored for at least 24 hours, by default 72. The header `Idempotency-Key` is accepted as well, with or without
    /// quotes around its value.
    #[serde(rename = "X-Idempotency-Key")]
    x_idempotency_key: Option<IdempotencyKey>,
}

/// Headers of an operation that changes a resource.
#[expect(dead_code, reason = "read one by one; the fields only describe the headers in the OpenAPI document")]
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Conditional {
    /// `ETag` of the version to change, a list of them, or `*` for any version. If the current version does not match,
    /// the resource is not changed and 412 is returned.
    #[serde(rename = "If-Match")]
    if_match: Option<IfMatchHeader>,
}

/// Headers of an operation that changes a resource and accepts an idempotency key.
#[expect(dead_code, reason = "read one by one; the fields only describe the headers in the OpenAPI document")]
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ConditionalKeyed {
    /// Idempotency key: 1 to 255 visible ASCII characters, unique per caller and operation. Retrying the same request
    /// with the same key returns the stored response of the first success instead of executing it again. Responses are
    /// stored for at least 24 hours, by default 72. The header `Idempotency-Key` is accepted as well, with or without
    /// quotes around its value.
    #[serde(rename = "X-Idempotency-Key")]
    x_idempotency_key: Option<IdempotencyKey>,
    /// `ETag` of the version to change, a list of them, or `*` for any version. If the current version does not match,
    /// the resource is not changed and 412 is returned.
    #[serde(rename = "If-Match")]
    if_match: Option<IfMatchHeader>,
}

/// Headers of an operation that changes a resource and requires an idempotency key.
#[expect(dead_code, reason = "read one by one; the fields only describe the headers in the OpenAPI document")]
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ConditionalKeyRequired {
    /// Idempotency key: 1 to 255 visible ASCII characters, unique per caller and operation. Retrying the same request
    /// with the same key returns the stored response of the first success instead of executing it again. Responses are
    /// stored for at least 24 hours, by default 72. The header `Idempotency-Key` is accepted as well, with or without
    /// quotes around its value.
    #[serde(rename = "X-Idempotency-Key")]
    x_idempotency_key: IdempotencyKey,
    /// `ETag` of the version to change, a list of them, or `*` for any version. If the current version does not match,
    /// the resource is not changed and 412 is returned.
    #[serde(rename = "If-Match")]
    if_match: Option<IfMatchHeader>,
}

impl FromHeaders for Keyed {
    type Value = Option<IdempotencyKey>;

    fn from_headers(headers: &HeaderMap) -> Result<Self::Value, Failure> {
        idempotency_key(headers)
    }
}

impl FromHeaders for Conditional {
    type Value = Option<IfMatch>;

    fn from_headers(headers: &HeaderMap) -> Result<Self::Value, Failure> {
        if_match(headers)
    }
}

impl FromHeaders for ConditionalKeyed {
    type Value = (Option<IdempotencyKey>, Option<IfMatch>);

    fn from_headers(headers: &HeaderMap) -> Result<Self::Value, Failure> {
        Ok((idempotency_key(headers)?, if_match(headers)?))
    }
}

impl FromHeaders for ConditionalKeyRequired {
    type Value = (IdempotencyKey, Option<IfMatch>);

    fn from_headers(headers: &HeaderMap) -> Result<Self::Value, Failure> {
        let key = idempotency_key(headers)?.ok_or_else(|| Failure::invalid_field("X-Idempotency-Key", "is missing"))?;
        Ok((key, if_match(headers)?))
    }
}

/// Returns the key of either header. The standard header may hold it as a quoted string.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Failure> {
    let own = key_under(headers, &X_IDEMPOTENCY_KEY)?;
    let standard = key_under(headers, &IDEMPOTENCY_KEY)?;
    match (own, standard) {
        (Some(own), Some(standard)) if own != standard => {
            Err(Failure::invalid_field("X-Idempotency-Key", "Idempotency-Key was sent too, with a different value"))
        }
        (own, standard) => Ok(own.or(standard)),
    }
}

fn key_under(headers: &HeaderMap, name: &HeaderName) -> Result<Option<IdempotencyKey>, Failure> {
    let Some(value) = single(headers, name)? else {
        return Ok(None);
    };
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let key = quoted.filter(|_| *name == IDEMPOTENCY_KEY).unwrap_or(value);
    IdempotencyKey::try_from(key.to_owned())
        .map(Some)
        .map_err(|problem| Failure::invalid_field(display_name(name), problem))
}

fn if_match(headers: &HeaderMap) -> Result<Option<IfMatch>, Failure> {
    let Some(value) = single(headers, &header::IF_MATCH)? else { return Ok(None) };
    let fits = value.len() <= IfMatch::MAX;
    match (value.trim(), entity_tags(value)) {
        ("*", _) => Ok(Some(IfMatch::Any)),
        (_, Some(tags)) if fits => Ok(Some(IfMatch::Tags(tags))),
        _ => Err(Failure::invalid_field("If-Match", r#"expected entity tags such as "v3", or *"#)),
    }
}

/// Returns the strong entity tags of a list; `None` if the list is malformed.
fn entity_tags(list: &str) -> Option<Vec<String>> {
    let (mut tags, mut rest) = (Vec::new(), list.trim());
    loop {
        let strong = rest.strip_prefix("W/").unwrap_or(rest);
        let (opaque, remainder) = strong.strip_prefix('"')?.split_once('"')?;
        if strong.len() == rest.len() {
            tags.push(format!("\"{opaque}\""));
        }
        rest = remainder.trim_start();
        if rest.is_empty() {
            return Some(tags);
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

/// Returns the header's single value. A repeated header is an error: the values are contradictory or redundant.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Failure> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Failure::invalid_field(display_name(name), "sent more than once"));
    }
    value
        .to_str()
        .map(Some)
        .map_err(|_| Failure::invalid_field(display_name(name), "expected visible ASCII characters"))
}

fn display_name(name: &HeaderName) -> &'static str {
    match name {
        name if *name == X_IDEMPOTENCY_KEY => "X-Idempotency-Key",
        name if *name == IDEMPOTENCY_KEY => "Idempotency-Key",
        _ => "If-Match",
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &[u8])| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value).expect("a valid header value"))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            headers.append(name, value);
        }
        headers
    }

    fn key(pairs: &[(&'static str, &[u8])]) -> Result<Option<String>, String> {
        let key = idempotency_key(&headers(pairs)).map_err(|failure| failure.message)?;
        Ok(key.map(|key| key.as_str().to_owned()))
    }

    #[test]
    fn a_key_is_accepted_in_either_header_and_may_be_quoted_in_the_standard_one() {
        assert_eq!(key(&[]), Ok(None));
        assert_eq!(key(&[("x-idempotency-key", b"abc")]), Ok(Some("abc".to_owned())));
        assert_eq!(key(&[("idempotency-key", b"abc")]), Ok(Some("abc".to_owned())));
        assert_eq!(key(&[("idempotency-key", b"\"abc\"")]), Ok(Some("abc".to_owned())));
        assert_eq!(key(&[("x-idempotency-key", b"\"abc\"")]), Ok(Some("\"abc\"".to_owned())));
        assert_eq!(key(&[("idempotency-key", b"\"abc\""), ("x-idempotency-key", b"abc")]), Ok(Some("abc".to_owned())));
    }

    #[test]
    fn the_error_of_an_invalid_key_names_its_header() {
        let long = [b'x'; 256];
        for bad in [&b""[..], b"a b", b"a\tb", "café".as_bytes(), b"\xff", &long] {
            let problem = key(&[("x-idempotency-key", bad)]).unwrap_err();
            assert!(problem.starts_with("X-Idempotency-Key: "), "{problem}");
        }
        assert!(key(&[("x-idempotency-key", &long[..255])]).is_ok());
        assert!(key(&[("idempotency-key", b"\"\"")]).unwrap_err().starts_with("Idempotency-Key: "));
        assert!(key(&[("x-idempotency-key", b"a"), ("x-idempotency-key", b"a")]).is_err());
        assert!(key(&[("x-idempotency-key", b"a"), ("idempotency-key", b"b")]).is_err());
    }

    #[test]
    fn if_match_allows_only_the_listed_versions() {
        let condition = |value: &[u8]| if_match(&headers(&[("if-match", value)])).map_err(|failure| failure.message);
        assert!(condition(b"*").unwrap().unwrap().allows(7));
        assert!(condition(b"\"v7\"").unwrap().unwrap().allows(7));
        assert!(condition(b"\"v1\" , \"v7\"").unwrap().unwrap().allows(7));
        assert!(condition(b"\"a,b\",\"v7\"").unwrap().unwrap().allows(7));
        for other in [&b"\"v1\""[..], b"W/\"v7\"", b"\"7\"", b"\"\"", b"\"v+7\"", b"\"v07\""] {
            assert!(!condition(other).unwrap().unwrap().allows(7), "{other:?}");
        }
        let long = format!("\"{}\"", "x".repeat(1000));
        for bad in [&b"v7"[..], b"", b"\"v7", b"\"v7\" \"v8\"", b"\"v7\",", b"\xff", long.as_bytes()] {
            assert!(condition(bad).is_err(), "{bad:?}");
        }
    }
}
