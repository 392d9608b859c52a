//! Orders API server: reads its settings from the environment and runs until it receives a shutdown signal.

use std::process::ExitCode;

use common_server::settings::Env;
use orders::Config;

#[tokio::main]
async fn main() -> ExitCode {
    common_server::run("orders", orders::DEFAULT_PORT, async |runtime| {
        let mut config = Config::from_env(&Env::process())?;
        config.runtime = runtime;
        orders::start_with_database(config).await
    })
    .await
}
