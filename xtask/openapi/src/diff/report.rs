//! The differences of a document, written down for people, and whether they are allowed.

use std::collections::BTreeSet;
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
    let others = count(&all, false);
    let allowed = breaks == 0 || now.major > before.major;
    let summary = summary(pair, breaks, others, allowed);
    let mut text = format!("{name} {}: {summary}\n", versions(before, now));
    if breaks == 0 && others > 0 && minor(before) == minor(now) {
        text.push_str("  note: what is compatible raises the minor version, and this one did not\n");
    }
    write_all(&mut text, &all);
    Verdict { text, breaks: !allowed }
}

fn minor(version: &Version) -> (u64, u64) {
    (version.major, version.minor)
}

fn versions(before: &Version, now: &Version) -> String {
    if before == now { now.to_string() } else { format!("{now}, was {before}") }
}

fn count(all: &[Differences], breaks: bool) -> usize {
    let lines = all.iter().flat_map(|differences| lines(&differences.found));
    lines.filter(|line| line.breaks == breaks).count()
}

fn summary(pair: Pair<'_>, breaks: usize, others: usize, allowed: bool) -> String {
    match (breaks, others) {
        (0, 0) if pair.old.root() == pair.new.root() => "unchanged".to_owned(),
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

/// Operations that differ in the same way stand above one list, and what is compatible in a named schema stands once below.
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
        text.extend(headings.iter().map(|heading| format!("  {heading}\n")));
        text.extend(lines.iter().map(|line| format!("    {line}\n")));
    }
    let shared = shared(all);
    if !shared.is_empty() {
        text.push_str("  the schemas\n");
        text.extend(shared.iter().map(|(place, what)| format!("    ok: {place}: {what}\n")));
    }
}

/// The compatible differences of the schemas with a name.
fn shared(all: &[Differences]) -> BTreeSet<(&str, &str)> {
    let found = all.iter().flat_map(|differences| &differences.found);
    let compatible = found.filter(|finding| !finding.breaks && finding.schema().is_some());
    compatible.map(|finding| (finding.place.as_str(), finding.what.as_str())).collect()
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
        write!(formatter, "{verdict}: {}", joined(&self.sites))?;
        if !self.place.is_empty() {
            write!(formatter, " at {}", self.place)?;
        }
        write!(formatter, ": {}", self.what)
    }
}

/// `responses/400,404/headers/etag` for two of them.
fn joined(sites: &[String]) -> String {
    let mut groups: Vec<(&str, Vec<&str>, &str)> = Vec::new();
    for site in sites {
        let (kind, name) = site.split_once('/').unwrap_or((site, ""));
        let (name, rest) = name.split_once('/').unwrap_or((name, ""));
        match groups.iter_mut().find(|(other, _, tail)| (*other, *tail) == (kind, rest)) {
            Some((_, names, _)) => names.push(name),
            None => groups.push((kind, vec![name], rest)),
        }
    }
    let paths = groups.iter().map(|(kind, names, rest)| {
        let parts = [*kind, &names.join(","), rest];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
    });
    paths.collect::<Vec<_>>().join(", ")
}

/// What breaks comes first, and what several answers share is told once.
fn lines(found: &[Finding]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for Finding { breaks, site, place, what } in found.iter().map(in_short) {
        let same = lines.iter_mut().find(|line| (line.breaks, &line.place, &line.what) == (breaks, &place, &what));
        match same {
            Some(line) if line.sites.contains(&site) => {}
            Some(line) => line.sites.push(site),
            None => lines.push(Line { breaks, sites: vec![site], place, what }),
        }
    }
    lines.sort_by_key(|line| !line.breaks);
    lines
}

/// The details of what is compatible in a named schema are told below.
fn in_short(finding: &Finding) -> Finding {
    match finding.schema() {
        Some(schema) if !finding.breaks => Finding::ok(&finding.site, format!("{schema} differs, see below")),
        _ => finding.clone(),
    }
}
