//! `test`: all tests on a database server of their own.

use std::process::ExitCode;

use anyhow::Result;
use private_server::PrivateServer;

use crate::cli::TestArgs;
use crate::database::Purpose;
use crate::home::Home;
use crate::progress::Progress;
use crate::system::System;
use crate::{choice, process, workspace};

pub(crate) fn run(args: &TestArgs) -> Result<ExitCode> {
    let home = Home::take_or_say_who(&workspace::test_directory(), "test")?;
    let data = home.data();
    let mut system = System::new(Some(home), Progress::new(false))?;
    let code = run_tests(&mut system, args);
    system.stop();
    PrivateServer::erase(&data)?;
    code
}

fn run_tests(system: &mut System, args: &TestArgs) -> Result<ExitCode> {
    let choice = choice::choose(args.database_url.as_deref(), args.install)?;
    system.progress.say(&format!("database: {choice}"));
    system.start_database(choice, Purpose::Test)?;
    let url = system.database_url()?;
    let mut cargo = workspace::cargo();
    cargo.arg("test");
    if !selects_a_package(&args.args) {
        cargo.arg("--workspace");
    }
    cargo.args(&args.args).env("TEST_DATABASE_URL", url);
    system.run_attached("test", &cargo).map(process::exit_code)
}

/// Whether these arguments of `cargo test` say which packages are tested. Cargo would test all of them with `--workspace`.
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
