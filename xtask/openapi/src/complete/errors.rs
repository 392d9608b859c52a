//! How operations fail. dropshot says `4XX` and `5XX`, alike for all; here each operation gets the statuses that it
//! answers with, and each status the codes.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use common_contract::{Contract, ErrorCode, Operation, Role, Security, codes};
use serde_json::{Value, json};

use super::{members, reference};

/// The responses to which operations refer: by name, the codes that each is sent with.
pub(super) type Failures = BTreeMap<String, Vec<ErrorCode>>;

/// Lets the operation refer to one response for each status it fails with, and notes those responses down.
pub(super) fn document(operation: &mut Value, described: &Operation, failures: &mut Failures) -> Result<()> {
    let by_status = by_status(operation, described);
    let responses = operation["responses"].as_object_mut().context("an operation without responses")?;
    responses.remove("4XX");
    responses.remove("5XX");
    for (status, codes) in by_status {
        let name = name(&codes);
        responses.insert(status.to_string(), reference("responses", &name));
        let known = failures.entry(name).or_insert_with(|| codes.clone());
        ensure!(*known == codes, "two responses would have the same name: {known:?} and {codes:?}");
    }
    Ok(())
}

/// Defines the responses to which the operations refer.
pub(super) fn define(components: &mut Value, contract: &Contract, failures: Failures) -> Result<()> {
    explain(components, contract);
    // dropshot's own: the one error shape of the service.
    let (_, shape) = members(components, "responses").next().context("no error response")?;
    let shape = shape["content"]["application/json"].take();
    components["responses"] = failures.into_iter().map(|(name, codes)| (name, response(&codes, &shape))).collect();
    Ok(())
}

/// Says in the error body what each code means, and under which status it is sent.
fn explain(components: &mut Value, contract: &Contract) {
    let meanings = contract.codes.iter().copied().flatten();
    let meanings: Vec<_> =
        meanings.map(|code| format!("- `{}` ({}): {}", code.name, code.status, code.meaning)).collect();
    let description = format!("A stable code. More may be added.\n\n{}", meanings.join("\n"));
    let properties = members(components, "schemas").flat_map(|(_, schema)| members(schema, "properties"));
    for (_, list) in properties.filter(|(_, property)| property.get("x-extensible-enum").is_some()) {
        list["description"] = description.as_str().into();
    }
}

/// What follows from what the operation takes and from whom, and what the contract says of it.
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
    let takes = |name: &str| parameters().any(|parameter| parameter["name"] == name);
    let has_body = operation.get("requestBody").is_some();
    let rules: [(bool, &[ErrorCode]); 8] = [
        (true, &[codes::INTERNAL]),
        (has_body || parameters().next().is_some(), &[codes::INVALID_REQUEST]),
        (has_body, &[codes::REQUEST_TIMEOUT, codes::PAYLOAD_TOO_LARGE, codes::UNSUPPORTED_MEDIA_TYPE]),
        (security != Security::Anyone, &[codes::UNAUTHORIZED]),
        (refuses_known_callers(security), &[codes::FORBIDDEN]),
        (takes("cursor"), &[codes::INVALID_CURSOR]),
        (takes("If-Match"), &[codes::PRECONDITION_FAILED]),
        (takes("X-Idempotency-Key"), codes::IDEMPOTENCY),
    ];
    rules.into_iter().filter(|(applies, _)| *applies).flat_map(|(_, codes)| codes).copied()
}

/// Of people and services, one kind is refused, or a person of a lower role.
fn refuses_known_callers(security: Security) -> bool {
    match security {
        Security::Anyone => false,
        Security::Role(_) | Security::Service => true,
        Security::RoleOrService(role) => role > Role::Viewer,
    }
}

/// `EmailTaken`; `UnavailableOrOutcomeUnknown` where a status has two codes. A code that says that something was not done
/// in time may be sent under another status as well.
fn name(codes: &[ErrorCode]) -> String {
    let pascal = |word: &str| word[..1].to_uppercase() + &word[1..];
    let names: Vec<String> = codes.iter().map(|code| code.name.split('_').map(pascal).collect()).collect();
    let in_time = if codes.iter().any(|code| code.status == 504) { "504" } else { "" };
    names.join("Or") + in_time
}

fn response(codes: &[ErrorCode], shape: &Value) -> Value {
    let lines: Vec<_> = codes.iter().map(|code| format!("`{}`: {}", code.name, code.meaning)).collect();
    let mut response = json!({ "description": lines.join("\n\n") });
    super::answers::refer_to_headers(&mut response);
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
