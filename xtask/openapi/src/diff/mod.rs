//! `openapi diff`: what of the documents in `specs/` breaks clients that were made for an earlier revision.
//!
//! Lives here: which documents are compared, and the verdict. The revision is found by `revision`, the differences by
//! `operations`, `exchange`, `codes` and `schema`; `report` writes them down.
//!
//! A client is broken when something that it sends may be refused, when it may get what it does not know, or when a name
//! is gone that its code has from the document: of an operation or of a schema. Whatever no rule understands counts as a break.

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

/// Compares the documents of a working copy with those at a revision. Gives the names of those that break clients without a
/// new major version.
pub(crate) fn run(root: &Path, revision: Option<&str>) -> Result<Vec<String>> {
    let repository = Repository(root);
    let Some((base, chosen)) = repository.base(revision)? else {
        println!("nothing to compare with: the history begins here");
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

/// The texts of the documents by their paths.
type Texts = BTreeMap<String, String>;

fn documents(root: &Path) -> Result<Texts> {
    let mut texts = Texts::new();
    for entry in std::fs::read_dir(root.join("specs")).context("reading specs")? {
        let path = entry?.path();
        let name = path.file_name().map(|name| format!("specs/{}", name.display())).unwrap_or_default();
        if name.ends_with(".json") {
            let text = std::fs::read_to_string(&path).with_context(|| format!("reading {name}"))?;
            texts.insert(name, text);
        }
    }
    Ok(texts)
}

fn parse(texts: Texts) -> Result<BTreeMap<String, Document>> {
    // Other JSON may lie beside the documents.
    let documents = texts.into_iter().filter(|(_, text)| text.contains("\"openapi\""));
    documents.map(|(name, text)| Ok((name.clone(), Document::parse(&text).context(name)?))).collect()
}
