//! What every document has to have, whatever it is about. Each finding names the place, and says how to mend it.
//!
//! `operations` judges operations, `schemas` judges everything that has a schema. What a document should promise is not
//! judged here: that is for whoever reads its diff.

mod operations;
mod schemas;

use openapi_document::Document;

/// Findings, one line each.
type Findings = Vec<String>;

/// Every rule that the document breaks.
pub(crate) fn broken(document: &Document) -> Findings {
    let mut findings = Findings::new();
    operations::judge(document, &mut findings);
    schemas::judge(document, &mut findings);
    findings
}

#[cfg(test)]
mod tests;
