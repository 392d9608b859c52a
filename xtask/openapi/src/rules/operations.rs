//! Each operation is named, described and tagged alike, says who may call it, and says how it fails.

use std::collections::BTreeSet;

use common_contract::document::REQUIRED_ROLE;
use openapi_document::{Document, Operation};
use serde_json::Value;

use super::Findings;

/// What an operation may do. It stands in the operation's name behind what it is done to.
const VERBS: [&str; 10] =
    ["abandon", "cancel", "confirm", "count", "create", "delete", "list", "lookup", "update", "view"];
/// The name of one says by which path; the other does two things.
const NAMED_OTHERWISE: [&str; 2] = ["token_create_login", "order_create_and_confirm"];
/// A summary is a line in a list.
const LONGEST_SUMMARY: usize = 50;

pub(super) fn judge(document: &Document, findings: &mut Findings) {
    let mut ids = BTreeSet::new();
    for operation in document.operations() {
        let id = operation.id();
        let mut check = |is_kept: bool, problem: &str| {
            if !is_kept {
                findings.push(format!("operation {id}: {problem}"));
            }
        };
        check(ids.insert(id), "another operation has this id: rename the method of the trait");
        words(document, operation, &mut check);
        security(document, operation, &mut check);
        answers(document, operation, &mut check);
    }
    codes(document, findings);
}

fn words(document: &Document, operation: Operation<'_>, check: &mut impl FnMut(bool, &str)) {
    let (id, verbs) = (operation.id(), VERBS.join(", "));
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let has_verb = id.rsplit_once('_').is_some_and(|(_, verb)| VERBS.contains(&verb));
    let is_named = id.split('_').all(is_word) && (has_verb || NAMED_OTHERWISE.contains(&id));
    check(is_named, &format!("is not called noun_verb: name the method of the trait so, with one of {verbs}"));

    let summary = operation.value["summary"].as_str().unwrap_or_default();
    let is_imperative = summary.starts_with(char::is_uppercase) && !summary.ends_with('.');
    let problem = format!(
        "its summary is not one imperative line of at most {LONGEST_SUMMARY} characters without a full stop: it is the \
         first line of the method's documentation"
    );
    check(is_imperative && summary.chars().count() <= LONGEST_SUMMARY, &problem);
    let is_described = operation.value["description"].as_str().is_some_and(|text| !text.is_empty());
    check(is_described, "has no description: it is the second paragraph of the method's documentation");

    let tags = operation.value["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    check(tags.len() == 1, &format!("has {} tags: give it exactly one in #[endpoint]", tags.len()));
    for tag in tags {
        let mut known = document.value()["tags"].as_array().into_iter().flatten();
        let is_known = known.any(|known| known["name"] == *tag && known["description"].is_string());
        check(is_known, &format!("its tag {tag} is not described: add it to tag_config of the trait"));
    }
}

fn security(document: &Document, operation: Operation<'_>, check: &mut impl FnMut(bool, &str)) {
    if !operation.value["security"].is_array() {
        return check(false, "does not say who may call it: list it in CONTRACT.operations");
    }
    let takes_people = operation.schemes().any(|scheme| scheme == "operatorJwt");
    let has_role = operation.value[REQUIRED_ROLE].is_string();
    check(has_role || !takes_people, "does not say which role it needs: name it in CONTRACT.operations");
    check(takes_people || !has_role, "says that it needs a role, but takes nobody who has one");
    for scheme in operation.schemes() {
        let is_known = document.components("securitySchemes").any(|(known, _)| known == scheme);
        check(is_known, &format!("asks for {scheme}, which is no security scheme of the document"));
    }
}

/// One good answer; every failure with the one error body.
fn answers(document: &Document, operation: Operation<'_>, check: &mut impl FnMut(bool, &str)) {
    let (good, bad): (Vec<_>, Vec<_>) = operation.responses().partition(|(status, _)| status.starts_with('2'));
    check(good.len() == 1, &format!("has {} good answers: generated clients know one", good.len()));
    for (status, response) in bad {
        let response = document.resolve(response);
        let is_failure = status.parse().is_ok_and(|status: u16| (400..600).contains(&status));
        check(is_failure, &format!("{status} is no status of a failure: errors come from CONTRACT.operations"));
        let content = &response["content"]["application/json"];
        let has_codes =
            content["schema"].is_object() && content["examples"].as_object().is_some_and(|codes| !codes.is_empty());
        check(
            has_codes,
            &format!("{status} does not say which codes it is sent with: list them in CONTRACT.operations"),
        );
        let is_correlated = !response["headers"]["X-Correlation-Id"].is_null();
        check(is_correlated, &format!("{status} does not mention X-Correlation-Id, which every answer has"));
    }
}

/// The list of codes in the error body, and the codes that the operations answer with, are the same.
fn codes(document: &Document, findings: &mut Findings) {
    let listed: BTreeSet<_> = document.components("schemas").flat_map(|(_, schema)| listed(schema)).collect();
    let used: BTreeSet<_> = document
        .operations()
        .flat_map(Operation::responses)
        .flat_map(|(_, response)| document.resolve(response)["content"]["application/json"]["examples"].as_object())
        .flat_map(|examples| examples.keys().map(String::as_str))
        .collect();
    let unused = "no operation answers with it: name it in CONTRACT.operations or drop it";
    findings.extend(listed.difference(&used).map(|code| format!("error code {code}: {unused}")));
    let unlisted = "is missing in the list of codes: add it to the contract's codes";
    findings.extend(used.difference(&listed).map(|code| format!("error code {code}: {unlisted}")));
}

fn listed(schema: &Value) -> impl Iterator<Item = &str> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let lists = properties.filter_map(|(_, property)| property["x-extensible-enum"].as_array());
    lists.flatten().filter_map(Value::as_str)
}
