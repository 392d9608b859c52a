//! Style rules for documents. Each finding states the location and the fix.
//!
//! `operations` checks operations; `schemas` checks everything that has a schema; `patterns` checks patterns. The content
//! itself is reviewed by people in the diff of `specs/`.

mod operations;
mod patterns;
mod schemas;

use openapi_document::Document;

/// Findings, one line each.
type Findings = Vec<String>;

/// Returns all rule violations in the document.
pub(crate) fn violations(document: &Document) -> Findings {
    let mut findings = Findings::new();
    operations::check(document, &mut findings);
    schemas::check(document, &mut findings);
    patterns::check(document, &mut findings);
    findings
}

#[cfg(test)]
mod tests;
