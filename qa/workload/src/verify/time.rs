//! What must not go backwards from one answer to the next.

use crate::history::Sent;

/// A version that a client was shown, and when the request was under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub(super) started: u64,
    pub(super) ended: u64,
    pub(super) version: i64,
    /// Whether this very request made the version.
    pub(super) is_change: bool,
}

impl Shown {
    pub(super) fn new(sent: &Sent, version: i64, is_change: bool) -> Self {
        Self { started: sent.started, ended: sent.ended, version, is_change }
    }
}

/// Pairs of answers of which the second was asked for after the first had come, and shows an older version; or the same,
/// though it says that it changed something.
pub(super) fn backwards(shown: &[Shown]) -> Vec<(Shown, Shown)> {
    let mut by_end = shown.to_vec();
    by_end.sort_by_key(|shown| shown.ended);
    let mut by_start = shown.to_vec();
    by_start.sort_by_key(|shown| shown.started);
    let mut ended = by_end.into_iter().peekable();
    let mut newest: Option<Shown> = None;
    let mut found = Vec::new();
    for later in by_start {
        while let Some(earlier) = ended.next_if(|earlier| earlier.ended < later.started) {
            newest = newest.filter(|newest| newest.version >= earlier.version).or(Some(earlier));
        }
        if let Some(newest) = newest
            && (later.version < newest.version || later.is_change && later.version == newest.version)
        {
            found.push((newest, later));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(started: u64, ended: u64, version: i64, is_change: bool) -> Shown {
        Shown { started, ended, version, is_change }
    }

    #[test]
    fn an_older_version_is_found_only_where_the_newer_had_been_answered() {
        assert!(backwards(&[shown(0, 10, 2, true), shown(5, 20, 1, false)]).is_empty());
        assert_eq!(backwards(&[shown(0, 10, 2, true), shown(11, 20, 1, false)]).len(), 1);
        assert!(backwards(&[shown(0, 10, 2, true), shown(11, 20, 2, false)]).is_empty());
        assert_eq!(backwards(&[shown(0, 10, 2, true), shown(11, 20, 2, true)]).len(), 1);
    }
}
