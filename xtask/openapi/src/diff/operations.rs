//! The differences of two documents, operation by operation: which of them belong together, what they are called and
//! who may call them.
//!
//! What an operation exchanges with its callers is compared by `exchange`.

use std::collections::BTreeSet;

use common_contract::Role;
use common_contract::document::REQUIRED_ROLE;
use serde_json::Value;

use super::Pair;
use super::document::{Document, Operation, is_method, items, members, object};
use super::exchange;
use super::finding::Finding;
use super::same::{keys, unknown_members};

/// What differs in the document itself, or in one operation.
#[derive(Debug)]
pub(super) struct Differences {
    pub(super) of: String,
    pub(super) found: Vec<Finding>,
}

/// Only what differs.
pub(super) fn compare(pair: Pair<'_>) -> Vec<Differences> {
    let (before, now) = (pair.old.operations(), pair.new.operations());
    let mut all = vec![Differences { of: "the document".to_owned(), found: document(pair) }];
    let mut kept = BTreeSet::new();
    for old in &before {
        let found = match successor(old, &before, &now) {
            Some((place, new)) => {
                kept.insert(place);
                operation(pair, *old, *new)
            }
            None => vec![Finding::breaks("operation", "it is gone")],
        };
        all.push(Differences { of: heading(old), found });
    }
    let added = now.iter().enumerate().filter(|(place, _)| !kept.contains(place));
    all.extend(added.map(|(_, new)| added_operation(new)));
    all.retain(|differences| !differences.found.is_empty());
    all
}

fn added_operation(new: &Operation<'_>) -> Differences {
    Differences { of: heading(new), found: vec![Finding::ok("operation", "it is new")] }
}

fn place(operation: &Operation<'_>) -> String {
    format!("{} {}", operation.method.to_uppercase(), operation.path)
}

fn heading(operation: &Operation<'_>) -> String {
    format!("{} ({})", place(operation), operation.id())
}

/// The operation at the same place; else one with the same id that was nowhere before.
fn successor<'n, 'a>(
    old: &Operation<'_>,
    before: &[Operation<'_>],
    now: &'n [Operation<'a>],
) -> Option<(usize, &'n Operation<'a>)> {
    let here = now.iter().enumerate().find(|(_, new)| place(new) == place(old));
    here.or_else(|| {
        let is_new = |new: &Operation<'_>| !before.iter().any(|old| place(old) == place(new));
        now.iter().enumerate().find(|(_, new)| !old.id().is_empty() && new.id() == old.id() && is_new(new))
    })
}

fn document(pair: Pair<'_>) -> Vec<Finding> {
    const KNOWN: &[&str] = &["components", "info", "openapi", "paths", "security", "servers"];
    let mut found = unknown_members(pair, "document", KNOWN, pair.old.members(), pair.new.members());
    found.extend(specification(pair));
    found.extend(servers(pair));
    found
}

/// Patches of the specification do not change what the words mean.
fn specification(pair: Pair<'_>) -> Option<Finding> {
    let full = |document: &Document| document.root()["openapi"].as_str().unwrap_or_default().to_owned();
    let (before, now) = (full(pair.old), full(pair.new));
    let minor = |full: &str| full.splitn(3, '.').take(2).map(str::to_owned).collect::<Vec<_>>();
    let what = format!("OpenAPI {now}, was {before}");
    match before == now {
        true => None,
        false if minor(&before) == minor(&now) => Some(Finding::ok("openapi", what)),
        false => Some(Finding::breaks("openapi", what)),
    }
}

/// Servers are told apart by their URLs; without any, the document's own place is the server.
fn servers(pair: Pair<'_>) -> Vec<Finding> {
    const SITE: &str = "servers";
    let here = Value::Array(vec![serde_json::json!({ "url": "/" })]);
    let (before, now) = (pair.old.root().get(SITE).unwrap_or(&here), pair.new.root().get(SITE).unwrap_or(&here));
    let named = |list, url: &Value| items(Some(list)).find(|server| server["url"] == *url);
    let mut found = Vec::new();
    for old in items(Some(before)) {
        let url = &old["url"];
        found.extend(match named(now, url) {
            Some(new) => unknown_members(pair, SITE, &["url"], object(old), object(new)),
            None => vec![Finding::breaks(SITE, format!("the server {url} is gone"))],
        });
    }
    let added = items(Some(now)).map(|server| &server["url"]).filter(|url| named(before, url).is_none());
    found.extend(added.map(|url| Finding::ok(SITE, format!("the server {url} is new"))));
    found
}

