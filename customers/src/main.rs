//! Customers API server program. It reads its settings from the environment and runs until it is stopped.

use std::process::ExitCode;

use common_server::settings::Env;
use customers::Config;

#[tokio::main]
async fn main() -> ExitCode {
    common_server::run("customers", customers::DEFAULT_PORT, async |runtime| {
        let mut config = Config::from_env(&Env::process())?;
        config.runtime = runtime;
        customers::start_with_database(config).await
    })
    .await
}
