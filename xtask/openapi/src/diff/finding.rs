//! Differences, and what each means for a client that was made for the old document.

use serde_json::Value;

use super::both::Both;
use super::document::{Document, Object, is_true};

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

    /// Of a flag that turned off or on; `on` is what it does where it turned on.
    pub(super) fn of_flag(flag: Both<bool>, on: Self) -> Option<Self> {
        flag.differ().then(|| if flag.new { on } else { on.reverse() })
    }
}

/// Which way a value goes, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Sent,
    Received,
}

/// What a difference does to the set of valid values, and the words for it.
pub(super) type Told = (Effect, String);

/// One difference between two schemas: its place, and what it does.
pub(super) type Change = (String, Told);

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

impl Comparison<'_> {
    pub(super) fn breaks(&mut self, site: impl Into<String>, what: impl Into<String>) {
        self.tell(true, site, what);
    }

    pub(super) fn ok(&mut self, site: impl Into<String>, what: impl Into<String>) {
        self.tell(false, site, what);
    }

    pub(super) fn tell(&mut self, breaks: bool, site: impl Into<String>, what: impl Into<String>) {
        self.found.push(Finding { breaks, site: site.into(), place: String::new(), what: what.into() });
    }

    /// A change of a schema. Whom it breaks depends on the way its values go.
    pub(super) fn change(&mut self, site: &str, direction: Direction, (place, (effect, what)): Change) {
        let (breaks, reason) = match (effect, direction) {
            (Effect::Narrows, Direction::Sent) => (true, ": what clients send may be refused"),
            (Effect::Widens, Direction::Received) => (true, ": clients may get what they do not know"),
            (Effect::Replaces, _) => (true, ""),
            _ => (false, ""),
        };
        self.found.push(Finding { breaks, site: site.to_owned(), place, what: what + reason });
    }

    /// A part of an exchange, which may be required. Gives it where it is in both.
    pub(super) fn part<'a>(
        &mut self,
        (site, direction): (&str, Direction),
        name: &str,
        parts: Both<Option<&'a Object>>,
        was_closed: bool,
    ) -> Option<Both<&'a Object>> {
        let required = parts.map(|part| is_true(part.and_then(|part| part.get("required"))));
        if let Some(told) = presence(name, parts.map(|part| part.is_some()), required, was_closed) {
            self.change(site, direction, (String::new(), told));
        }
        parts.kept()
    }

    /// What differs in the members of an object that are neither text nor known to a rule.
    pub(super) fn unknown_members(&mut self, site: &str, known: &[&str], objects: Both<&Object>) {
        for (key, values) in objects.members() {
            if !is_text(key) && !known.contains(&key) && !same(self.documents, values) {
                self.breaks(site, not_understood(key));
            }
        }
    }
}

/// What it does that something is new, gone, or required. Where other parts were refused, a new one is not known to clients.
pub(super) fn presence(name: &str, there: Both<bool>, required: Both<bool>, was_closed: bool) -> Option<Told> {
    if there.old == there.new {
        let effect = Effect::of_flag(required, Effect::Narrows)?;
        let now = if required.new { "required now" } else { "not required any more" };
        return Some((effect, format!("the {name} is {now}")));
    }
    if there.old {
        return Some((Effect::Replaces, format!("the {name} is gone")));
    }
    let (effect, kind) = match (was_closed, required.new && !required.old) {
        (false, false) => (Effect::Keeps, "optional"),
        (false, true) => (Effect::Narrows, "required"),
        (true, false) => (Effect::Widens, "optional"),
        (true, true) => (Effect::Replaces, "required"),
    };
    Some((effect, format!("the {kind} {name} is new")))
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
