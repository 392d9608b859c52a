//! Error codes of an operation. The error codes of a status are the keys of its examples.
//!
//! The list of codes is open: clients accept new codes, but may match on known ones. The rest of an example is text.

use std::collections::BTreeSet;

use super::document::{Object, members};
use super::exchange::{Responses, covering, is_covered_by, is_error, site};
use super::finding::Comparison;

impl Comparison<'_> {
    pub(super) fn codes(&mut self, before: &Responses<'_>, now: &Responses<'_>) {
        for (status, old) in failures(before) {
            let new = relevant(status, before, now);
            for code in codes(&[old]).difference(&codes(&new)) {
                // Clients are unaffected if an error is no longer returned, but not if its code moves to another
                // status.
                let had = |other| codes(&relevant(other, now, before)).contains(code);
                let moved = failures(now).find(|(other, new)| codes(&[new]).contains(code) && !had(other));
                let moved = moved.map(|(other, _)| format!("the code \"{code}\" is now returned with status {other}"));
                let gone = || Some(format!("the code \"{code}\" was removed: clients may match on it"));
                if let Some(what) = if new.is_empty() { moved } else { gone() } {
                    self.breaks(site(status), what);
                }
            }
        }
        for (status, new) in failures(now) {
            // All codes of a new status are new.
            let old = relevant(status, now, before);
            for code in codes(&[new]).difference(&codes(&old)).filter(|_| !old.is_empty()) {
                self.ok(site(status), format!("the code \"{code}\" was added to an open list"));
            }
        }
    }
}

fn failures<'a>(answers: &Responses<'a>) -> impl Iterator<Item = (&'a str, &'a Object)> {
    let failures = answers.iter().filter(|(status, _)| is_error(status) || **status == "default");
    failures.map(|(status, answer)| (*status, *answer))
}

/// Returns the responses in the other document that cover this status, or, for a range, some of its statuses.
fn relevant<'a>(status: &str, these: &Responses<'_>, others: &Responses<'a>) -> Vec<&'a Object> {
    let narrower = failures(others).filter(|(other, _)| is_covered_by(other, status, these));
    covering(status, others).into_iter().chain(narrower.map(|(_, answer)| answer)).collect()
}

fn codes<'a>(answers: &[&'a Object]) -> BTreeSet<&'a str> {
    let contents = answers.iter().flat_map(|answer| members(answer.get("content")));
    contents.flat_map(|(_, content)| members(content.get("examples"))).map(|(code, _)| code).collect()
}
