//! Typed request headers, each parsed separately.
//!
//! dropshot's header extractor parses all headers at once, and fails if any header, even an unrelated one, contains a
//! non-ASCII byte.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::Schema;
use serde::Deserialize;

use common_contract::values::text_schema;
use common_contract::{Failure, IdempotencyKey, IfMatch};

use crate::input::FromHeaders;
use crate::invalid::quote;

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
#[expect(dead_code, reason = "parsed separately; the fields only describe the headers in the OpenAPI document")]
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Keyed {
    /// Idempotency key: 1 to 255 visible ASCII characters. The key must be unique among the caller's requests to the
    /// same operation. If a request with this key has succeeded, a retry of the same request returns the stored
    /// response, and the request is not executed again. Responses are stored for 72 hours by default, and always for at
    /// least 24 hours. The key can also be sent in the `Idempotency-Key` header, with or without quotation marks around
    /// its value.
    #[serde(rename = "X-Idempotency-Key")]
    x_idempotency_key: Option<IdempotencyKey>,
}

/// Headers of an operation that changes a resource.
#[expect(dead_code, reason = "parsed separately; the fields only describe the headers in the OpenAPI document")]
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Conditional {
    /// Expected version of the resource: one `ETag` value, a comma-separated list of `ETag` values, or `*` for any
    /// version. If the current version does not match, the resource is not changed and the response has status 412.
    #[serde(rename = "If-Match")]
    if_match: Option<IfMatchHeader>,
}

/// Headers of an operation that changes a resource and accepts an idempotency key.
#[expect(dead_code, reason = "parsed separately; the fields only describe the headers in the OpenAPI document")]
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ConditionalKeyed {
    /// Idempotency key: 1 to 255 visible ASCII characters. The key must be unique among the caller's requests to the
    /// same operation. If a request with this key has succeeded, a retry of the same request returns the stored
    /// response, and the request is not executed again. Responses are stored for 72 hours by default, and always for at
    /// least 24 hours. The key can also be sent in the `Idempotency-Key` header, with or without quotation marks around
    /// its value.
    #[serde(rename = "X-Idempotency-Key")]
    x_idempotency_key: Option<IdempotencyKey>,
    /// Expected version of the resource: one `ETag` value, a comma-separated list of `ETag` values, or `*` for any
    /// version. If the current version does not match, the resource is not changed and the response has status 412.
    #[serde(rename = "If-Match")]
    if_match: Option<IfMatchHeader>,
}

/// Headers of an operation that changes a resource and requires an idempotency key.
#[expect(dead_code, reason = "parsed separately; the fields only describe the headers in the OpenAPI document")]
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ConditionalKeyRequired {
    /// Idempotency key: 1 to 255 visible ASCII characters. The key must be unique among the caller's requests to the
    /// same operation. If a request with this key has succeeded, a retry of the same request returns the stored
    /// response, and the request is not executed again. Responses are stored for 72 hours by default, and always for at
    /// least 24 hours. The key can also be sent in the `Idempotency-Key` header, with or without quotation marks around
    /// its value.
    #[serde(rename = "X-Idempotency-Key")]
    x_idempotency_key: IdempotencyKey,
    /// Expected version of the resource: one `ETag` value, a comma-separated list of `ETag` values, or `*` for any
    /// version. If the current version does not match, the resource is not changed and the response has status 412.
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
        let key = idempotency_key(headers)?.ok_or_else(|| {
            let problem = format!("is missing, expected 1 to {} visible ASCII characters", IdempotencyKey::MAX);
            Failure::invalid_field("X-Idempotency-Key", problem)
        })?;
        Ok((key, if_match(headers)?))
    }
}

/// Returns the idempotency key from either header. In the standard header, the key may be a quoted string.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Failure> {
    let own = key_under(headers, &X_IDEMPOTENCY_KEY)?;
    let standard = key_under(headers, &IDEMPOTENCY_KEY)?;
    match (own, standard) {
        (Some(own), Some(standard)) if own != standard => {
            Err(Failure::invalid_field("X-Idempotency-Key", "the Idempotency-Key header has a different value"))
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
        .map_err(|problem| Failure::invalid_field(display_name(name), format!("{problem}, got {}", quote(key))))
}

/// Returns the condition of all `If-Match` headers, which form one list (RFC 9110, 5.3).
fn if_match(headers: &HeaderMap) -> Result<Option<IfMatch>, Failure> {
    if !headers.contains_key(header::IF_MATCH) {
        return Ok(None);
    }
    let values = headers.get_all(header::IF_MATCH).iter().map(|value| text(value, &header::IF_MATCH));
    let list = values.collect::<Result<Vec<_>, _>>()?.join(",");
    if list.len() > IfMatch::MAX {
        let problem = format!("expected at most {} characters, got {}", IfMatch::MAX, list.len());
        return Err(Failure::invalid_field("If-Match", problem));
    }
    let condition = if list.trim() == "*" { Some(IfMatch::Any) } else { entity_tags(&list).map(IfMatch::Tags) };
    condition.map(Some).ok_or_else(|| {
        let problem = r#"expected entity tags such as "v3", separated by commas, or a single *"#;
        Failure::invalid_field("If-Match", format!("{problem}, got `{list}`"))
    })
}

/// Returns the strong entity tags of a list, whose elements may be empty (RFC 9110, 5.6.1). `None` if the list is
/// malformed or has no tag.
fn entity_tags(list: &str) -> Option<Vec<String>> {
    let skip_separators = |text: &str| text.len() - text.trim_start_matches([' ', '\t', ',']).len();
    let (mut tags, mut rest) = (Vec::new(), &list[skip_separators(list)..]);
    loop {
        let strong = rest.strip_prefix("W/").unwrap_or(rest);
        let (opaque, remainder) = strong.strip_prefix('"')?.split_once('"')?;
        if !opaque.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        if strong.len() == rest.len() {
            tags.push(format!("\"{opaque}\""));
        }
        let (separators, next) = remainder.split_at(skip_separators(remainder));
        rest = next;
        if rest.is_empty() {
            return Some(tags);
        }
        if !separators.contains(',') {
            return None;
        }
    }
}

/// Returns the text of a header that may be sent once only: several values are contradictory or redundant.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Failure> {
    at_most_one(headers, name)?.map(|value| text(value, name)).transpose()
}

