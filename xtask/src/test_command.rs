//! `test`: all tests on a database server of their own.

use anyhow::Result;
use private_server::PrivateServer;

use crate::cli::TestArgs;
use crate::database::{Choice, Purpose};
use crate::home::Home;
use crate::outcome::{COULD_NOT_RUN, FINE, VIOLATION};
use crate::system::System;
use crate::workspace;

pub(crate) async fn run(args: &TestArgs) -> Result<u8> {
    let home = Home::take("test")?;
    let data = home.data();
    let mut system = System::new(Some(home))?;
    let result = run_tests(&mut system, args).await;
    system.stop().await;
    PrivateServer::erase(&data)?;
    result
}

async fn run_tests(system: &mut System, args: &TestArgs) -> Result<u8> {
    system.start_database(Choice::of(args.database_url.as_deref(), args.install)?, Purpose::Run("test"))?;
    let url = system.database_url().await?;
    let cargo = |options: &[&str]| {
        let mut cargo = workspace::cargo();
        cargo.arg("test").args(options).args((!selects_a_package(&args.args)).then_some("--workspace"));
        cargo.args(&args.args).env("TEST_DATABASE_URL", &url);
        cargo
    };
    if system.run_attached(&cargo(&[])).await?.success() {
        return Ok(FINE);
    }
    // Cargo reports a failing test and a failing build alike.
    let builds = system.run(cargo(&["--quiet", "--no-run"]), system.detail_log("build")).await?.success();
    Ok(if builds { VIOLATION } else { COULD_NOT_RUN })
}

/// Whether these arguments of `cargo test` name packages. Cargo would test all of them with `--workspace`.
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
    fn a_selected_package_is_seen_in_every_spelling() {
        let selects = |args: &str| selects_a_package(&Vec::from_iter(args.split(' ').map(str::to_owned)));
        for args in
            ["--package orders confirming", "--package=orders", "-p orders", "-porders", "-p=orders", "-q -p db"]
        {
            assert!(selects(args), "{args}");
        }
        for args in ["confirming", "--profile release", "--no-fail-fast", "-- -p", "-q -- --package"] {
            assert!(!selects(args), "{args}");
        }
    }
}
