//! `up --watch`: rebuilds and restarts services when their sources change.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use cargo_metadata::Metadata;
use harness::Service;
use notify::{Event, RecursiveMode, Watcher, recommended_watcher};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use crate::outcome::Interrupted;
use crate::settings::Settings;
use crate::system::System;
use crate::{metadata, programs, workspace};

/// Debounce time: editors and Git write several files in quick succession.
const DEBOUNCE: Duration = Duration::from_millis(300);

/// Watches the sources until the first signal or until a process exits unexpectedly.
pub(crate) async fn run(system: &mut System, settings: &Settings, database_url: &str) -> Result<()> {
    let (sender, mut changes) = unbounded_channel();
    let mut watcher = recommended_watcher(move |event: notify::Result<Event>| {
        // Ignore read access, which the watcher also reports.
        if event.is_ok_and(|Event { kind, .. }| kind.is_create() || kind.is_modify() || kind.is_remove()) {
            // Sending fails only at shutdown, after the receiver is dropped.
            let _ = sender.send(());
        }
    })?;
    for folder in watched(&metadata::read()?)? {
        let watch = watcher.watch(&folder, RecursiveMode::Recursive);
        watch.with_context(|| format!("cannot watch {}", folder.display()))?;
    }
    system.progress.print("Watching the sources of the services for changes");
    loop {
        system.unless_interrupted(next_change(&mut changes)).await?;
        if let Err(error) = rebuild_and_restart(system, settings, database_url).await {
            if error.is::<Interrupted>() {
                return Err(error);
            }
            system.progress.clear();
            system.progress.print(&format!("{error:#}\nWaiting for the next change"));
        }
    }
}

/// Rebuilds, and restarts services whose program changed. If the build fails, the services keep running.
async fn rebuild_and_restart(system: &mut System, settings: &Settings, database_url: &str) -> Result<()> {
    let programs = programs::build(system, &Service::ALL.map(Service::name)).await?;
    for service in Service::ALL {
        if !system.is_outdated(service, programs.path(service.name())?)? {
            continue;
        }
        system.stop_service(service).await;
        let mut command = programs.command(service.name())?;
        command.envs(settings.environment(service, database_url));
        system.start_service(service, command).await?;
        system.wait_until_ready(service, settings.address(service)).await?;
    }
    Ok(())
}

/// Waits for a change, and then until no further change occurs within the debounce time.
async fn next_change(changes: &mut UnboundedReceiver<()>) {
    changes.recv().await;
    while let Ok(Some(())) = timeout(DEBOUNCE, changes.recv()).await {}
}

/// Returns the directories of the services' packages, and `specs`, from which clients are generated.
fn watched(workspace: &Metadata) -> Result<BTreeSet<PathBuf>> {
    let mut folders = BTreeSet::from([workspace::root().join("specs")]);
    for service in Service::ALL {
        folders.extend(metadata::source_folders(workspace, service.name())?.into_iter().map(Path::to_owned));
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sources_of_services_are_watched() {
        let packages = metadata::read().unwrap();
        let watched = watched(&packages).unwrap();
        let is_watched = |file: &str| watched.iter().any(|folder| workspace::root().join(file).starts_with(folder));
        for crates in [
            &["orders", "orchestrator", "customers", "customers/api", "db", "common/server", "common/contract"][..],
            &["clients/orders", "clients/customers", "orchestrator/api"],
        ] {
            assert!(crates.iter().all(|folder| is_watched(&format!("{folder}/src/lib.rs"))), "{crates:?}");
        }
        assert!(is_watched("specs/orders.json"));
        for other in ["xtask/src/main.rs", "qa/bench/src/main.rs", "README.md", "deploy/haproxy.cfg"] {
            assert!(!is_watched(other), "{other}");
        }
    }

    #[test]
    fn package_folders_belong_to_the_services_built_from_them() {
        let packages = metadata::read().unwrap();
        let built_from = |folder: &str| {
            let folder = workspace::root().join(folder);
            let is_part =
                |service: &Service| metadata::source_folders(&packages, service.name()).unwrap().contains(&*folder);
            Vec::from_iter(Service::ALL.into_iter().filter(is_part))
        };
        assert_eq!(built_from("orders"), [Service::Orders]);
        assert_eq!(built_from("orchestrator"), [Service::Orchestrator]);
        assert_eq!(built_from("customers/api"), [Service::Customers]);
        // The orchestrator depends on the orders client, and orders depends on the customers client.
        assert_eq!(built_from("clients/orders"), [Service::Orchestrator]);
        assert_eq!(built_from("clients/customers"), [Service::Orders, Service::Orchestrator]);
        assert_eq!(built_from("db"), [Service::Customers, Service::Orders]);
        assert_eq!(built_from("common/contract"), Service::ALL);
    }
}
