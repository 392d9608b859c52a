//! Comparison of documents: matches operations, and compares their names, locations and callers.
//!
//! `exchange` compares the parameters, bodies and responses of an operation.

use std::collections::{BTreeMap, BTreeSet};

use common_contract::Role;
use common_contract::document::REQUIRED_ROLE;
use serde_json::{Value, json};

use super::both::Both;
use super::document::{Document, Operation, is_method, items, members, object};
use super::finding::{Comparison, Finding};

/// Differences in the document itself or in one operation.
#[derive(Debug)]
pub(super) struct Differences {
    pub(super) of: String,
    pub(super) found: Vec<Finding>,
}

/// Returns the differences, omitting unchanged operations.
pub(super) fn compare(documents: Both<&Document>) -> Vec<Differences> {
    let Both { old: before, new: mut now } = documents.map(|document| document.operations().collect::<Vec<_>>());
    let places: BTreeSet<_> = before.iter().map(place).collect();
    let differences = |of: String, compare: &dyn Fn(&mut Comparison<'_>)| {
        let mut comparison = Comparison { documents, found: Vec::new() };
        compare(&mut comparison);
        Differences { of, found: comparison.found }
    };
    let mut all = vec![differences("the document".to_owned(), &|comparison| comparison.document())];
    for old in &before {
        // Match the operation with the same path and method, or else an operation with the same ID at a new location.
        let here = now.iter().position(|new| place(new) == place(old));
        let moved = |new: &Operation<'_>| !old.id().is_empty() && new.id() == old.id() && !places.contains(&place(new));
        let new = here.or_else(|| now.iter().position(moved)).map(|found| now.remove(found));
        all.push(differences(heading(old), &|comparison| match new {
            Some(new) => comparison.operation(Both { old: *old, new }),
            None => comparison.breaks("operation", "removed"),
        }));
    }
    all.extend(now.iter().map(|new| differences(heading(new), &|comparison| comparison.ok("operation", "added"))));
    all.retain(|differences| !differences.found.is_empty());
    all
}

fn place(operation: &Operation<'_>) -> String {
    format!("{} {}", operation.method.to_uppercase(), operation.path)
}

fn heading(operation: &Operation<'_>) -> String {
    format!("{} ({})", place(operation), operation.id())
}

/// Alternative in a security requirement: schemes that are required together, and their scopes.
type Alternative<'a> = Vec<(&'a str, Vec<&'a Value>)>;