/// Returns the value of a header that may be sent once only.
pub(crate) fn at_most_one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, Failure> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match values.count() {
        0 => Ok(first),
        more => {
            let problem = format!("expected one header of this name, got {}", more + 1);
            Err(Failure::invalid_field(display_name(name), problem))
        }
    }
}

fn text<'h>(value: &'h HeaderValue, name: &HeaderName) -> Result<&'h str, Failure> {
    value.to_str().map_err(|_| Failure::invalid_field(display_name(name), "expected visible ASCII characters"))
}

fn display_name(name: &HeaderName) -> &'static str {
    match name {
        name if *name == X_IDEMPOTENCY_KEY => "X-Idempotency-Key",
        name if *name == IDEMPOTENCY_KEY => "Idempotency-Key",
        name if *name == header::CONTENT_TYPE => "Content-Type",
        _ => "If-Match",
    }
}

#[cfg(test)]
mod tests {
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

    /// Returns whether these `If-Match` headers allow a change of version 7.
    fn allows(values: &[&[u8]]) -> Result<bool, String> {
        let pairs: Vec<_> = values.iter().map(|value| ("if-match", *value)).collect();
        let condition = if_match(&headers(&pairs)).map_err(|failure| failure.message)?;
        Ok(condition.expect("a condition").allows(7))
    }

    #[test]
    fn if_match_allows_only_the_listed_versions() {
        assert_eq!(if_match(&headers(&[])).unwrap(), None);
        for listed in [&b"*"[..], b"\"v7\"", b"\"v1\" , \"v7\"", b"\"a,b\",\"v7\"", b"W/\"v1\", \"v7\""] {
            assert_eq!(allows(&[listed]), Ok(true), "{listed:?}");
        }
        for other in [&b"\"v1\""[..], b"W/\"v7\"", b"\"7\"", b"\"\"", b"\"v+7\"", b"\"v07\""] {
            assert_eq!(allows(&[other]), Ok(false), "{other:?}");
        }
    }

    #[test]
    fn if_match_may_have_empty_elements_and_several_lines() {
        for list in [&b"\"v7\","[..], b",\"v7\"", b" , ,\"v1\",,\t\"v7\" , "] {
            assert_eq!(allows(&[list]), Ok(true), "{list:?}");
        }
        assert_eq!(allows(&[b"\"v1\"", b"\"v7\""]), Ok(true));
        assert_eq!(allows(&[b"\"v7\",", b"", b"\"v1\""]), Ok(true));
        assert_eq!(allows(&[b"\"v1\"", b"W/\"v7\""]), Ok(false));
    }

    #[test]
    fn malformed_if_match_is_an_error_that_shows_the_expected_form() {
        for malformed in [
            &[&b"v7"[..]][..],
            &[b""],
            &[b","],
            &[b"\"v7"],
            &[b"\"v7\" \"v8\""],
            &[b"\"v 7\""],
            &[b"w/\"v7\""],
            &[b"*,"],
            &[b"*, \"v7\""],
            &[b"*", b"*"],
            &[b"\"v7\"", b"*"],
        ] {
            let problem = allows(malformed).unwrap_err();
            assert!(problem.starts_with("If-Match: expected entity tags such as \"v3\","), "{malformed:?}: {problem}");
        }
        let long = format!("\"{}\"", "x".repeat(999));
        assert_eq!(allows(&[long.as_bytes()]), Err("If-Match: expected at most 1000 characters, got 1001".to_owned()));
        assert!(allows(&[b"\xff"]).is_err());
    }

    #[test]
    fn a_header_that_may_be_sent_once_says_so() {
        let problem = key(&[("idempotency-key", b"a"), ("idempotency-key", b"a")]).unwrap_err();
        assert_eq!(problem, "Idempotency-Key: expected one header of this name, got 2");
    }
}
