//! `openapi diff` as a program, in repositories made for the test. Which change breaks whom is tested beside the rules.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

/// A repository with a document in `specs/`, as this one has them.
struct Repository(TempDir);

/// What the program did.
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

    /// On the branch `work`, whose only commit takes an operation away; and the commit where it left main.
    fn with_a_break_on_a_branch() -> (Self, String) {
        let repository = Self::new();
        repository.write("shelves.json", &document("1.0.0", &["shelf", "rack"]));
        let base = repository.commit();
        repository.git(&["switch", "--quiet", "--create", "work"]);
        repository.write("shelves.json", &document("1.0.0", &["shelf"]));
        repository.commit();
        (repository, base)
    }

    fn without_git() -> Self {
        let repository = Self(TempDir::new().expect("a folder"));
        for folder in ["specs", "xtask/openapi"] {
            std::fs::create_dir_all(repository.0.path().join(folder)).expect("a folder");
        }
        repository
    }

    /// A clone of the last commit of a branch, as a CI system makes it.
    fn shallow_clone(&self, branch: &str) -> Self {
        let clone = Self(TempDir::new().expect("a folder"));
        let source = format!("file://{}", self.0.path().display());
        clone.git(&["clone", "--quiet", "--depth", "1", "--branch", branch, &source, "."]);
        std::fs::create_dir_all(clone.0.path().join("xtask/openapi")).expect("a folder");
        clone
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.0.path());
        // Whatever git the test runs in, this is another one.
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(variable);
        }
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CEILING_DIRECTORIES", std::env::temp_dir());
        command
    }

    fn git(&self, arguments: &[&str]) -> String {
        let who = ["-c", "user.name=Test", "-c", "user.email=test@example.com"];
        let output = self.command("git").args(who).args(arguments).output().expect("git runs");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join("specs").join(name)
    }

    fn write(&self, name: &str, document: &Value) {
        std::fs::write(self.file(name), format!("{document:#}\n")).expect("a written document");
    }

    /// Commits all there is, and gives the commit.
    fn commit(&self) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "Change"]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn diff(&self, arguments: &[&str]) -> Outcome {
        let mut command = self.command(env!("CARGO_BIN_EXE_xtask-openapi"));
        command.env("CARGO_MANIFEST_DIR", self.0.path().join("xtask/openapi")).arg("diff").args(arguments);
        let output = command.output().expect("the program runs");
        let said = [output.stdout, output.stderr].concat();
        Outcome { code: output.status.code(), output: String::from_utf8(said).expect("text") }
    }
}

impl Outcome {
    #[track_caller]
    fn is_fine_and_says(&self, text: &str) {
        self.ends_with_and_says(0, text);
    }

    #[track_caller]
    fn breaks_and_says(&self, text: &str) {
        self.ends_with_and_says(1, text);
    }

    #[track_caller]
    fn fails_and_says(&self, text: &str) {
        self.ends_with_and_says(3, text);
    }

    #[track_caller]
    fn ends_with_and_says(&self, code: i32, text: &str) {
        assert!(
            self.code == Some(code) && self.output.contains(text),
            "{:?}, no {text:?} in: {}",
            self.code,
            self.output
        );
    }

    #[track_caller]
    fn says_nothing_of(&self, text: &str) {
        assert!(!self.output.contains(text), "{text:?} in: {}", self.output);
    }
}

fn document(version: &str, operations: &[&str]) -> Value {
    let answer = json!({"200": {"description": "as it is", "content": {"text/plain": {"schema": {"type": "string"}}}}});
    let paths = operations.iter().map(|name| {
        let operation = json!({"get": {"operationId": format!("{name}_view"), "responses": answer}});
        (format!("/{name}"), operation)
    });
    let paths: serde_json::Map<_, _> = paths.collect();
    json!({"openapi": "3.0.3", "info": {"title": "Shelves", "version": version}, "paths": paths})
}

#[test]
fn a_break_fails_and_is_told_with_its_operation() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.0.0", &["shelf", "rack"]));
    let base = repository.commit();
    repository.write("shelves.json", &document("1.0.1", &["shelf", "box"]));
    let outcome = repository.diff(&[&base]);
    outcome.breaks_and_says("specs/shelves.json 1.0.1, was 1.0.0: 1 break, and 1 compatible difference\n");
    outcome.breaks_and_says("  GET /rack (rack_view)\n    breaks: operation: it is gone\n");
    outcome.breaks_and_says("  GET /box (box_view)\n    ok: operation: it is new\n");
    outcome.breaks_and_says("openapi: specs/shelves.json would break clients");
}

#[test]
fn a_raised_major_version_allows_breaks_and_still_tells_them() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.9.0", &["shelf", "rack"]));
    repository.write("other.json", &document("1.0.0", &["shelf"]));
    let base = repository.commit();
    repository.write("shelves.json", &document("2.0.0", &["shelf"]));
    let outcome = repository.diff(&[&base]);
    outcome.is_fine_and_says("specs/shelves.json 2.0.0, was 1.9.0: 1 break, which the new major version allows");
    outcome.is_fine_and_says("breaks: operation: it is gone");
    repository.write("other.json", &document("1.0.0", &[]));
    repository.diff(&[&base]).breaks_and_says("openapi: specs/other.json would break clients");
}

