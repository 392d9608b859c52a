//! Formats the differences in a document, and determines whether its version permits them.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

use semver::Version;

use super::both::Both;
use super::document::Document;
use super::finding::Finding;
use super::operations::{self, Differences};

/// Returns the formatted differences, and whether they are breaking without a new major version.
pub(super) fn document(name: &str, documents: Both<Option<&Document>>) -> (String, bool) {
    let Some(documents) = documents.kept() else {
        let Some(new) = documents.new else { return (format!("{name}: breaks, the document was removed\n"), true) };
        return (format!("{name} {}: ok, the document was added\n", new.version), false);
    };
    let Both { old: before, new: now } = documents.map(|document| &document.version);
    let all = operations::compare(documents);
    let lines: Vec<_> = all.iter().flat_map(|differences| lines(&differences.found)).collect();
    let breaks = lines.iter().filter(|line| line.breaks).count();
    let others = lines.len() - breaks;
    let allowed = breaks == 0 || now.major > before.major;
    let compatible = counted(others, "compatible change");
    let summary = match (breaks, others) {
        (0, 0) if !documents.map(|document| document.value()).differ() => "unchanged".to_owned(),
        (0, 0) => "ok, only text differs".to_owned(),
        (0, _) => format!("ok, {compatible}"),
        _ => {
            let permission = if allowed { ", which the new major version allows" } else { "" };
            format!("{}{permission}, and {compatible}", counted(breaks, "breaking change"))
        }
    };
    let versions = if before == now { now.to_string() } else { format!("{now}, was {before}") };
    let mut text = format!("{name} {versions}: {summary}\n");
    let minor = |version: &Version| (version.major, version.minor);
    if breaks == 0 && others > 0 && minor(before) == minor(now) {
        text.push_str("  note: raise the minor version for compatible changes\n");
    }
    write_all(&mut text, &all);
    (text, !allowed)
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Operations with equal differences share a list. Compatible changes to named schemas are listed once, at the end.
fn write_all(text: &mut String, all: &[Differences]) {
    let mut lists: Vec<(Vec<&str>, Vec<Finding>)> = Vec::new();
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
    let found = all.iter().flat_map(|differences| &differences.found);
    let compatible = found.filter(|finding| !finding.breaks && finding.schema().is_some());
    let shared: BTreeSet<_> = compatible.map(|finding| (&finding.place, &finding.what)).collect();
    if !shared.is_empty() {
        text.push_str("  schemas\n");
        text.extend(shared.iter().map(|(place, what)| format!("    ok: {place}: {what}\n")));
    }
}

impl Display for Finding {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let verdict = if self.breaks { "breaks" } else { "ok" };
        let place = if self.place.is_empty() { String::new() } else { format!(" at {}", self.place) };
        write!(formatter, "{verdict}: {}{place}: {}", self.site, self.what)
    }
}

/// Sorts breaking changes first, merges equal ones of several sites, and abbreviates those that are listed at the end.
fn lines(found: &[Finding]) -> Vec<Finding> {
    let mut lines: Vec<Finding> = Vec::new();
    for finding in found {
        let mut line = finding.clone();
        if let Some(schema) = finding.schema().filter(|_| !finding.breaks) {
            (line.place, line.what) = (String::new(), format!("{schema} differs, see below"));
        }
        let is_same =
            |other: &Finding| (other.breaks, &other.place, &other.what) == (line.breaks, &line.place, &line.what);
        match lines.iter_mut().find(|other| is_same(other)) {
            Some(same) if same.site.split(", ").any(|site| site == line.site) => {}
            Some(same) => same.site += &format!(", {}", line.site),
            None => lines.push(line),
        }
    }
    lines.sort_by_key(|line| !line.breaks);
    lines
}
