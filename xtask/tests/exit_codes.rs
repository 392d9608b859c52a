//! Tests the documented exit codes of xtask, and colored output.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

fn xtask(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(line.split(' ')).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
}

fn run(command: &mut Command) -> Output {
    command.output().expect("xtask runs")
}

fn code(command: &mut Command) -> Option<i32> {
    run(command).status.code()
}

/// Runs xtask with a fake cargo that exits with `exit_code`.
fn with_cargo(line: &str, exit_code: i32) -> Option<i32> {
    let directory = tempfile::tempdir().expect("a directory");
    let cargo = directory.path().join("cargo");
    fs::write(&cargo, format!("#!/bin/sh\nexit {exit_code}\n")).expect("a program");
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("an executable program");
    code(xtask(line).env("CARGO", &cargo))
}

#[test]
fn help_and_version_succeed_and_document_exit_codes() {
    assert_eq!(code(&mut xtask("--version")), Some(0));
    let help = run(&mut xtask("--help"));
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("Exit codes:\n  0    success\n  1 "));
    assert_eq!(code(&mut xtask("ci --list")), Some(0));
}

#[test]
fn a_failing_step_is_a_violation() {
    assert_eq!(with_cargo("ci --only fmt", 1), Some(1));
    assert_eq!(with_cargo("ci --only clippy", 101), Some(1));
    assert_eq!(with_cargo("ci --only fmt", 0), Some(0));
}

#[test]
fn wrong_usage_exits_2() {
    assert_eq!(code(&mut xtask("no-such-command")), Some(2));
    assert_eq!(code(&mut xtask("up --no-such-option")), Some(2));
    assert_eq!(code(&mut xtask("conformance no-such-step")), Some(2));
}

#[test]
fn missing_prerequisite_exits_3() {
    assert_eq!(code(xtask("up").env("HOST", "not an address")), Some(3));
    assert_eq!(with_cargo("openapi check", 101), Some(3), "a build that fails");
    assert_eq!(with_cargo("ci --only test", 3), Some(3), "a step that could not run");
    assert_eq!(code(xtask("rolling --no-install").env("PATH", "").env("CARGO", "/nonexistent/cargo")), Some(3));
}

#[test]
fn color_option_and_no_color_are_honored() {
    let is_colored = |command: &mut Command| run(command).stdout.contains(&0x1b);
    assert!(!is_colored(&mut xtask("--help")), "not a terminal");
    assert!(is_colored(&mut xtask("--color always --help")));
    assert!(!is_colored(&mut xtask("--color never --help")));
    assert!(!is_colored(xtask("--help").env("NO_COLOR", "1")));
}
