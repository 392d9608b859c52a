//! Rules for operations: name, summary, description, tag, security and responses.

use std::collections::BTreeSet;

use common_contract::document::REQUIRED_ROLE;
use openapi_document::{Document, Operation};
use serde_json::Value;

use super::Findings;

/// Verbs that an operation ID may end with.
const VERBS: [&str; 10] =
    ["abandon", "cancel", "confirm", "count", "create", "delete", "list", "lookup", "update", "view"];
/// Operation IDs that are exempt: an alias with another path, and an operation with two verbs.
const NAME_EXCEPTIONS: [&str; 2] = ["token_create_login", "order_create_and_confirm"];
/// Maximum length of a summary, in characters.
const MAX_SUMMARY: usize = 50;

pub(super) fn check(document: &Document, findings: &mut Findings) {
    let mut ids = BTreeSet::new();
    for operation in document.operations() {
        let id = operation.id();
        let mut check = |holds: bool, problem: &str| {
            if !holds {
                findings.push(format!("operation {id}: {problem}"));
            }
        };
        check(ids.insert(id), "another operation has this id: rename the method of the trait");
        documentation(document, operation, &mut check);
        security(document, operation, &mut check);
        responses(document, operation, &mut check);
    }
    codes(document, findings);
}

/// Requires a name, summary, description and tag that follow the style rules.
fn documentation(document: &Document, operation: Operation<'_>, check: &mut impl FnMut(bool, &str)) {
    let (id, verbs) = (operation.id(), VERBS.join(", "));
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let has_verb = id.rsplit_once('_').is_some_and(|(_, verb)| VERBS.contains(&verb));
    let is_named = id.split('_').all(is_word) && (has_verb || NAME_EXCEPTIONS.contains(&id));
    check(is_named, &format!("is not named noun_verb: rename the trait method, with one of the verbs {verbs}"));

    let summary = operation.value["summary"].as_str().unwrap_or_default();
    let is_imperative = summary.starts_with(char::is_uppercase) && !summary.ends_with('.');
    let problem = format!(
        "its summary is not a single imperative line of at most {MAX_SUMMARY} characters without a final period: change \
         the first line of the method's documentation"
    );
    check(is_imperative && summary.chars().count() <= MAX_SUMMARY, &problem);
    let is_described = operation.value["description"].as_str().is_some_and(|text| !text.is_empty());
    check(is_described, "has no description: add a second paragraph to the method's documentation");

    let tags = operation.value["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    check(tags.len() == 1, &format!("has {} tags: set exactly one in #[endpoint]", tags.len()));
    for tag in tags {
        let mut known = document.value()["tags"].as_array().into_iter().flatten();
        let is_known = known.any(|known| known["name"] == *tag && known["description"].is_string());
        check(is_known, &format!("its tag {tag} has no description: add it to tag_config of the trait"));
    }
}

fn security(document: &Document, operation: Operation<'_>, check: &mut impl FnMut(bool, &str)) {
    if !operation.value["security"].is_array() {
        return check(false, "has no security requirement: add it to CONTRACT.operations");
    }
    let takes_user_accounts = operation.schemes().any(|scheme| scheme == "operatorJwt");
    let has_role = operation.value[REQUIRED_ROLE].is_string();
    check(has_role || !takes_user_accounts, "has no required role: add it to CONTRACT.operations");
    check(takes_user_accounts || !has_role, "has a required role but does not accept tokens of user accounts");
    for scheme in operation.schemes() {
        let is_known = document.components("securitySchemes").any(|(known, _)| known == scheme);
        check(is_known, &format!("requires the undefined security scheme {scheme}"));
    }
}

/// Requires exactly one success response, and requires error responses to have the common error body.
fn responses(document: &Document, operation: Operation<'_>, check: &mut impl FnMut(bool, &str)) {
    let (successes, errors): (Vec<_>, Vec<_>) = operation.responses().partition(|(status, _)| status.starts_with('2'));
    check(
        successes.len() == 1,
        &format!("has {} success responses: generated clients support exactly one", successes.len()),
    );
    for (status, response) in errors {
        let response = document.resolve(response);
        let is_error = status.parse().is_ok_and(|status: u16| (400..600).contains(&status));
        check(is_error, &format!("{status} is not an error status: define errors in CONTRACT.operations"));
        let content = &response["content"]["application/json"];
        let has_codes =
            content["schema"].is_object() && content["examples"].as_object().is_some_and(|codes| !codes.is_empty());
        check(has_codes, &format!("{status} has no error codes: add them to CONTRACT.operations"));
        let is_correlated = !response["headers"]["X-Correlation-Id"].is_null();
        check(is_correlated, &format!("{status} has no header X-Correlation-Id, which every response must have"));
    }
}

/// Requires the error schema to list exactly the codes that operations return.
fn codes(document: &Document, findings: &mut Findings) {
    let listed: BTreeSet<_> = document.components("schemas").flat_map(|(_, schema)| listed(schema)).collect();
    let used: BTreeSet<_> = document
        .operations()
        .flat_map(Operation::responses)
        .flat_map(|(_, response)| document.resolve(response)["content"]["application/json"]["examples"].as_object())
        .flat_map(|examples| examples.keys().map(String::as_str))
        .collect();
    let unused = "no operation returns it: add it to CONTRACT.operations or remove it";
    findings.extend(listed.difference(&used).map(|code| format!("error code {code}: {unused}")));
    let unlisted = "is missing in the error schema: add it to the contract's codes";
    findings.extend(used.difference(&listed).map(|code| format!("error code {code}: {unlisted}")));
}

fn listed(schema: &Value) -> impl Iterator<Item = &str> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let lists = properties.filter_map(|(_, property)| property["x-extensible-enum"].as_array());
    lists.flatten().filter_map(Value::as_str)
}
