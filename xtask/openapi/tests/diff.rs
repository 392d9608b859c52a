//! Tests `openapi diff` as a program in temporary repositories. Unit tests cover the comparison rules.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Temporary repository that contains documents in `specs/`.
struct Repository(TempDir);

/// Exit code and output of the program.
struct Outcome {
    code: Option<i32>,
    output: String,
}

impl Repository {
    fn new() -> Self {
        let repository = Self::without_git();
        repository.git(&["init", "--quiet", "--initial-branch", "main"]);
        repository
    }

    /// Returns a repository on the branch `work`, whose only commit removes an operation, and its merge base with main.
    fn with_a_breaking_branch() -> (Self, String) {
        let repository = Self::new();
        repository.write("shelves.json", &document("1.0.0", &["shelf", "rack"]));
        let base = repository.commit();
        repository.git(&["switch", "--quiet", "--create", "work"]);
        repository.write("shelves.json", &document("1.0.0", &["shelf"]));
        repository.commit();
        (repository, base)
    }

    fn without_git() -> Self {
        let repository = Self(TempDir::new().expect("create a folder"));
        for folder in ["specs", "xtask/openapi"] {
            std::fs::create_dir_all(repository.0.path().join(folder)).expect("create a folder");
        }
        repository
    }

    /// Clones only the last commit of a branch, as CI systems do.
    fn shallow_clone(&self, branch: &str) -> Self {
        let clone = Self(TempDir::new().expect("create a folder"));
        let source = format!("file://{}", self.0.path().display());
        clone.git(&["clone", "--quiet", "--depth", "1", "--branch", branch, &source, "."]);
        std::fs::create_dir_all(clone.0.path().join("xtask/openapi")).expect("create a folder");
        clone
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.0.path());
        // Ignore the repository and configuration in which the test runs.
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(variable);
        }
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CEILING_DIRECTORIES", std::env::temp_dir());
        command
    }

    fn git(&self, arguments: &[&str]) -> String {
        let identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"];
        let output = self.command("git").args(identity).args(arguments).output().expect("git runs");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join("specs").join(name)
    }

    fn write(&self, name: &str, document: &Value) {
        std::fs::write(self.file(name), format!("{document:#}\n")).expect("a written document");
    }

    /// Commits all files, and returns the commit ID.
    fn commit(&self) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "Change"]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn diff(&self, arguments: &[&str]) -> Outcome {
        let mut command = self.command(env!("CARGO_BIN_EXE_xtask-openapi"));
        command.env("CARGO_MANIFEST_DIR", self.0.path().join("xtask/openapi")).arg("diff").args(arguments);
        let output = command.output().expect("the program runs");
        let text = [output.stdout, output.stderr].concat();
        Outcome { code: output.status.code(), output: String::from_utf8(text).expect("text") }
    }
}

impl Outcome {
    #[track_caller]
    fn succeeds_with(&self, text: &str) {
        self.exits_with(0, text);
    }

    #[track_caller]
    fn breaks_with(&self, text: &str) {
        self.exits_with(1, text);
    }

    #[track_caller]
    fn fails_with(&self, text: &str) {
        self.exits_with(3, text);
    }

    #[track_caller]
    fn exits_with(&self, code: i32, text: &str) {
        assert!(
            self.code == Some(code) && self.output.contains(text),
            "{:?}, no {text:?} in: {}",
            self.code,
            self.output
        );
    }

    #[track_caller]
    fn omits(&self, text: &str) {
        assert!(!self.output.contains(text), "{text:?} in: {}", self.output);
    }
}

fn document(version: &str, operations: &[&str]) -> Value {
    let answer =
        json!({"200": {"description": "the shelf", "content": {"text/plain": {"schema": {"type": "string"}}}}});
    let paths = operations.iter().map(|name| {
        let operation = json!({"get": {"operationId": format!("{name}_view"), "responses": answer}});
        (format!("/{name}"), operation)
    });
    let paths: serde_json::Map<_, _> = paths.collect();
    json!({"openapi": "3.0.3", "info": {"title": "Shelves", "version": version}, "paths": paths})
}