fn operation(pair: Pair<'_>, old: Operation<'_>, new: Operation<'_>) -> Vec<Finding> {
    const KNOWN: &[&str] = &["operationId", "parameters", "requestBody", "responses", "security", REQUIRED_ROLE];
    let mut found = Vec::new();
    if place(&old) != place(&new) {
        found.push(Finding::breaks("operation", format!("it moved to {}", place(&new))));
    }
    if old.id() != new.id() {
        let what = format!("it is {} now: the method of generated clients is renamed", new.id());
        found.push(Finding::breaks("operationId", what));
    }
    found.extend(security(pair, old, new));
    found.extend(role(pair, old, new));
    found.extend(exchange::compare(pair, old, new));
    found.extend(unknown_members(pair, "operation", KNOWN, object(old.value), object(new.value)));
    let known_of_item = |key: &str| is_method(key) || key == "parameters";
    let (old, new) = (object(old.item), object(new.item));
    let of_item: Vec<_> = keys(old, new).filter(|key| known_of_item(key)).collect();
    found.extend(unknown_members(pair, "path", &of_item, old, new));
    found
}

/// What a caller may show: every scheme of it at once, each with its scopes.
type Alternative<'a> = Vec<(&'a str, Vec<&'a Value>)>;

fn security(pair: Pair<'_>, old: Operation<'_>, new: Operation<'_>) -> Vec<Finding> {
    const SITE: &str = "security";
    let (before, now) = (alternatives(pair.old, old), alternatives(pair.new, new));
    let mut found = Vec::new();
    for lost in before.iter().filter(|shown| !now.iter().any(|asked| suffices(shown, asked))) {
        found.push(Finding::breaks(SITE, format!("{} may not call it any more", caller(lost))));
    }
    for gained in now.iter().filter(|shown| !before.iter().any(|asked| suffices(shown, asked))) {
        found.push(Finding::ok(SITE, format!("{} may call it, too", caller(gained))));
    }
    let shown = |all: &[Alternative<'_>], name: &str| all.iter().flatten().any(|(other, _)| *other == name);
    let schemes: BTreeSet<_> =
        before.iter().flatten().map(|(name, _)| *name).filter(|name| shown(&now, name)).collect();
    found.extend(schemes.into_iter().filter_map(|name| scheme(pair, name)));
    found
}

/// Where a document names no role, those whom it names are operators: so it was before there were others.
fn role(pair: Pair<'_>, old: Operation<'_>, new: Operation<'_>) -> Option<Finding> {
    let (before, now) = (old.value.get(REQUIRED_ROLE), new.value.get(REQUIRED_ROLE));
    let named = |role: &Value| Role::ALL.into_iter().find(|known| role == known.as_str());
    let had = before.map_or(Some(Role::Operator), named);
    let finding = match now {
        _ if before == now => return None,
        None if alternatives(pair.new, new).contains(&Vec::new()) => Finding::ok(REQUIRED_ROLE, "no role is needed"),
        None => Finding::breaks(REQUIRED_ROLE, "which role is needed is not said any more"),
        Some(now) => match (had, named(now)) {
            (Some(had), Some(needed)) if needed <= had => {
                Finding::ok(REQUIRED_ROLE, format!("the role {needed} is enough, was {had}"))
            }
            _ => Finding::breaks(REQUIRED_ROLE, format!("the role {now} is needed now")),
        },
    };
    Some(finding)
}

/// No alternative in the document is one without credentials.
fn alternatives<'a>(document: &'a Document, operation: Operation<'a>) -> Vec<Alternative<'a>> {
    let said = operation.value.get("security").or(document.root().get("security"));
    let alternative = |said: &'a Value| members(Some(said)).map(|(name, scopes)| (name, items(Some(scopes)).collect()));
    let all: Vec<_> = items(said).map(|said| alternative(said).collect()).collect();
    if all.is_empty() { vec![Vec::new()] } else { all }
}

fn suffices(shown: &Alternative<'_>, asked: &Alternative<'_>) -> bool {
    asked.iter().all(|(scheme, scopes)| {
        let found = shown.iter().find(|(other, _)| other == scheme);
        found.is_some_and(|(_, shown)| scopes.iter().all(|scope| shown.contains(scope)))
    })
}

fn caller(shown: &Alternative<'_>) -> String {
    let schemes: Vec<_> = shown
        .iter()
        .map(|(name, scopes)| scopes.iter().fold((*name).to_owned(), |said, scope| format!("{said} {scope}")))
        .collect();
    if schemes.is_empty() {
        "a caller without credentials".to_owned()
    } else {
        format!("a caller with {}", schemes.join(" and "))
    }
}

/// How callers show what they have. The form of a bearer token is a hint for people.
fn scheme(pair: Pair<'_>, name: &str) -> Option<Finding> {
    let said = |document: &Document| {
        let scheme = document.root()["components"]["securitySchemes"].get(name)?;
        let all = members(Some(document.resolve(scheme)));
        let counts = all.filter(|(key, _)| !["bearerFormat", "description"].contains(key));
        Some(Value::Object(counts.map(|(key, value)| (key.to_owned(), value.clone())).collect()))
    };
    let (before, now) = (said(pair.old), said(pair.new));
    (before != now).then(|| Finding::breaks(format!("security/{name}"), "callers show this in another way now"))
}
