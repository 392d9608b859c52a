//! `openapi`: a program of its own, so that xtask does not have to compile the API crates.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::OpenapiAction;
use crate::progress::Progress;
use crate::system::System;
use crate::{process, programs};

pub(crate) fn run(action: &OpenapiAction) -> Result<ExitCode> {
    let mut system = System::new(None, Progress::new(false))?;
    let Some(programs) = programs::build_attached(&mut system, &["xtask-openapi"])? else {
        return Ok(ExitCode::FAILURE);
    };
    let mut command = programs.command("xtask-openapi", "xtask/openapi")?;
    command.args(action.arguments());
    system.run_attached("openapi", &command).map(process::exit_code)
}