#[test]
fn a_breaking_change_fails_and_is_reported_with_its_operation() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.0.0", &["shelf", "rack"]));
    let base = repository.commit();
    repository.write("shelves.json", &document("1.0.1", &["shelf", "box"]));
    let outcome = repository.diff(&[&base]);
    outcome.breaks_with("specs/shelves.json 1.0.1, was 1.0.0: 1 breaking change, and 1 compatible change\n");
    outcome.breaks_with("  GET /rack (rack_view)\n    breaks: operation: removed\n");
    outcome.breaks_with("  GET /box (box_view)\n    ok: operation: added\n");
    outcome.breaks_with("openapi: breaking changes in specs/shelves.json: revert them");
}

#[test]
fn a_new_major_version_allows_breaking_changes_and_reports_them() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.9.0", &["shelf", "rack"]));
    repository.write("other.json", &document("1.0.0", &["shelf"]));
    let base = repository.commit();
    repository.write("shelves.json", &document("2.0.0", &["shelf"]));
    let outcome = repository.diff(&[&base]);
    outcome.succeeds_with("specs/shelves.json 2.0.0, was 1.9.0: 1 breaking change, which the new major version allows");
    outcome.succeeds_with("breaks: operation: removed");
    repository.write("other.json", &document("1.0.0", &[]));
    repository.diff(&[&base]).breaks_with("openapi: breaking changes in specs/other.json: revert them");
}

#[test]
fn compatible_changes_and_text_changes_succeed() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.0.0", &["shelf"]));
    let base = repository.commit();
    repository.diff(&["HEAD"]).succeeds_with("specs/shelves.json 1.0.0: unchanged\n");
    repository.write("shelves.json", &document("1.0.1", &["shelf"]));
    repository.diff(&[&base]).succeeds_with("specs/shelves.json 1.0.1, was 1.0.0: ok, only text differs\n");
    repository.write("shelves.json", &document("1.1.0", &["shelf", "rack"]));
    let outcome = repository.diff(&[&base]);
    outcome.succeeds_with("specs/shelves.json 1.1.0, was 1.0.0: ok, 1 compatible change\n");
    outcome.omits("note");
}

#[test]
fn a_compatible_change_without_a_new_minor_version_is_noted() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.0.0", &["shelf"]));
    let base = repository.commit();
    repository.write("shelves.json", &document("1.0.0", &["shelf", "rack"]));
    let note = "ok, 1 compatible change\n  note: raise the minor version for compatible changes";
    repository.diff(&[&base]).succeeds_with(note);
    repository.write("shelves.json", &document("1.0.7", &["shelf", "rack"]));
    repository.diff(&[&base]).succeeds_with("note: raise the minor version for compatible changes");
    repository.write("shelves.json", &document("1.0.0", &["rack"]));
    repository.diff(&[&base]).omits("note");
    repository.write("shelves.json", &document("1.0.0", &["shelf"]));
    repository.diff(&[&base]).omits("note");
}

#[test]
fn a_new_document_is_compatible_and_a_removed_one_breaks() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.0.0", &["shelf"]));
    let base = repository.commit();
    repository.write("racks.json", &document("1.0.0", &["rack"]));
    repository.write("collection.json", &json!({"info": {"name": "other"}}));
    let outcome = repository.diff(&[&base]);
    outcome.succeeds_with("specs/racks.json 1.0.0: ok, the document was added\n");
    outcome.omits("collection");
    std::fs::remove_file(repository.file("shelves.json")).expect("a removed document");
    repository.diff(&[&base]).breaks_with("specs/shelves.json: breaks, the document was removed\n");
}

