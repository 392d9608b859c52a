//! Error responses: replaces dropshot's generic `4XX` and `5XX` by the statuses and error codes of each operation.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use common_contract::{Contract, ErrorCode, Operation, Role, Security, codes};
use serde_json::{Value, json};

use super::{members, reference};

/// Error codes of each shared error response, by response name.
pub(super) type Failures = BTreeMap<String, Vec<ErrorCode>>;

/// Adds a reference to an error response for each error status of the operation, and collects these responses.
pub(super) fn document(operation: &mut Value, described: &Operation, failures: &mut Failures) -> Result<()> {
    let by_status = by_status(operation, described);
    let responses = operation["responses"].as_object_mut().context("an operation without responses")?;
    responses.remove("4XX");
    responses.remove("5XX");
    for (status, codes) in by_status {
        let name = name(&codes);
        responses.insert(status.to_string(), reference("responses", &name));
        let known = failures.entry(name).or_insert_with(|| codes.clone());
        ensure!(*known == codes, "two error responses have the same name: {known:?} and {codes:?}");
    }
    Ok(())
}

/// Defines the error responses to which operations refer.
pub(super) fn define(components: &mut Value, contract: &Contract, failures: Failures) -> Result<()> {
    add_meanings(components, contract);
    // dropshot's generic response uses the error schema of the service.
    let (_, shape) = members(components, "responses").next().context("no error response")?;
    let shape = shape["content"]["application/json"].take();
    components["responses"] = failures.into_iter().map(|(name, codes)| (name, response(&codes, &shape))).collect();
    Ok(())
}

/// Documents the meaning and status of each code in the error schema.
fn add_meanings(components: &mut Value, contract: &Contract) {
    let meanings = contract.codes.iter().copied().flatten();
    let lines = Vec::from_iter(meanings.map(|code| format!("- `{}` ({}): {}", code.name, code.status, code.meaning)));
    let meanings = lines.join("\n");
    let description =
        format!("Stable error code. New codes can be added, so clients must accept unknown codes.\n\n{meanings}");
    let properties = members(components, "schemas").flat_map(|(_, schema)| members(schema, "properties"));
    for (_, list) in properties.filter(|(_, property)| property.get("x-extensible-enum").is_some()) {
        list["description"] = description.as_str().into();
    }
}

/// Returns an operation's error codes by status: the implied codes and those in its contract.
fn by_status(operation: &Value, described: &Operation) -> BTreeMap<u16, Vec<ErrorCode>> {
    let own = described.errors.iter().copied().flatten().copied();
    let mut by_status = BTreeMap::<_, Vec<_>>::new();
    for code in implied(operation, described.security).chain(own) {
        let codes = by_status.entry(code.status).or_default();
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    by_status
}

fn implied(operation: &Value, security: Security) -> impl Iterator<Item = ErrorCode> {
    let parameters = || operation["parameters"].as_array().into_iter().flatten();
    let has_parameter = |name: &str| parameters().any(|parameter| parameter["name"] == name);
    let has_body = operation.get("requestBody").is_some();
    let rules: [(bool, &[ErrorCode]); 8] = [
        (true, &[codes::INTERNAL]),
        (has_body || parameters().next().is_some(), &[codes::INVALID_REQUEST]),
        (has_body, &[codes::REQUEST_TIMEOUT, codes::PAYLOAD_TOO_LARGE, codes::UNSUPPORTED_MEDIA_TYPE]),
        (security != Security::Anyone, &[codes::UNAUTHORIZED]),
        (may_be_forbidden(security), &[codes::FORBIDDEN]),
        (has_parameter("cursor"), &[codes::INVALID_CURSOR]),
        (has_parameter("If-Match"), &[codes::PRECONDITION_FAILED]),
        (has_parameter("X-Idempotency-Key"), codes::IDEMPOTENCY),
    ];
    rules.into_iter().filter(|(applies, _)| *applies).flat_map(|(_, codes)| codes).copied()
}

/// Whether some authenticated callers are not permitted: services, user accounts, or user accounts with a lower role.
fn may_be_forbidden(security: Security) -> bool {
    match security {
        Security::Anyone => false,
        Security::Role(_) | Security::Service => true,
        Security::RoleOrService(role) => role > Role::Viewer,
    }
}

/// Returns the name of a response, such as `EmailTaken`, or `UnavailableOrOutcomeUnknown` for two codes. The suffix
/// `504` distinguishes responses whose codes are also used with another status.
fn name(codes: &[ErrorCode]) -> String {
    let pascal = |word: &str| word[..1].to_uppercase() + &word[1..];
    let names: Vec<String> = codes.iter().map(|code| code.name.split('_').map(pascal).collect()).collect();
    let suffix = if codes.iter().any(|code| code.status == 504) { "504" } else { "" };
    names.join("Or") + suffix
}

fn response(codes: &[ErrorCode], shape: &Value) -> Value {
    let lines: Vec<_> = codes.iter().map(|code| format!("`{}`: {}", code.name, code.meaning)).collect();
    let mut response = json!({ "description": lines.join("\n\n") });
    super::successes::add_shared_headers(&mut response);
    if codes.contains(&codes::UNAUTHORIZED) {
        response["headers"]["WWW-Authenticate"] = reference("headers", "WWW-Authenticate");
    }
    if codes.iter().any(|code| matches!(code.status, 429 | 502..=504) || *code == codes::IDEMPOTENCY_IN_PROGRESS) {
        response["headers"]["Retry-After"] = reference("headers", "Retry-After");
    }
    let content = &mut response["content"]["application/json"];
    *content = shape.clone();
    for code in codes {
        content["examples"][code.name] = json!({ "summary": code.meaning });
    }
    response
}
