//! Differences, and their effect on clients that were written for the old document.

use serde_json::Value;

use super::both::Both;
use super::document::{Document, Object, is_true};

pub(super) const SCHEMAS: &str = "#/components/schemas/";
/// Keywords without meaning for programs, except for the keys of an error's examples: see `codes`.
const TEXTS: &[&str] =
    &["deprecated", "description", "example", "examples", "externalDocs", "links", "summary", "tags", "title"];

/// Effect of a change on the set of values that a schema accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Some values are no longer valid.
    Narrows,
    /// Additional values are now valid.
    Widens,
    /// Both of the above, or unknown.
    Replaces,
    Keeps,
}

impl Effect {
    pub(super) fn reverse(self) -> Self {
        match self {
            Self::Narrows => Self::Widens,
            Self::Widens => Self::Narrows,
            other => other,
        }
    }

    /// Returns the effect of changing a flag. `on` is the effect of setting the flag.
    pub(super) fn of_flag(flag: Both<bool>, on: Self) -> Option<Self> {
        flag.differ().then(|| if flag.new { on } else { on.reverse() })
    }
}

/// Direction in which a value is transferred, from the client's perspective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Sent,
    Received,
}

/// Effect of a difference on the set of valid values, and a description of the difference.
pub(super) type Described = (Effect, String);

/// Difference between two schemas: its location, effect and description.
pub(super) type Change = (String, Described);

/// Difference between two operations or documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) breaks: bool,
    /// Part of the operation, for example `parameters/query/limit` or `responses/200`.
    pub(super) site: String,
    /// Path in the schema, from the nearest named schema (`SCHEMAS`), if any. Empty if the part itself differs.
    pub(super) place: String,
    pub(super) what: String,
}

impl Finding {
    pub(super) fn schema(&self) -> Option<&str> {
        self.place.strip_prefix(SCHEMAS)?.split('/').next()
    }
}

pub(super) struct Comparison<'d> {
    pub(super) documents: Both<&'d Document>,
    pub(super) found: Vec<Finding>,
}

impl Comparison<'_> {
    pub(super) fn breaks(&mut self, site: impl Into<String>, what: impl Into<String>) {
        self.add(true, site, what);
    }

    pub(super) fn ok(&mut self, site: impl Into<String>, what: impl Into<String>) {
        self.add(false, site, what);
    }

    pub(super) fn add(&mut self, breaks: bool, site: impl Into<String>, what: impl Into<String>) {
        self.found.push(Finding { breaks, site: site.into(), place: String::new(), what: what.into() });
    }

    /// Adds a schema change. Whether the change breaks clients depends on the direction of the value.
    pub(super) fn change(&mut self, site: &str, direction: Direction, (place, (effect, what)): Change) {
        let (breaks, reason) = match (effect, direction) {
            (Effect::Narrows, Direction::Sent) => (true, ": requests from clients may be rejected"),
            (Effect::Widens, Direction::Received) => (true, ": clients may receive unknown values"),
            (Effect::Replaces, _) => (true, ""),
            _ => (false, ""),
        };
        self.found.push(Finding { breaks, site: site.to_owned(), place, what: what + reason });
    }

    /// Compares the presence of a part that may be required. Returns the part if both versions contain it.
    pub(super) fn part<'a>(
        &mut self,
        (site, direction): (&str, Direction),
        name: &str,
        parts: Both<Option<&'a Object>>,
        was_closed: bool,
    ) -> Option<Both<&'a Object>> {
        let required = parts.map(|part| is_true(part.and_then(|part| part.get("required"))));
        if let Some(described) = presence(name, parts.map(|part| part.is_some()), required, was_closed) {
            self.change(site, direction, (String::new(), described));
        }
        parts.kept()
    }

    /// Reports differences in members that are neither text nor covered by a rule.
    pub(super) fn unknown_members(&mut self, site: &str, known: &[&str], objects: Both<&Object>) {
        for (key, values) in objects.members() {
            if !is_text(key) && !known.contains(&key) && !same(self.documents, values) {
                self.breaks(site, unsupported(key));
            }
        }
    }
}

/// Effect of adding, removing or requiring a part. If `was_closed`, the recipient rejects unknown parts.
pub(super) fn presence(name: &str, exists: Both<bool>, required: Both<bool>, was_closed: bool) -> Option<Described> {
    if exists.old == exists.new {
        let effect = Effect::of_flag(required, Effect::Narrows)?;
        let now = if required.new { "now required" } else { "no longer required" };
        return Some((effect, format!("the {name} is {now}")));
    }
    if exists.old {
        return Some((Effect::Replaces, format!("the {name} was removed")));
    }
    let (effect, kind) = match (was_closed, required.new && !required.old) {
        (false, false) => (Effect::Keeps, "optional"),
        (false, true) => (Effect::Narrows, "required"),
        (true, false) => (Effect::Widens, "optional"),
        (true, true) => (Effect::Replaces, "required"),
    };
    Some((effect, format!("the {kind} {name} was added")))
}

pub(super) fn is_text(key: &str) -> bool {
    TEXTS.contains(&key)
}

pub(super) fn unsupported(key: &str) -> String {
    format!("`{key}` differs, and no rule supports it")
}

/// Returns whether both values are identical, including their reference targets. Used for keywords without a rule.
pub(super) fn same(documents: Both<&Document>, values: Both<Option<&Value>>) -> bool {
    let is_same = |reference: &str| !documents.map(|document| document.target(reference)).differ();
    let mut targets = values.new.into_iter().flat_map(|value| documents.new.references(value));
    !values.differ() && targets.all(is_same)
}
