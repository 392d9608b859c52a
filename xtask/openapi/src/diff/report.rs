//! The differences of a document, written down for people, and whether they are allowed.

use std::fmt::{self, Display, Formatter};

use semver::Version;

use super::Pair;
use super::document::Document;
use super::finding::Finding;
use super::operations::{self, Differences};

pub(super) struct Verdict {
    pub(super) text: String,
    /// Whether clients are broken and the version does not say so.
    pub(super) breaks: bool,
}

pub(super) fn document(name: &str, old: Option<&Document>, new: Option<&Document>) -> Verdict {
    match (old, new) {
        (Some(old), Some(new)) => compared(name, Pair { old, new }),
        (None, Some(new)) => {
            Verdict { text: format!("{name} {}: ok, the document is new\n", new.version), breaks: false }
        }
        _ => Verdict { text: format!("{name}: breaks, the document is gone\n"), breaks: true },
    }
}

fn compared(name: &str, pair: Pair<'_>) -> Verdict {
    let (before, now) = (&pair.old.version, &pair.new.version);
    let all = operations::compare(pair);
    let breaks = count(&all, true);
    let allowed = breaks == 0 || now.major > before.major;
    let summary = summary(pair, breaks, count(&all, false), allowed);
    let mut text = format!("{name} {}: {summary}\n", versions(before, now));
    write_all(&mut text, &all);
    Verdict { text, breaks: !allowed }
}

fn versions(before: &Version, now: &Version) -> String {
    if before == now { now.to_string() } else { format!("{now}, was {before}") }
}

fn count(all: &[Differences], breaks: bool) -> usize {
    all.iter().flat_map(|differences| lines(&differences.found)).filter(|line| line.breaks == breaks).count()
}

fn summary(pair: Pair<'_>, breaks: usize, others: usize, allowed: bool) -> String {
    match (breaks, others) {
        (0, 0) if pair.old.root == pair.new.root => "unchanged".to_owned(),
        (0, 0) => "ok, only text differs".to_owned(),
        (0, others) => format!("ok, {}", several(others, "compatible difference")),
        (breaks, others) => {
            let permission = if allowed { ", which the new major version allows" } else { "" };
            let others = several(others, "compatible difference");
            format!("{}{permission}, and {others}", several(breaks, "break"))
        }
    }
}

fn several(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Operations that differ in the same way stand above one list.
fn write_all(text: &mut String, all: &[Differences]) {
    let mut lists: Vec<(Vec<&str>, Vec<Line>)> = Vec::new();
    for differences in all {
        let lines = lines(&differences.found);
        match lists.iter_mut().find(|(_, other)| *other == lines) {
            Some((headings, _)) => headings.push(&differences.of),
            None => lists.push((vec![&differences.of], lines)),
        }
    }
    for (headings, lines) in lists {
        let headings = headings.iter().map(|heading| format!("  {heading}\n"));
        let lines = lines.iter().map(|line| format!("    {line}\n"));
        text.extend(headings.chain(lines));
    }
}

/// A difference, with every part of an operation in which it was found.
#[derive(PartialEq, Eq)]
struct Line {
    breaks: bool,
    sites: Vec<String>,
    place: String,
    what: String,
}

impl Display for Line {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let verdict = if self.breaks { "breaks" } else { "ok" };
        write!(formatter, "{verdict}: {}", self.sites.join(", "))?;
        if !self.place.is_empty() {
            write!(formatter, " at {}", self.place)?;
        }
        write!(formatter, ": {}", self.what)
    }
}

/// What breaks comes first. A schema that many answers share is told once.
fn lines(found: &[Finding]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for Finding { breaks, site, place, what } in found {
        let same = lines.iter_mut().find(|line| (line.breaks, &line.place, &line.what) == (*breaks, place, what));
        match same {
            Some(line) if line.sites.contains(site) => {}
            Some(line) => line.sites.push(site.clone()),
            None => lines.push(Line {
                breaks: *breaks,
                sites: vec![site.clone()],
                place: place.clone(),
                what: what.clone(),
            }),
        }
    }
    lines.sort_by_key(|line| !line.breaks);
    lines
}