impl Comparison<'_> {
    fn document(&mut self) {
        const KNOWN: &[&str] = &["components", "info", "openapi", "paths", "security", "servers"];
        self.unknown_members("document", KNOWN, self.documents.map(|document| object(document.value())));
        // Patch versions of the OpenAPI specification do not change its meaning.
        let versions = self.documents.map(|document| document.value()["openapi"].as_str().unwrap_or_default());
        let minor = versions.map(|version| version.rsplit_once('.').map(|(minor, _)| minor));
        if versions.differ() {
            self.add(minor.differ(), "openapi", format!("OpenAPI {}, was {}", versions.new, versions.old));
        }
        // Servers are identified by their URLs. The default is the location of the document.
        let here = json!([{ "url": "/" }]);
        let servers = self.documents.map(|document| {
            let servers = items(document.value().get("servers").or(Some(&here)));
            servers.map(|server| (server["url"].to_string(), object(server))).collect::<BTreeMap<_, _>>()
        });
        for (url, servers) in servers.parts() {
            match servers.kept() {
                Some(servers) => self.unknown_members("servers", &["url"], servers),
                None if servers.new.is_some() => self.ok("servers", format!("the server {url} was added")),
                None => self.breaks("servers", format!("the server {url} was removed")),
            }
        }
    }

    fn operation(&mut self, operations: Both<Operation<'_>>) {
        const KNOWN: &[&str] = &["operationId", "parameters", "requestBody", "responses", "security", REQUIRED_ROLE];
        let new = operations.new;
        if operations.map(|operation| place(&operation)).differ() {
            self.breaks("operation", format!("moved to {}", place(&new)));
        }
        if operations.map(Operation::id).differ() {
            let what = format!("renamed to {}: the method of generated clients is renamed", new.id());
            self.breaks("operationId", what);
        }
        let callers = self.documents.zip(operations).map(alternatives);
        self.security(&callers);
        self.role(operations, callers.new.contains(&Vec::new()));
        self.exchange(operations);
        self.unknown_members("operation", KNOWN, operations.map(|operation| object(operation.value)));
        let items = operations.map(|operation| object(operation.item));
        let known: Vec<_> = items.members().into_keys().filter(|key| is_method(key) || *key == "parameters").collect();
        self.unknown_members("path", &known, items);
    }

    fn security(&mut self, Both { old: before, new: now }: &Both<Vec<Alternative<'_>>>) {
        for lost in before.iter().filter(|given| !now.iter().any(|required| suffices(given, required))) {
            self.breaks("security", format!("{} may no longer call it", caller(lost)));
        }
        for gained in now.iter().filter(|given| !before.iter().any(|required| suffices(given, required))) {
            self.ok("security", format!("{} may now call it", caller(gained)));
        }
        let schemes = |all: &[Alternative<'_>]| all.iter().flatten().map(|(name, _)| (*name).to_owned()).collect();
        let (before, now): (BTreeSet<_>, BTreeSet<_>) = (schemes(before), schemes(now));
        for name in before.intersection(&now) {
            if self.documents.map(|document| scheme(document, name)).differ() {
                self.breaks(format!("security/{name}"), "the security scheme changed");
            }
        }
    }

    /// Documents that predate roles specify no required role. In such documents, user accounts need `operator`.
    fn role(&mut self, operations: Both<Operation<'_>>, is_open: bool) {
        let roles = operations.map(|operation| operation.value.get(REQUIRED_ROLE));
        let named = |role: &Value| Role::ALL.into_iter().find(|known| role == known.as_str());
        let had = roles.old.map_or(Some(Role::Operator), named);
        match roles.new {
            _ if !roles.differ() => {}
            None if is_open => self.ok(REQUIRED_ROLE, "no role is required"),
            None => self.breaks(REQUIRED_ROLE, "the required role was removed"),
            Some(now) => match had.zip(named(now)) {
                Some((had, needed)) if needed <= had => {
                    self.ok(REQUIRED_ROLE, format!("the required role is {needed}, was {had}"));
                }
                _ => self.breaks(REQUIRED_ROLE, format!("the required role is {now}")),
            },
        }
    }
}

/// Returns the alternatives of a security requirement. An empty list means that no credentials are required.
fn alternatives<'a>((document, operation): (&'a Document, Operation<'a>)) -> Vec<Alternative<'a>> {
    let required = operation.value.get("security").or(document.value().get("security"));
    let alternative =
        |required: &'a Value| members(Some(required)).map(|(name, scopes)| (name, items(Some(scopes)).collect()));
    let all: Vec<_> = items(required).map(|required| alternative(required).collect()).collect();
    if all.is_empty() { vec![Vec::new()] } else { all }
}

fn suffices(given: &Alternative<'_>, required: &Alternative<'_>) -> bool {
    required.iter().all(|(scheme, scopes)| {
        let found = given.iter().find(|(other, _)| other == scheme);
        found.is_some_and(|(_, given)| scopes.iter().all(|scope| given.contains(scope)))
    })
}

fn caller(credentials: &Alternative<'_>) -> String {
    let with_scopes = |(name, scopes): &(&str, Vec<&Value>)| {
        scopes.iter().fold((*name).to_owned(), |text, scope| format!("{text} {scope}"))
    };
    match credentials.iter().map(with_scopes).collect::<Vec<_>>().join(" and ") {
        none if none.is_empty() => "a caller without credentials".to_owned(),
        schemes => format!("a caller with {schemes}"),
    }
}

/// Returns a security scheme without `description` and `bearerFormat`, which is only a hint for readers.
fn scheme<'a>(document: &'a Document, name: &str) -> Option<BTreeMap<&'a str, &'a Value>> {
    let scheme = document.value()["components"]["securitySchemes"].get(name)?;
    let all = members(Some(document.resolve(scheme)));
    Some(all.filter(|(key, _)| !["bearerFormat", "description"].contains(key)).collect())
}
