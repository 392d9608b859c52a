//! The revision that the documents are compared with, and the documents there. Git is asked as a program.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::Texts;

/// Brings what a shallow clone lacks, also where it knows a single branch.
const FETCH: &str = "git fetch --unshallow --tags origin main:refs/remotes/origin/main";

/// A working copy.
pub(super) struct Repository<'a>(pub(super) &'a Path);

/// A commit, and how it was chosen.
pub(super) type Base = (String, String);

impl Repository<'_> {
    /// The revision that is asked for, or what the main branch had before what is new here. `None` where nothing was
    /// before: at the first commit, or at none.
    pub(super) fn base(&self, revision: Option<&str>) -> Result<Option<Base>> {
        if let Some(revision) = revision {
            let commit = self.commit(revision)?;
            let commit = commit.with_context(|| format!("there is no revision {revision} in this repository"))?;
            return Ok(Some((commit, revision.to_owned())));
        }
        let Some(head) = self.commit("HEAD")? else { return Ok(None) };
        let (main, tip) = match (self.commit("refs/remotes/origin/main")?, self.commit("refs/heads/main")?) {
            (Some(tip), _) => ("origin/main", tip),
            (None, Some(tip)) => ("main", tip),
            (None, None) => return self.before_head("there is no main branch"),
        };
        match self.ask(&["merge-base", &head, &tip])? {
            Some(commit) if commit == head => self.before_head(&format!("HEAD is on {main}")),
            Some(commit) => Ok(Some((commit, format!("where HEAD left {main}")))),
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
        // The tag of the highest version that the parent comes after; one of a candidate is below its version.
        let list = ["tag", "--list", "v[0-9]*", "--sort=-version:refname", "--merged", &parent];
        let tags = self.ask(&[&["-c", "versionsort.suffix=-"], &list[..]].concat())?.unwrap_or_default();
        let Some(tag) = tags.lines().next() else {
            return Ok(Some((parent, format!("the parent of HEAD, as {why} and nothing was released before"))));
        };
        let commit = self.commit(&format!("refs/tags/{tag}"))?.with_context(|| format!("reading the tag {tag}"))?;
        Ok(Some((commit, format!("{tag}, the last release, as {why}"))))
    }

    /// Whoever has only a part of the history cannot tell that there is nothing.
    fn check_history(&self, why: &str) -> Result<()> {
        if self.ask(&["rev-parse", "--is-shallow-repository"])?.as_deref() != Some("false") {
            bail!("{why}, and only a part of the history is here: fetch the history ({FETCH}), or name a revision");
        }
        Ok(())
    }

    fn commit(&self, revision: &str) -> Result<Option<String>> {
        let revision = format!("{revision}^{{commit}}");
        self.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", &revision])
    }

    /// The files of `specs/` at a commit, by their paths.
    pub(super) fn documents(&self, commit: &str) -> Result<Texts> {
        let listed = self.ask(&["ls-tree", "--name-only", commit, "specs/"])?.unwrap_or_default();
        let read = |name: &str| {
            let text = self.ask(&["show", &format!("{commit}:./{name}")])?;
            Ok((name.to_owned(), text.with_context(|| format!("reading {name} at {commit}"))?))
        };
        listed.lines().filter(|name| name.ends_with(".json")).map(read).collect()
    }

    /// What git answers; `None` where it says by its exit code 1 that there is nothing.
    fn ask(&self, arguments: &[&str]) -> Result<Option<String>> {
        let mut git = Command::new("git");
        git.current_dir(self.0).args(arguments).stdin(Stdio::null());
        let output = git.output().context("cannot run git, which knows the earlier documents")?;
        match output.status.code() {
            Some(0) => Ok(Some(String::from_utf8(output.stdout).context("git's answer")?.trim_end().to_owned())),
            Some(1) => Ok(None),
            _ => bail!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim_end()),
        }
    }
}
