//! `up --watch`: a change of sources rebuilds and restarts the services that are built from them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use harness::Service;
use notify::{Event, RecursiveMode, Watcher, recommended_watcher};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use crate::metadata::{Metadata, Package};
use crate::outcome::Interrupted;
use crate::settings::Settings;
use crate::system::System;
use crate::{programs, up, workspace};

/// Editors and git write several files at once.
const QUIET_FOR: Duration = Duration::from_millis(300);

/// The documents are compiled into the clients; cargo decides which services that concerns.
const SHARED: [&str; 3] = ["specs", "Cargo.toml", "Cargo.lock"];

/// Rebuilds and restarts until the first signal, or until something that should run ends by itself.
pub(crate) async fn run(system: &mut System, settings: &Settings, database_url: &str) -> Result<()> {
    let metadata = Metadata::read()?;
    let (sender, mut changes) = unbounded_channel();
    let mut watcher = recommended_watcher(move |event: notify::Result<Event>| {
        // Reading a file is an event, too.
        if let Ok(Event { kind, paths, .. }) = event
            && (kind.is_create() || kind.is_modify() || kind.is_remove())
        {
            // The receiver is gone at the very end.
            let _ = sender.send(paths);
        }
    })?;
    for folder in watched(&metadata)? {
        watcher
            .watch(&folder, RecursiveMode::Recursive)
            .with_context(|| format!("cannot watch {}", folder.display()))?;
    }
    system.progress.say("Watching the sources of the services");
    loop {
        let changed = system.unless_disturbed(next_change(&mut changes)).await?;
        let concerned = services(&metadata, &changed)?;
        if concerned.is_empty() {
            continue;
        }
        if let Err(error) = renew(system, settings, database_url, &concerned).await {
            if error.is::<Interrupted>() {
                return Err(error);
            }
            system.progress.clear();
            system.progress.say(&format!("{error:#}\nWaiting for the next change"));
        }
    }
}

/// Restarts the services whose programs have changed. A build that fails leaves all of them running.
async fn renew(system: &mut System, settings: &Settings, database_url: &str, concerned: &[Service]) -> Result<()> {
    let names = Vec::from_iter(concerned.iter().map(|service| service.name()));
    let programs = programs::build(system, &names).await?;
    for &service in concerned.iter().filter(|service| !programs.is_fresh(service.name())) {
        system.stop_service(service).await;
        up::start_service(system, settings, &programs, service, database_url).await?;
        system.wait_until_ready(service, settings.address(service)).await?;
    }
    Ok(())
}

/// The files that change next, until none has changed for a while.
async fn next_change(changes: &mut UnboundedReceiver<Vec<PathBuf>>) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::from_iter(changes.recv().await.into_iter().flatten());
    while let Ok(Some(more)) = timeout(QUIET_FOR, changes.recv()).await {
        files.extend(more);
    }
    files
}

/// The services that are built from these files, in the order in which they start.
fn services(metadata: &Metadata, files: &BTreeSet<PathBuf>) -> Result<Vec<Service>> {
    let is_shared = |file: &PathBuf| SHARED.iter().any(|shared| file.starts_with(workspace::root().join(shared)));
    if files.iter().any(is_shared) {
        return Ok(Service::ALL.to_vec());
    }
    let changed = BTreeSet::from_iter(files.iter().filter_map(|file| metadata.owner(file)).map(Package::folder));
    let mut services = Vec::new();
    for service in Service::ALL {
        if !metadata.folders_of(service.name())?.is_disjoint(&changed) {
            services.push(service);
        }
    }
    Ok(services)
}

/// The folders of all packages that services are built from, and those of the documents.
fn watched(metadata: &Metadata) -> Result<BTreeSet<PathBuf>> {
    let mut folders = BTreeSet::from([workspace::root().join(SHARED[0])]);
    for service in Service::ALL {
        folders.extend(metadata.folders_of(service.name())?.into_iter().map(Path::to_owned));
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_concerns_the_services_that_are_built_from_it() {
        let metadata = Metadata::read().unwrap();
        let concerned = |file: &str| services(&metadata, &BTreeSet::from([workspace::root().join(file)])).unwrap();
        assert_eq!(concerned("orders/src/lib.rs"), [Service::Orders]);
        assert_eq!(concerned("orchestrator/src/lib.rs"), [Service::Orchestrator]);
        // The contract in a folder of its own within that of the service.
        assert_eq!(concerned("customers/api/src/lib.rs"), [Service::Customers]);
        // The saga calls orders; orders ask customers.
        assert_eq!(concerned("clients/orders/src/lib.rs"), [Service::Orchestrator]);
        assert_eq!(concerned("clients/customers/src/lib.rs"), [Service::Orders, Service::Orchestrator]);
        assert_eq!(concerned("db/src/lib.rs"), [Service::Customers, Service::Orders]);
        for shared in ["common/server/src/lib.rs", "common/contract/src/lib.rs", "specs/orders.json", "Cargo.toml"] {
            assert_eq!(concerned(shared), Service::ALL, "{shared}");
        }
        for other in ["xtask/src/main.rs", "qa/bench/src/main.rs", "README.md", "deploy/haproxy.cfg"] {
            assert_eq!(concerned(other), [], "{other}");
        }
    }
}
