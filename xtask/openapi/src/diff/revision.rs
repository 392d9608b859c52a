//! The revision that the documents are compared with, and the documents there. Git is asked as a program.

use std::fmt::{self, Display, Formatter};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::Texts;

/// Brings what a shallow clone lacks, also where it knows a single branch.
const FETCH: &str = "git fetch --unshallow --tags origin main:refs/remotes/origin/main";

pub(super) struct Repository<'a> {
    root: &'a Path,
}

/// A commit, and how it was chosen.
pub(super) struct Base {
    commit: String,
    chosen: String,
}

impl Display for Base {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.commit.get(..12).unwrap_or(&self.commit), self.chosen)
    }
}

impl<'a> Repository<'a> {
    pub(super) fn new(root: &'a Path) -> Self {
        Self { root }
    }

    /// The revision that is asked for, or what the main branch had before what is new here. `None` where nothing was
    /// before: at the first commit, or at none.
    pub(super) fn base(&self, revision: Option<&str>) -> Result<Option<Base>> {
        match revision {
            Some(revision) => {
                let commit = self.commit(revision)?;
                let commit = commit.with_context(|| format!("there is no revision {revision} in this repository"))?;
                Ok(Some(Base { commit, chosen: revision.to_owned() }))
            }
            None => self.default_base(),
        }
    }

    fn default_base(&self) -> Result<Option<Base>> {
        let Some(head) = self.commit("HEAD")? else { return Ok(None) };
        let Some((main, tip)) = self.main()? else { return self.before_head("there is no main branch") };
        match self.ask(&["merge-base", &head, &tip])? {
            Some(commit) if commit == head => self.before_head(&format!("HEAD is on {main}")),
            Some(commit) => Ok(Some(Base { commit, chosen: format!("where HEAD left {main}") })),
            None => {
                self.check_history(&format!("HEAD and {main} have no commit in common"))?;
                bail!("HEAD and {main} have no commit in common: name a revision")
            }
        }
    }

    /// The last release, which clients have; before any, the parent.
    fn before_head(&self, why: &str) -> Result<Option<Base>> {
        self.check_history(why)?;
        let Some(parent) = self.commit("HEAD^1")? else { return Ok(None) };
        let Some(tag) = self.last_release(&parent)? else {
            let chosen = format!("the parent of HEAD, as {why} and nothing was released before");
            return Ok(Some(Base { commit: parent, chosen }));
        };
        let commit = self.commit(&format!("refs/tags/{tag}"))?.with_context(|| format!("reading the tag {tag}"))?;
        Ok(Some(Base { commit, chosen: format!("{tag}, the last release, as {why}") }))
    }

    /// Whoever has only a part of the history cannot tell that there is nothing.
    fn check_history(&self, why: &str) -> Result<()> {
        if self.ask(&["rev-parse", "--is-shallow-repository"])?.as_deref() != Some("false") {
            bail!("{why}, and only a part of the history is here: fetch the history ({FETCH}), or name a revision");
        }
        Ok(())
    }

    /// The tag of the highest version that a commit comes after; one of a candidate is below its version.
    fn last_release(&self, commit: &str) -> Result<Option<String>> {
        let list = ["tag", "--list", "v[0-9]*", "--sort=-version:refname", "--merged", commit];
        let tags = self.ask(&[&["-c", "versionsort.suffix=-"], &list[..]].concat())?;
        Ok(tags.unwrap_or_default().lines().next().map(str::to_owned))
    }

    fn main(&self) -> Result<Option<(&'static str, String)>> {
        for (name, reference) in [("origin/main", "refs/remotes/origin/main"), ("main", "refs/heads/main")] {
            if let Some(commit) = self.commit(reference)? {
                return Ok(Some((name, commit)));
            }
        }
        Ok(None)
    }

    fn commit(&self, revision: &str) -> Result<Option<String>> {
        let revision = format!("{revision}^{{commit}}");
        self.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", &revision])
    }

    /// The files of `specs/` at a commit, by their paths.
    pub(super) fn documents(&self, base: &Base) -> Result<Texts> {
        let listed = self.ask(&["ls-tree", "--name-only", &base.commit, "specs/"])?.unwrap_or_default();
        let names = listed.lines().filter(|name| name.ends_with(".json"));
        names
            .map(|name| {
                let text = self.ask(&["show", &format!("{}:./{name}", base.commit)])?;
                Ok((name.to_owned(), text.with_context(|| format!("reading {name} at {base}"))?))
            })
            .collect()
    }

    /// What git answers; `None` where it says by its exit code 1 that there is nothing.
    fn ask(&self, arguments: &[&str]) -> Result<Option<String>> {
        let mut git = Command::new("git");
        git.current_dir(self.root).args(arguments).stdin(Stdio::null());
        let output = git.output().context("cannot run git, which knows the earlier documents")?;
        match output.status.code() {
            Some(0) => Ok(Some(String::from_utf8(output.stdout).context("git's answer")?.trim_end().to_owned())),
            Some(1) => Ok(None),
            _ => bail!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim_end()),
        }
    }
}
