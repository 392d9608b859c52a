//! Where things are in the working copy, and how cargo is called.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// Cargo says at run time in which working copy this is. The program may have been built in another one that builds in
/// the same folder.
static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let package = PathBuf::from(package);
    package.parent().unwrap_or(&package).to_owned()
});

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    &ROOT
}

/// What `up` keeps: locks, state, log and the private server's data. Ignored by git.
pub(crate) fn up_directory() -> PathBuf {
    root().join(".local/up")
}

/// What `test` keeps while it runs. Ignored by git.
pub(crate) fn test_directory() -> PathBuf {
    root().join(".local/test")
}

/// Where each run of `chaos` has a directory of its own. Ignored by git.
pub(crate) fn chaos_directory() -> PathBuf {
    root().join(".local/chaos")
}

/// Where each run of `rolling` has a directory of its own. Ignored by git.
pub(crate) fn rolling_directory() -> PathBuf {
    root().join(".local/rolling")
}

/// Where each run of `abuse` has a directory of its own. Ignored by git.
pub(crate) fn abuse_directory() -> PathBuf {
    root().join(".local/abuse")
}

/// Where each run of `bench` has a directory of its own. Ignored by git.
pub(crate) fn bench_directory() -> PathBuf {
    root().join(".local/bench")
}

/// What `conformance` keeps: its database while it runs, the log of each step, what was generated, and a Python
/// environment. Ignored by git.
pub(crate) fn conformance_directory() -> PathBuf {
    root().join(".local/conformance")
}

/// What is unpacked from Debian's packages and not installed. Ignored by git.
pub(crate) fn packages_directory() -> PathBuf {
    root().join(".local/packages")
}

/// What `compose-test` keeps: the log of the tour. Ignored by git.
pub(crate) fn compose_test_directory() -> PathBuf {
    root().join(".local/compose-test")
}

/// The cargo that runs this program, in the root of the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}
