//! Runs the Customers API server from its environment until it is told to stop.

use std::process::ExitCode;

use customers::Config;
use service::settings::Env;

#[tokio::main]
async fn main() -> ExitCode {
    service::run("customers", customers::DEFAULT_PORT, async { customers::start(Config::from_env(&Env::process())?) })
        .await
}
