//! `down`: ends the `up` that is running.

use anyhow::{Result, bail};
use private_server::claim::Claim;
use private_server::supervisor::send_signal;

use crate::home::{self, Home};
use crate::state::State;
use crate::{process, workspace};

pub(crate) fn run() -> Result<()> {
    let directory = workspace::up_directory();
    // What a killed one left behind has to end too.
    if Home::take(&directory, "down")?.is_some() {
        process::complain("nothing is running");
        return Ok(());
    }
    let state = State::load(&directory).filter(|state| state.command == "up" && state.owner.may_be_running());
    let Some(State { owner, .. }) = state else {
        bail!(home::holder(&directory));
    };
    process::complain(&format!("stopping `up` (process {})", owner.pid));
    send_signal("TERM", i64::from(owner.pid))?;
    Claim::wait_until_free(&directory)?;
    process::complain("stopped");
    Ok(())
}