#[test]
fn compatible_changes_and_text_are_fine() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.0.0", &["shelf"]));
    let base = repository.commit();
    repository.diff(&["HEAD"]).is_fine_and_says("specs/shelves.json 1.0.0: unchanged\n");
    repository.write("shelves.json", &document("1.0.1", &["shelf"]));
    repository.diff(&[&base]).is_fine_and_says("specs/shelves.json 1.0.1, was 1.0.0: ok, only text differs\n");
    repository.write("shelves.json", &document("1.1.0", &["shelf", "rack"]));
    let outcome = repository.diff(&[&base]);
    outcome.is_fine_and_says("specs/shelves.json 1.1.0, was 1.0.0: ok, 1 compatible difference\n");
    outcome.says_nothing_of("note");
}

#[test]
fn a_compatible_change_without_a_minor_version_is_noted() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.0.0", &["shelf"]));
    let base = repository.commit();
    repository.write("shelves.json", &document("1.0.0", &["shelf", "rack"]));
    let note = "ok, 1 compatible difference\n  note: what is compatible raises the minor version";
    repository.diff(&[&base]).is_fine_and_says(note);
    repository.write("shelves.json", &document("1.0.7", &["shelf", "rack"]));
    repository.diff(&[&base]).is_fine_and_says("note: what is compatible raises the minor version");
    repository.write("shelves.json", &document("1.0.0", &["rack"]));
    repository.diff(&[&base]).says_nothing_of("note");
    repository.write("shelves.json", &document("1.0.0", &["shelf"]));
    repository.diff(&[&base]).says_nothing_of("note");
}

#[test]
fn a_new_document_is_fine_and_one_that_is_gone_is_a_break() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.0.0", &["shelf"]));
    let base = repository.commit();
    repository.write("racks.json", &document("1.0.0", &["rack"]));
    repository.write("collection.json", &json!({"info": {"name": "no document"}}));
    let outcome = repository.diff(&[&base]);
    outcome.is_fine_and_says("specs/racks.json 1.0.0: ok, the document is new\n");
    outcome.says_nothing_of("collection");
    std::fs::remove_file(repository.file("shelves.json")).expect("a removed document");
    repository.diff(&[&base]).breaks_and_says("specs/shelves.json: breaks, the document is gone\n");
}

#[test]
fn unless_told_otherwise_it_compares_with_where_the_branch_left_main() {
    let (repository, base) = Repository::with_a_break_on_a_branch();
    repository.commit();
    // What main gets meanwhile is not undone here.
    repository.git(&["switch", "--quiet", "main"]);
    repository.write("shelves.json", &document("1.0.0", &["shelf", "rack", "box"]));
    let later = repository.commit();
    repository.git(&["switch", "--quiet", "work"]);
    let outcome = repository.diff(&[]);
    outcome.breaks_and_says(&format!("compared with {} (where HEAD left main)\n", &base[..12]));
    outcome.breaks_and_says(": 1 break, and 0 compatible differences\n");
    // The main branch of others counts before one's own.
    repository.git(&["update-ref", "refs/remotes/origin/main", &later]);
    repository.git(&["branch", "--quiet", "--force", "main", "work"]);
    repository.diff(&[]).breaks_and_says(&format!("compared with {} (where HEAD left origin/main)\n", &base[..12]));
}

#[test]
fn on_main_it_compares_with_the_first_parent_before_any_release() {
    let (repository, base) = Repository::with_a_break_on_a_branch();
    repository.git(&["switch", "--quiet", "main"]);
    repository.git(&["merge", "--quiet", "--no-ff", "--no-edit", "work"]);
    let outcome = repository.diff(&[]);
    let chosen = "the parent of HEAD, as HEAD is on main and nothing was released before";
    outcome.breaks_and_says(&format!("compared with {} ({chosen})\n", &base[..12]));
    repository.git(&["branch", "--quiet", "--move", "trunk"]);
    let chosen = "(the parent of HEAD, as there is no main branch and nothing was released before)\n";
    repository.diff(&[]).breaks_and_says(chosen);
}

#[test]
fn on_main_it_compares_with_the_last_release_whatever_came_after() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.0.0", &["shelf", "rack"]));
    let released = repository.commit();
    for tag in ["v1.9.0", "v1.10.0-rc.1", "v1.10.0", "very-old"] {
        repository.git(&["tag", tag]);
    }
    repository.write("shelves.json", &document("1.0.0", &["shelf", "box"]));
    repository.commit();
    // What was never released may go again.
    repository.write("shelves.json", &document("1.0.0", &["shelf"]));
    repository.commit();
    // The release that is made here is not what is compared with.
    repository.git(&["tag", "v1.11.0"]);
    let outcome = repository.diff(&[]);
    let chosen = format!("compared with {} (v1.10.0, the last release, as HEAD is on main)\n", &released[..12]);
    outcome.breaks_and_says(&chosen);
    outcome.breaks_and_says(": 1 break, and 0 compatible differences\n");
    outcome.breaks_and_says("GET /rack (rack_view)");
}

