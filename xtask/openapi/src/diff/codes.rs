//! The codes of an operation's errors. Which of them a status has is said by the keys of its examples alone.
//!
//! They are an open list: clients are ready for one more, but match on those that they know. The rest of an example is text.

use std::collections::BTreeSet;

use super::document::{Object, members};
use super::exchange::{Answers, covering, is_error, is_of, site};
use super::finding::Comparison;

impl Comparison<'_> {
    pub(super) fn codes(&mut self, before: &Answers<'_>, now: &Answers<'_>) {
        for (status, old) in failures(before) {
            let new = telling(status, before, now);
            for code in codes(&[old]).difference(&codes(&new)) {
                // An error that is not answered any more breaks nobody, but one that is answered under another status does.
                let had = |other| codes(&telling(other, now, before)).contains(code);
                let moved = failures(now).find(|(other, new)| codes(&[new]).contains(code) && !had(other));
                let moved = moved.map(|(other, _)| format!("the code \"{code}\" is told as {other} now"));
                let gone = || Some(format!("the code \"{code}\" is gone, on which clients may match"));
                if let Some(what) = if new.is_empty() { moved } else { gone() } {
                    self.breaks(site(status), what);
                }
            }
        }
        for (status, new) in failures(now) {
            // All codes are new where the status is.
            let old = telling(status, now, before);
            for code in codes(&[new]).difference(&codes(&old)).filter(|_| !old.is_empty()) {
                self.ok(site(status), format!("the code \"{code}\" is new in an open list"));
            }
        }
    }
}

fn failures<'a>(answers: &Answers<'a>) -> impl Iterator<Item = (&'a str, &'a Object)> {
    let failures = answers.iter().filter(|(status, _)| is_error(status) || **status == "default");
    failures.map(|(status, answer)| (*status, *answer))
}

/// What the other document says of a status of this one: as widely or more so, or for some of the statuses of a range.
fn telling<'a>(status: &str, these: &Answers<'_>, others: &Answers<'a>) -> Vec<&'a Object> {
    let narrower = failures(others).filter(|(other, _)| is_of(other, status, these));
    covering(status, others).into_iter().chain(narrower.map(|(_, answer)| answer)).collect()
}

fn codes<'a>(answers: &[&'a Object]) -> BTreeSet<&'a str> {
    let contents = answers.iter().flat_map(|answer| members(answer.get("content")));
    contents.flat_map(|(_, content)| members(content.get("examples"))).map(|(code, _)| code).collect()
}
