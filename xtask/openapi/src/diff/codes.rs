//! The codes of an operation's errors. Which of them a status has is said by the keys of its examples alone.
//!
//! They are an open list like that of the schema, whose rule in `limits` counts here, too. The rest of an example is text.

use std::collections::BTreeSet;

use serde_json::Value;

use super::document::{Object, members};
use super::finding::{Change, Direction, Finding};
use super::limits;
use super::responses::{Answers, covering, is_error, is_of, site};

pub(super) fn compare(before: &Answers<'_>, now: &Answers<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (status, old) in failures(before) {
        let told_now = telling(status, before, now);
        match told_now.is_empty() {
            true => found.extend(moved(status, old, before, now)),
            false => found.extend(changes(status, &[old], &told_now).filter(|finding| finding.breaks)),
        }
    }
    for (status, new) in failures(now) {
        found.extend(added(status, &telling(status, now, before), new));
    }
    found
}

fn failures<'a>(answers: &Answers<'a>) -> impl Iterator<Item = (&'a str, &'a Object)> {
    answers.iter().map(|(status, answer)| (*status, *answer)).filter(|(status, _)| is_failure(status))
}

fn is_failure(status: &str) -> bool {
    is_error(status) || status == "default"
}

/// What the other document says of a status of this one: as widely or more so, or for some of the statuses of a range.
fn telling<'a>(status: &str, these: &Answers<'_>, others: &Answers<'a>) -> Vec<&'a Object> {
    let narrower = failures(others).filter(|(other, _)| is_of(other, status, these));
    covering(status, others).into_iter().chain(narrower.map(|(_, answer)| answer)).collect()
}

fn changes(status: &str, old: &[&Object], new: &[&Object]) -> impl Iterator<Item = Finding> {
    let (site, changes) = (site(status), limits::codes(listed(old).as_ref(), listed(new).as_ref()));
    changes.into_iter().map(move |(effect, what)| {
        Finding::of(&site, Direction::Received, Change { place: String::new(), effect, what })
    })
}

/// All codes are new where the status is, or where none was told: that is said once.
fn added(status: &str, old: &[&Object], new: &Object) -> Vec<Finding> {
    match (listed(old), listed(&[new])) {
        _ if old.is_empty() => Vec::new(),
        (None, Some(_)) => vec![Finding::ok(site(status), "its codes are told now")],
        _ => changes(status, old, &[new]).filter(|finding| !finding.breaks).collect(),
    }
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

/// An error that is not answered any more breaks nobody, but one that is answered under another status does.
fn moved(status: &str, old: &Object, before: &Answers<'_>, now: &Answers<'_>) -> Vec<Finding> {
    let has = |answer: &Object, code: &str| codes(answer).any(|other| other == code);
    let gained = |code: &str| {
        let mut with = failures(now).filter(|(_, new)| has(new, code)).map(|(other, _)| other);
        with.find(|other| !telling(other, now, before).into_iter().any(|old| has(old, code)))
    };
    let moved = codes(old).filter_map(|code| Some((code, gained(code)?)));
    moved
        .map(|(code, other)| Finding::breaks(site(status), format!("the code \"{code}\" is told as {other} now")))
        .collect()
}