#[test]
fn the_first_commit_has_nothing_to_be_compared_with() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.0.0", &["shelf"]));
    repository.diff(&[]).is_fine_and_says("nothing to compare with: the history begins here\n");
    repository.commit();
    repository.diff(&[]).is_fine_and_says("nothing to compare with: the history begins here\n");
    repository.commit();
    repository.diff(&[]).is_fine_and_says("specs/shelves.json 1.0.0: unchanged\n");
}

#[test]
fn a_part_of_the_history_is_not_enough_to_find_nothing_in() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.0.0", &["shelf"]));
    repository.commit();
    repository.commit();
    let main = repository.shallow_clone("main");
    main.diff(&[]).fails_and_says("HEAD is on origin/main, and only a part of the history is here: fetch the history");
    main.diff(&["HEAD"]).is_fine_and_says("specs/shelves.json 1.0.0: unchanged\n");

    repository.git(&["switch", "--quiet", "--create", "work"]);
    repository.commit();
    let work = repository.shallow_clone("work");
    work.diff(&[]).fails_and_says("there is no main branch, and only a part of the history is here");
    work.git(&["fetch", "--quiet", "--depth", "1", "origin", "main:refs/remotes/origin/main"]);
    work.diff(&[])
        .fails_and_says("HEAD and origin/main have no commit in common, and only a part of the history is here");
    let refused = work.diff(&[]).output;
    let mending = refused.split(['(', ')']).nth(1).expect("the words how to mend it");
    work.git(&mending.split(' ').skip(1).collect::<Vec<_>>());
    work.diff(&[]).is_fine_and_says("(where HEAD left origin/main)\nspecs/shelves.json 1.0.0: unchanged\n");
}

#[test]
fn a_branch_of_another_origin_needs_a_revision() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.0.0", &["shelf"]));
    repository.commit();
    repository.git(&["switch", "--quiet", "--orphan", "other"]);
    repository.commit();
    repository.diff(&[]).fails_and_says("openapi: HEAD and main have no commit in common: name a revision\n");
}

#[test]
fn what_is_missing_is_named() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.0.0", &["shelf"]));
    repository.commit();
    repository.diff(&["v7"]).fails_and_says("openapi: there is no revision v7 in this repository\n");
    repository.diff(&["--", "--all"]).fails_and_says("openapi: there is no revision --all in this repository\n");

    let folder = Repository::without_git();
    folder.write("shelves.json", &document("1.0.0", &["shelf"]));
    folder.diff(&[]).fails_and_says("not a git repository");
    folder.diff(&["HEAD"]).fails_and_says("not a git repository");

    let mut command = repository.command(env!("CARGO_BIN_EXE_xtask-openapi"));
    command.env("CARGO_MANIFEST_DIR", repository.0.path().join("xtask/openapi")).env("PATH", "").arg("diff");
    let output = command.output().expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("cannot run git"), "{said}");
}

#[test]
fn a_document_that_cannot_be_judged_is_named() {
    let repository = Repository::new();
    repository.write("shelves.json", &document("1.0.0", &["shelf"]));
    let base = repository.commit();
    let mut broken = document("1.0.0", &["shelf"]);
    broken["paths"]["/shelf"]["get"]["responses"]["404"] = json!({"$ref": "#/components/responses/Error"});
    repository.write("shelves.json", &broken);
    repository
        .diff(&[&base])
        .fails_and_says("specs/shelves.json: its reference #/components/responses/Error leads nowhere");
    broken["paths"]["/shelf"]["get"]["responses"] = json!("none");
    repository.write("shelves.json", &broken);
    repository.diff(&[&base]).fails_and_says("specs/shelves.json: it is no OpenAPI document");
}

#[test]
fn colors_are_for_terminals_and_whoever_asks_for_them() {
    let (repository, _) = Repository::with_a_break_on_a_branch();
    let diff = |arguments: &[&str]| repository.diff(arguments).output;
    assert!(!diff(&[]).contains('\x1b') && !diff(&["--color", "never"]).contains('\x1b'));
    assert!(diff(&["--color", "always"]).contains("\x1b[1m\x1b[31mopenapi:"));
}

#[test]
fn usage_is_checked_and_the_version_shown() {
    let repository = Repository::without_git();
    repository.diff(&["--nonsense"]).ends_with_and_says(2, "--help");
    let output = repository.command(env!("CARGO_BIN_EXE_xtask-openapi")).arg("--version").output().expect("it runs");
    assert!(output.status.success() && output.stdout.ends_with(concat!(env!("CARGO_PKG_VERSION"), "\n").as_bytes()));
}
