//! Runs the unit tests of `qa/conformance/compose`, which require no containers.

use std::path::Path;
use std::process::Command;

#[test]
fn compose_test_passes_its_unit_tests() {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    let folder = Path::new(&xtask).join("../qa/conformance/compose");
    let mut python = Command::new("python3");
    python.args(["-B", "-m", "unittest", "-v"]).args(["test_confinement", "run"]).current_dir(folder);
    let output = python.output().expect("python3 is installed");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("Ran 3 tests"), "{text}");
}