#[test]
fn the_default_revision_of_a_branch_is_its_merge_base_with_main() {
    let (repository, base) = Repository::with_a_breaking_branch();
    repository.commit();
    // Operations that a later commit on main adds do not count as removed by the branch.
    repository.git(&["switch", "--quiet", "main"]);
    repository.write("shelves.json", &document("1.0.0", &["shelf", "rack", "box"]));
    let later = repository.commit();
    repository.git(&["switch", "--quiet", "work"]);
    let outcome = repository.diff(&[]);
    outcome.breaks_with(&format!("compared with {} (merge base of HEAD and main)\n", &base[..12]));
    outcome.breaks_with(": 1 breaking change, and 0 compatible changes\n");
    // The remote-tracking main branch takes precedence over the local one.
    repository.git(&["update-ref", "refs/remotes/origin/main", &later]);
    repository.git(&["branch", "--quiet", "--force", "main", "work"]);
    repository.diff(&[]).breaks_with(&format!("compared with {} (merge base of HEAD and origin/main)\n", &base[..12]));
}

#[test]
fn the_default_revision_of_main_before_a_release_is_the_first_parent() {
    let (repository, base) = Repository::with_a_breaking_branch();
    repository.git(&["switch", "--quiet", "main"]);
    repository.git(&["merge", "--quiet", "--no-ff", "--no-edit", "work"]);
    let outcome = repository.diff(&[]);
    let chosen = "parent of HEAD, because HEAD is on main and there is no earlier release";
    outcome.breaks_with(&format!("compared with {} ({chosen})\n", &base[..12]));
    repository.git(&["branch", "--quiet", "--move", "trunk"]);
    let chosen = "(parent of HEAD, because there is no main branch and there is no earlier release)\n";
    repository.diff(&[]).breaks_with(chosen);
}

#[test]
fn the_default_revision_of_main_is_the_last_release() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.0.0", &["shelf", "rack"]));
    let released = repository.commit();
    for tag in ["v1.9.0", "v1.10.0-rc.1", "v1.10.0", "very-old"] {
        repository.git(&["tag", tag]);
    }
    repository.write("shelves.json", &document("1.0.0", &["shelf", "box"]));
    repository.commit();
    // An unreleased operation may be removed.
    repository.write("shelves.json", &document("1.0.0", &["shelf"]));
    repository.commit();
    // A release at HEAD itself is not the base.
    repository.git(&["tag", "v1.11.0"]);
    let outcome = repository.diff(&[]);
    let chosen = format!("compared with {} (v1.10.0, the last release, because HEAD is on main)\n", &released[..12]);
    outcome.breaks_with(&chosen);
    outcome.breaks_with(": 1 breaking change, and 0 compatible changes\n");
    outcome.breaks_with("GET /rack (rack_view)");
}

#[test]
fn the_file_base_names_the_default_revision() {
    let (repository, base) = Repository::with_a_breaking_branch();
    repository.write("shelves.json", &document("2.0.0", &["shelf"]));
    std::fs::write(repository.file("base"), format!("{base}\n")).expect("a written file");
    repository.commit();
    // The new major version is not released, so it may change again.
    repository.write("shelves.json", &document("2.0.0", &["box"]));
    repository.commit();
    let outcome = repository.diff(&[]);
    outcome.succeeds_with(&format!("compared with {} (specs/base names {base})\n", &base[..12]));
    outcome.succeeds_with("specs/shelves.json 2.0.0, was 1.0.0: 2 breaking changes, which the new major version");
    repository.diff(&["HEAD^1"]).breaks_with("openapi: breaking changes in specs/shelves.json");

    let clone = repository.shallow_clone("work");
    clone.diff(&[]).fails_with(&format!("specs/base names {base}, and the clone is shallow: fetch the history"));
    std::fs::write(repository.file("base"), "v7").expect("a written file");
    repository.diff(&[]).fails_with("openapi: specs/base names v7, which is unknown\n");
}

#[test]
fn the_first_commit_is_not_compared() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.0.0", &["shelf"]));
    repository.diff(&[]).succeeds_with("nothing to compare with: there is no earlier commit\n");
    repository.commit();
    repository.diff(&[]).succeeds_with("nothing to compare with: there is no earlier commit\n");
    repository.commit();
    repository.diff(&[]).succeeds_with("specs/shelves.json 1.0.0: unchanged\n");
}

