//! Helpers shared by the tests.

use std::path::{Path, PathBuf};

/// Returns the root of the working copy under test, which may differ from the one in which this test was built.
pub(crate) fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    Path::new(&package).parent().expect("the workspace's folder").to_owned()
}
