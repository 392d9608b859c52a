//! `openapi diff`: reports breaking changes in `specs/` since an earlier revision.
//!
//! This module selects the documents and returns the result. `revision` determines the base revision; `operations`,
//! `exchange`, `codes` and `schema` find the differences; `report` formats them.
//!
//! A change is breaking if requests from an existing client may be rejected, if a client may receive unknown values, or
//! if the name of an operation or schema disappears from generated code. Changes that no rule covers count as breaking.

mod both;
mod codes;
mod document;
mod exchange;
mod finding;
mod limits;
mod operations;
mod report;
mod revision;
mod schema;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use both::Both;
use document::Document;
use revision::Repository;

/// Compares the documents in a working copy with those at a revision. Returns the names of the documents that contain
/// breaking changes without a new major version.
pub(crate) fn run(root: &Path, revision: Option<&str>) -> Result<Vec<String>> {
    let repository = Repository(root);
    let Some((base, chosen)) = repository.base(revision)? else {
        println!("nothing to compare with: there is no earlier commit");
        return Ok(Vec::new());
    };
    println!("compared with {base:.12} ({chosen})");
    let documents = Both { old: parse(repository.documents(&base)?)?, new: parse(documents(root)?)? };
    let mut broken = Vec::new();
    for (name, documents) in documents.parts() {
        let (text, breaks) = report::document(&name, Both { old: documents.old.as_ref(), new: documents.new.as_ref() });
        crate::print(&text);
        broken.extend(breaks.then_some(name));
    }
    Ok(broken)
}

/// Contents of the documents, by path.
type Texts = BTreeMap<String, String>;

fn documents(root: &Path) -> Result<Texts> {
    let mut texts = Texts::new();
    for entry in std::fs::read_dir(root.join("specs")).context("cannot read specs")? {
        let path = entry?.path();
        let name = path.file_name().map(|name| format!("specs/{}", name.display())).unwrap_or_default();
        if name.ends_with(".json") {
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
            texts.insert(name, text);
        }
    }
    Ok(texts)
}

fn parse(texts: Texts) -> Result<BTreeMap<String, Document>> {
    // The directory may contain other JSON files.
    let documents = texts.into_iter().filter(|(_, text)| text.contains("\"openapi\""));
    documents.map(|(name, text)| Ok((name.clone(), Document::parse(&text).context(name)?))).collect()
}
