//! Runs the Orders API server from its environment until it is told to stop.

use std::process::ExitCode;

use orders::Config;
use service::settings::Env;

#[tokio::main]
async fn main() -> ExitCode {
    service::run("orders", orders::DEFAULT_PORT, async { orders::start(Config::from_env(&Env::process())?) }).await
}
