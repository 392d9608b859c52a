//! Runs the orchestrator: as a Lambda function if AWS Lambda has set `AWS_LAMBDA_RUNTIME_API`, otherwise as a local
//! server.

use std::process::ExitCode;

use common_server::settings::Env;
use orchestrator::{Config, DEFAULT_PORT, lambda, start};

#[tokio::main]
async fn main() -> ExitCode {
    let config = |runtime| {
        let mut config = Config::from_env(&Env::process())?;
        config.runtime = runtime;
        Ok(config)
    };
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() {
        lambda::run(config).await
    } else {
        common_server::run("orchestrator", DEFAULT_PORT, async |runtime| start(config(runtime)?)).await
    }
}
