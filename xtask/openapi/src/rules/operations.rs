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
        let mut find = |problem: String| findings.push(format!("operation {id}: {problem}"));
        if !ids.insert(id) {
            find("another operation has this id: rename the method of the trait".to_owned());
        }
        name(id, &mut find);
        words(&operation, &mut find);
        tag(document, &operation, &mut find);
        security(document, &operation, &mut find);
        answers(document, &operation, &mut find);
    }
    codes(document, findings);
}

fn name(id: &str, find: &mut impl FnMut(String)) {
    let words: Vec<_> = id.split('_').collect();
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let has_verb = words.iter().skip(1).next_back().is_some_and(|word| VERBS.contains(word));
    let is_named = has_verb || NAMED_OTHERWISE.contains(&id);
    if !words.iter().all(is_word) || !is_named {
        find(format!("is not called noun_verb: name the method of the trait so, with one of {}", VERBS.join(", ")));
    }
}

fn words(operation: &Operation<'_>, find: &mut impl FnMut(String)) {
    let summary = operation.value["summary"].as_str().unwrap_or_default();
    let is_imperative = summary.chars().next().is_some_and(char::is_uppercase) && !summary.ends_with('.');
    if !is_imperative || summary.chars().count() > LONGEST_SUMMARY {
        find(format!(
            "its summary is not one imperative line of at most {LONGEST_SUMMARY} characters without a full stop: it is \
             the first line of the method's documentation"
        ));
    }
    if operation.value["description"].as_str().is_none_or(str::is_empty) {
        find("has no description: it is the second paragraph of the method's documentation".to_owned());
    }
}

fn tag(document: &Document, operation: &Operation<'_>, find: &mut impl FnMut(String)) {
    let tags = operation.value["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    let [tag] = tags else {
        return find(format!("has {} tags: give it exactly one in #[endpoint]", tags.len()));
    };
    let mut known = document.value()["tags"].as_array().into_iter().flatten();
    if !known.any(|known| known["name"] == *tag && known["description"].is_string()) {
        find(format!("its tag {tag} is not described: add it to tag_config of the trait"));
    }
}

fn security(document: &Document, operation: &Operation<'_>, find: &mut impl FnMut(String)) {
    if !operation.value["security"].is_array() {
        return find("does not say who may call it: list it in CONTRACT.operations".to_owned());
    }
    let takes_people = operation.schemes().any(|scheme| scheme == "operatorJwt");
    match (takes_people, operation.value[REQUIRED_ROLE].is_string()) {
        (true, false) => find("does not say which role it needs: name it in CONTRACT.operations".to_owned()),
        (false, true) => find("says that it needs a role, but takes nobody who has one".to_owned()),
        _ => {}
    }
    for scheme in operation.schemes() {
        if document.components("securitySchemes").all(|(known, _)| known != scheme) {
            find(format!("asks for {scheme}, which is no security scheme of the document"));
        }
    }
}

/// One good answer; every failure with the one error body.
fn answers(document: &Document, operation: &Operation<'_>, find: &mut impl FnMut(String)) {
    let good = operation.responses().filter(|(status, _)| status.starts_with('2')).count();
    if good != 1 {
        find(format!("has {good} good answers: generated clients know one"));
    }
    for (status, response) in operation.responses().filter(|(status, _)| !status.starts_with('2')) {
        let response = document.resolve(response);
        let is_known = status.parse().is_ok_and(|status: u16| (400..600).contains(&status));
        if !is_known {
            find(format!("{status} is no status of a failure: errors come from CONTRACT.operations"));
        }
        let content = &response["content"]["application/json"];
        if !content["schema"].is_object() || content["examples"].as_object().is_none_or(serde_json::Map::is_empty) {
            find(format!("{status} does not say which codes it is sent with: list them in CONTRACT.operations"));
        }
        if response["headers"]["X-Correlation-Id"].is_null() {
            find(format!("{status} does not mention X-Correlation-Id, which every answer has"));
        }
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
    for code in listed.difference(&used) {
        findings.push(format!(
            "error code {code}: no operation answers with it: name it in CONTRACT.operations or drop it"
        ));
    }
    for code in used.difference(&listed) {
        findings.push(format!("error code {code}: is missing in the list of codes: add it to the contract's codes"));
    }
}

fn listed(schema: &Value) -> impl Iterator<Item = &str> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let lists = properties.filter_map(|(_, property)| property["x-extensible-enum"].as_array());
    lists.flatten().filter_map(Value::as_str)
}
