//! `test`: runs the tests on a private database server.

use anyhow::Result;
use private_server::PrivateServer;

use crate::cli::TestArgs;
use crate::database::{Choice, Purpose};
use crate::outcome::{COULD_NOT_RUN, SUCCESS, VIOLATION};
use crate::system::System;
use crate::work_dir::WorkDir;
use crate::workspace;

pub(crate) async fn run(args: &TestArgs) -> Result<u8> {
    let work_dir = WorkDir::acquire("test")?;
    let data = work_dir.data();
    let mut system = System::new(Some(work_dir))?;
    let result = run_tests(&mut system, args).await;
    system.stop().await;
    PrivateServer::erase(&data)?;
    result
}

async fn run_tests(system: &mut System, args: &TestArgs) -> Result<u8> {
    system.start_database(Choice::select(args.database_url.as_deref(), args.install)?, Purpose::Run("test"))?;
    let url = system.database_url().await?;
    let cargo = |options: &[&str]| {
        let mut cargo = workspace::cargo();
        cargo.arg("test").args(options).args((!selects_a_package(&args.args)).then_some("--workspace"));
        cargo.args(&args.args).env("TEST_DATABASE_URL", &url);
        cargo
    };
    if system.run_attached(&cargo(&[])).await?.success() {
        return Ok(SUCCESS);
    }
    // Cargo's exit status does not distinguish failed tests from a failed build.
    let builds = system.run(cargo(&["--quiet", "--no-run"]), system.detail_log("build")).await?.success();
    Ok(if builds { VIOLATION } else { COULD_NOT_RUN })
}

/// Whether the arguments for `cargo test` select packages. `--workspace` would override that selection.
fn selects_a_package(args: &[String]) -> bool {
    let for_cargo = args.iter().take_while(|arg| *arg != "--");
    for_cargo.into_iter().any(|arg| {
        let is_short = arg.starts_with("-p") && !arg.starts_with("--");
        is_short || arg == "--package" || arg.starts_with("--package=")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_selection_is_recognised_in_every_form() {
        let selects = |args: &str| selects_a_package(&Vec::from_iter(args.split(' ').map(str::to_owned)));
        for args in ["--package orders confirm", "--package=orders", "-p orders", "-porders", "-p=orders", "-q -p db"] {
            assert!(selects(args), "{args}");
        }
        for args in ["confirm", "--profile release", "--no-fail-fast", "-- -p", "-q -- --package"] {
            assert!(!selects(args), "{args}");
        }
    }
}