#[test]
fn a_shallow_clone_needs_its_history_or_a_revision() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.0.0", &["shelf"]));
    repository.commit();
    repository.commit();
    let main = repository.shallow_clone("main");
    main.diff(&[]).fails_with("HEAD is on origin/main, and the clone is shallow: fetch the history");
    main.diff(&["HEAD"]).succeeds_with("specs/shelves.json 1.0.0: unchanged\n");

    repository.git(&["switch", "--quiet", "--create", "work"]);
    repository.commit();
    let work = repository.shallow_clone("work");
    work.diff(&[]).fails_with("there is no main branch, and the clone is shallow");
    work.git(&["fetch", "--quiet", "--depth", "1", "origin", "main:refs/remotes/origin/main"]);
    work.diff(&[]).fails_with("HEAD and origin/main have no common commit, and the clone is shallow");
    let error = work.diff(&[]).output;
    let fix = error.split(['(', ')']).nth(1).expect("a command that fixes it");
    work.git(&fix.split(' ').skip(1).collect::<Vec<_>>());
    work.diff(&[]).succeeds_with("(merge base of HEAD and origin/main)\nspecs/shelves.json 1.0.0: unchanged\n");
}

#[test]
fn an_unrelated_branch_needs_a_revision() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.0.0", &["shelf"]));
    repository.commit();
    repository.git(&["switch", "--quiet", "--orphan", "other"]);
    repository.commit();
    repository.diff(&[]).fails_with("openapi: HEAD and main have no common commit: specify a revision\n");
}

#[test]
fn missing_revisions_and_tools_are_reported() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.0.0", &["shelf"]));
    repository.commit();
    repository.diff(&["v7"]).fails_with("openapi: unknown revision v7\n");
    repository.diff(&["--", "--all"]).fails_with("openapi: unknown revision --all\n");

    let folder = Repository::without_git();
    folder.write("shelves.json", &document("1.0.0", &["shelf"]));
    folder.diff(&[]).fails_with("not a git repository");
    folder.diff(&["HEAD"]).fails_with("not a git repository");

    let mut command = repository.command(env!("CARGO_BIN_EXE_xtask-openapi"));
    command.env("CARGO_MANIFEST_DIR", repository.0.path().join("xtask/openapi")).env("PATH", "").arg("diff");
    let output = command.output().expect("the program runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains("cannot run git"), "{text}");
}

#[test]
fn an_invalid_document_is_reported() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.0.0", &["shelf"]));
    let base = repository.commit();
    let mut broken = document("1.0.0", &["shelf"]);
    broken["paths"]["/shelf"]["get"]["responses"]["404"] = json!({"$ref": "#/components/responses/Error"});
    repository.write("shelves.json", &broken);
    repository.diff(&[&base]).fails_with("specs/shelves.json: dangling reference #/components/responses/Error");
    broken["paths"]["/shelf"]["get"]["responses"] = json!("none");
    repository.write("shelves.json", &broken);
    repository.diff(&[&base]).fails_with("specs/shelves.json: not an OpenAPI document");
}

#[test]
fn colors_are_used_on_terminals_or_on_request() {
    let (repository, _) = Repository::with_a_breaking_branch();
    let diff = |arguments: &[&str]| repository.diff(arguments).output;
    assert!(!diff(&[]).contains('\x1b') && !diff(&["--color", "never"]).contains('\x1b'));
    assert!(diff(&["--color", "always"]).contains("\x1b[1m\x1b[31mopenapi:"));
}

#[test]
fn usage_errors_exit_2_and_the_version_is_printed() {
    let repository = Repository::without_git();
    repository.diff(&["--nonsense"]).exits_with(2, "--help");
    let output = repository.command(env!("CARGO_BIN_EXE_xtask-openapi")).arg("--version").output().expect("it runs");
    assert!(output.status.success() && output.stdout.ends_with(concat!(env!("CARGO_PKG_VERSION"), "\n").as_bytes()));
}
