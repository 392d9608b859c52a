//! Base revision of the comparison, and the documents at that revision, read with the `git` program.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::Texts;

/// Command that completes a shallow or single-branch clone.
const FETCH: &str = "git fetch --unshallow --tags origin main:refs/remotes/origin/main";

/// File with the revision with which to compare while a new major version is not released. Until its release, the
/// documents of that version may change in any way.
const BASE: &str = "specs/base";

/// Working copy in which `git` runs.
pub(super) struct Repository<'a>(pub(super) &'a Path);

/// Commit, and the reason for its selection.
pub(super) type Base = (String, String);

impl Repository<'_> {
    /// Returns the given revision, or by default the revision in [`BASE`], the merge base with main, or, on main, the
    /// latest release. Returns `None` if there is no earlier commit.
    pub(super) fn base(&self, revision: Option<&str>) -> Result<Option<Base>> {
        if let Some(revision) = revision {
            let commit = self.commit(revision)?;
            let commit = commit.with_context(|| format!("unknown revision {revision}"))?;
            return Ok(Some((commit, revision.to_owned())));
        }
        if let Some(revision) = self.named()? {
            let why = format!("{BASE} names {revision}");
            return match self.commit(&revision)? {
                Some(commit) => Ok(Some((commit, why))),
                None => self.check_history(&why).and_then(|()| bail!("{why}, which is unknown")),
            };
        }
        let Some(head) = self.commit("HEAD")? else { return Ok(None) };
        let (main, tip) = match (self.commit("refs/remotes/origin/main")?, self.commit("refs/heads/main")?) {
            (Some(tip), _) => ("origin/main", tip),
            (None, Some(tip)) => ("main", tip),
            (None, None) => return self.before_head("there is no main branch"),
        };
        match self.git(&["merge-base", &head, &tip])? {
            Some(commit) if commit == head => self.before_head(&format!("HEAD is on {main}")),
            Some(commit) => Ok(Some((commit, format!("merge base of HEAD and {main}")))),
            None => {
                self.check_history(&format!("HEAD and {main} have no common commit"))?;
                bail!("HEAD and {main} have no common commit: specify a revision")
            }
        }
    }

    /// Returns the content of [`BASE`], if the file exists.
    fn named(&self) -> Result<Option<String>> {
        match std::fs::read_to_string(self.0.join(BASE)) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context(format!("cannot read {BASE}")),
        }
    }

    /// Returns the latest release, which clients use, or, before the first release, the parent of HEAD.
    fn before_head(&self, why: &str) -> Result<Option<Base>> {
        self.check_history(why)?;
        let Some(parent) = self.commit("HEAD^1")? else { return Ok(None) };
        // The highest version tag that is reachable from the parent. Release candidates sort below their release.
        let list = ["tag", "--list", "v[0-9]*", "--sort=-version:refname", "--merged", &parent];
        let tags = self.git(&[&["-c", "versionsort.suffix=-"], &list[..]].concat())?.unwrap_or_default();
        let Some(tag) = tags.lines().next() else {
            return Ok(Some((parent, format!("parent of HEAD, because {why} and there is no earlier release"))));
        };
        let commit = self.commit(&format!("refs/tags/{tag}"))?.with_context(|| format!("cannot read the tag {tag}"))?;
        Ok(Some((commit, format!("{tag}, the last release, because {why}"))))
    }

    /// Returns an error in a shallow clone, in which a commit may be missing although it exists.
    fn check_history(&self, why: &str) -> Result<()> {
        if self.git(&["rev-parse", "--is-shallow-repository"])?.as_deref() != Some("false") {
            bail!("{why}, and the clone is shallow: fetch the history ({FETCH}), or specify a revision");
        }
        Ok(())
    }

    fn commit(&self, revision: &str) -> Result<Option<String>> {
        let revision = format!("{revision}^{{commit}}");
        self.git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &revision])
    }

    pub(super) fn documents(&self, commit: &str) -> Result<Texts> {
        let listed = self.git(&["ls-tree", "--name-only", commit, "specs/"])?.unwrap_or_default();
        let read = |name: &str| {
            let text = self.git(&["show", &format!("{commit}:./{name}")])?;
            Ok((name.to_owned(), text.with_context(|| format!("cannot read {name} at {commit}"))?))
        };
        listed.lines().filter(|name| name.ends_with(".json")).map(read).collect()
    }

    /// Returns the output of git, or `None` if it exits with 1, which means that nothing was found.
    fn git(&self, arguments: &[&str]) -> Result<Option<String>> {
        let mut command = Command::new("git");
        command.current_dir(self.0).args(arguments).stdin(Stdio::null());
        let output = command.output().context("cannot run git to read the earlier documents")?;
        match output.status.code() {
            Some(0) => Ok(Some(
                String::from_utf8(output.stdout).context("the output of git is not UTF-8")?.trim_end().to_owned(),
            )),
            Some(1) => Ok(None),
            _ => bail!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim_end()),
        }
    }
}
