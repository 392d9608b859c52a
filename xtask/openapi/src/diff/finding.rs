//! What a comparison gives: changes, and what a change means for a client that was made for the old document.

/// Where the schemas with a name are.
pub(super) const SCHEMAS: &str = "#/components/schemas/";

/// What a change does to the set of values that a schema describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Some values are not in it any more.
    Narrows,
    /// Values are in it that were not.
    Widens,
    /// Both, or nobody can tell.
    Replaces,
    /// Neither.
    Keeps,
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
    pub(super) fn breaks(site: impl Into<String>, what: impl Into<String>) -> Self {
        Self { breaks: true, site: site.into(), place: String::new(), what: what.into() }
    }

    pub(super) fn ok(site: impl Into<String>, what: impl Into<String>) -> Self {
        Self { breaks: false, ..Self::breaks(site, what) }
    }

    /// The named schema in which it was found.
    pub(super) fn schema(&self) -> Option<&str> {
        self.place.strip_prefix(SCHEMAS)?.split('/').next()
    }

    /// A change of a schema, judged by the way its values go.
    pub(super) fn of(site: &str, direction: Direction, change: Change) -> Self {
        let reason = match (change.effect, direction) {
            (Effect::Narrows, Direction::Sent) => Some("what clients send may be refused"),
            (Effect::Widens, Direction::Received) => Some("clients may get what they do not know"),
            (Effect::Replaces, _) => None,
            _ => return Self { place: change.place, ..Self::ok(site, change.what) },
        };
        let what = reason.map_or(change.what.clone(), |reason| format!("{}: {reason}", change.what));
        Self { place: change.place, ..Self::breaks(site, what) }
    }
}
