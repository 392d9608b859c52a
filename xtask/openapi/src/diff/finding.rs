//! Differences, and what each means for a client that was made for the old document.

use serde_json::Value;

use super::both::Both;
use super::document::{Document, Object};

/// Where the schemas with a name are.
pub(super) const SCHEMAS: &str = "#/components/schemas/";
/// Text for people. It never breaks a client, but for the keys of an error's examples: see `codes`.
const TEXTS: &[&str] =
    &["deprecated", "description", "example", "examples", "externalDocs", "links", "summary", "tags", "title"];

/// What a change does to the set of values that a schema describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Some values are not in it any more.
    Narrows,
    /// Values are in it that were not.
    Widens,
    /// Both, or unknown.
    Replaces,
    /// Neither.
    Keeps,
}

impl Effect {
    /// What the opposite change does.
    pub(super) fn reverse(self) -> Self {
        match self {
            Self::Narrows => Self::Widens,
            Self::Widens => Self::Narrows,
            other => other,
        }
    }
}

/// Which way a value goes, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Sent,
    Received,
}

/// One difference between two schemas.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) place: String,
    pub(super) effect: Effect,
    pub(super) what: String,
}

/// One difference between two operations or documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) breaks: bool,
    /// The part of the operation: `parameters/query/limit`, `responses/200`.
    pub(super) site: String,
    /// The place in the schema there, which begins with `SCHEMAS` and the nearest name, if any has one; empty where the part
    /// itself differs.
    pub(super) place: String,
    pub(super) what: String,
}

impl Finding {
    /// The named schema in which it was found.
    pub(super) fn schema(&self) -> Option<&str> {
        self.place.strip_prefix(SCHEMAS)?.split('/').next()
    }
}

/// The comparison of two operations, or of what is around them, with what it has found.
pub(super) struct Comparison<'d> {
    pub(super) documents: Both<&'d Document>,
    pub(super) found: Vec<Finding>,
}

impl<'d> Comparison<'d> {
    pub(super) fn new(documents: Both<&'d Document>) -> Self {
        Self { documents, found: Vec::new() }
    }

    pub(super) fn breaks(&mut self, site: impl Into<String>, what: impl Into<String>) {
        self.tell(true, site, what);
    }

    pub(super) fn ok(&mut self, site: impl Into<String>, what: impl Into<String>) {
        self.tell(false, site, what);
    }

    pub(super) fn tell(&mut self, breaks: bool, site: impl Into<String>, what: impl Into<String>) {
        self.found.push(Finding { breaks, site: site.into(), place: String::new(), what: what.into() });
    }

    /// A flag that turned off or on, which breaks clients where it is `breaking` now.
    pub(super) fn flag(&mut self, site: &str, flag: Both<bool>, breaking: bool, [off, on]: [&str; 2]) {
        if flag.differ() {
            self.tell(flag.new == breaking, site, if flag.new { on } else { off });
        }
    }

    /// A change of a schema. Whom it breaks depends on the way its values go.
    pub(super) fn change(&mut self, site: &str, direction: Direction, change: Change) {
        let Change { place, effect, what } = change;
        let (breaks, reason) = match (effect, direction) {
            (Effect::Narrows, Direction::Sent) => (true, ": what clients send may be refused"),
            (Effect::Widens, Direction::Received) => (true, ": clients may get what they do not know"),
            (Effect::Replaces, _) => (true, ""),
            _ => (false, ""),
        };
        self.found.push(Finding { breaks, site: site.to_owned(), place, what: what + reason });
    }

    /// What differs in the members of an object that are neither text nor known to a rule.
    pub(super) fn unknown_members(&mut self, site: &str, known: &[&str], objects: Both<&Object>) {
        for key in objects.keys().into_iter().filter(|key| !is_text(key) && !known.contains(key)) {
            if !same(self.documents, objects.get(key)) {
                self.breaks(site, not_understood(key));
            }
        }
    }
}

pub(super) fn is_text(key: &str) -> bool {
    TEXTS.contains(&key)
}

pub(super) fn not_understood(key: &str) -> String {
    format!("`{key}` differs, which is not understood")
}

/// Whether both say the same to the letter, also behind their references. For what no rule understands.
pub(super) fn same(documents: Both<&Document>, values: Both<Option<&Value>>) -> bool {
    let is_same = |reference: &str| !documents.map(|document| document.target(reference)).differ();
    let mut behind = values.new.into_iter().flat_map(|value| documents.new.references(value));
    !values.differ() && behind.all(is_same)
}
