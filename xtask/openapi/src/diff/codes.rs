//! The codes of an operation's errors. Which of them a status has is said by the keys of its examples alone.
//!
//! They are an open list like that of the schema, whose rule in `limits` counts here, too. The rest of an example is text.

use std::collections::BTreeSet;

use serde_json::Value;

use super::both::Both;
use super::document::{Object, members};
use super::exchange::{Answers, covering, is_error, is_of, site};
use super::finding::{Comparison, Effect};
use super::limits;

impl Comparison<'_> {
    pub(super) fn codes(&mut self, before: &Answers<'_>, now: &Answers<'_>) {
        for (status, old) in failures(before) {
            let new = telling(status, before, now);
            if new.is_empty() {
                self.moved(status, old, before, now);
            }
            let gone = changes(&[old], &new).into_iter().filter(|(effect, _)| *effect != Effect::Keeps);
            gone.filter(|_| !new.is_empty()).for_each(|(_, what)| self.breaks(site(status), what));
        }
        for (status, new) in failures(now) {
            let old = telling(status, now, before);
            // All codes are new where the status is, or where none was told: that is said once.
            match (listed(&old), listed(&[new])) {
                _ if old.is_empty() => {}
                (None, Some(_)) => self.ok(site(status), "its codes are told now"),
                _ => {
                    let added = changes(&old, &[new]).into_iter().filter(|(effect, _)| *effect == Effect::Keeps);
                    added.for_each(|(_, what)| self.ok(site(status), what));
                }
            }
        }
    }

    /// An error that is not answered any more breaks nobody, but one that is answered under another status does.
    fn moved(&mut self, status: &str, old: &Object, before: &Answers<'_>, now: &Answers<'_>) {
        let has = |answer: &Object, code: &str| codes(answer).any(|other| other == code);
        for code in codes(old) {
            let had = |other| telling(other, now, before).into_iter().any(|old| has(old, code));
            if let Some((other, _)) = failures(now).find(|(other, new)| has(new, code) && !had(other)) {
                self.breaks(site(status), format!("the code \"{code}\" is told as {other} now"));
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

fn changes(old: &[&Object], new: &[&Object]) -> Vec<(Effect, String)> {
    let (old, new) = (listed(old), listed(new));
    limits::codes(Both { old: old.as_ref(), new: new.as_ref() })
}

/// `None` where no code is told.
fn listed(answers: &[&Object]) -> Option<Value> {
    let codes: BTreeSet<_> = answers.iter().flat_map(|answer| codes(answer)).collect();
    (!codes.is_empty()).then(|| codes.into_iter().collect())
}

fn codes(answer: &Object) -> impl Iterator<Item = &str> {
    let contents = members(answer.get("content"));
    contents.flat_map(|(_, content)| members(content.get("examples"))).map(|(code, _)| code)
}
