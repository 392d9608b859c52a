//! `up`: the system that a person uses, until Ctrl-C. How its services come up is in `serve`.

use std::env;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};

use crate::choice::Choice;
use crate::cli::UpArgs;
use crate::database::Purpose;
use crate::home::Home;
use crate::interrupt::{self, Interrupted};
use crate::progress::Progress;
use crate::services::Settings;
use crate::system::System;
use crate::{choice, detach, ready, sample, serve, workspace};

pub(crate) fn run(args: &UpArgs) -> Result<()> {
    let settings = Settings::read(|name| env::var(name).ok())?;
    let home = Home::take_or_say_who(&workspace::up_directory(), "up")?;
    if args.relay {
        detach::empty_log()?;
    }
    let mut system = System::new(Some(home), Progress::new(args.relay))?;
    let result = start(&mut system, &settings, args).and_then(|()| system.watch());
    if let (true, Err(error)) = (args.relay, &result) {
        // Nobody reads standard error any more; standard output is the log file.
        let _ = writeln!(io::stdout(), "error: {error:#}");
    }
    system.stop();
    if interrupt::has_killed() {
        return Err(Interrupted.into());
    }
    result
}

fn start(system: &mut System, settings: &Settings, args: &UpArgs) -> Result<()> {
    ready::check_ports(settings)?;
    let choice = choice::choose(args.database_url.as_deref(), args.install)?;
    if let (true, Choice::Given(_)) = (args.reset, &choice) {
        bail!(
            "--reset only throws away data that `up` made itself. To start over on a DATABASE_URL, drop and create \
             the database by hand (DROP DATABASE name; CREATE DATABASE name) and run `cargo xtask up`"
        );
    }
    system.progress.say(&format!("database: {choice}"));
    system.start_database(choice, Purpose::Up { reset: args.reset })?;
    let (url, _) = serve::serve(system, settings)?;
    system.logs.print_services();
    let key = format!("up-{}", SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis());
    let shown = choice::without_password(&url);
    system.progress.say(&sample::summary(settings, &shown, &key));
    system.progress.ready();
    system.logs.follow();
    Ok(())
}
