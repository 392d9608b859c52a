//! What is measured against what. A case takes what it needs from [`Bench`] and gives its outcomes.

pub(crate) mod lists;
pub(crate) mod memory;
pub(crate) mod open_loop;
pub(crate) mod orders;
mod questions;
pub(crate) mod reads;
pub(crate) mod saga;
pub(crate) mod seed;
pub(crate) mod start;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use harness::{Log, Process, Program, Service};

use crate::Lengths;
use crate::floors::books;
use crate::floors::shop::Shop;
use crate::system::System;
use crate::wrk::Wrk;

/// How many connections a closed loop has.
pub(crate) const CONNECTIONS: [u16; 3] = [1, 16, 64];

/// What all cases share.
pub(crate) struct Bench {
    /// The database server.
    pub(crate) program: private_server::Program,
    /// The directory of the run.
    pub(crate) directory: PathBuf,
    /// How often and for how long.
    pub(crate) lengths: Lengths,
    /// Closed loops.
    pub(crate) wrk: Wrk,
    /// The program of open loops.
    pub(crate) oha: PathBuf,
    shared: Option<Shared>,
}

/// A system with customers and products, for the cases that do not need one of their own.
pub(crate) struct Shared {
    /// All services.
    pub(crate) system: System,
    /// What is there to be read and ordered.
    pub(crate) shop: Shop,
    /// The URL of the database of the bare loops that write.
    pub(crate) floor: String,
    /// The base URL of the empty operation.
    pub(crate) empty: String,
    empty_process: Process,
}

impl Bench {
    /// Nothing runs yet.
    ///
    /// # Errors
    ///
    /// Where the scripts cannot be written.
    pub(crate) fn new(
        program: private_server::Program,
        directory: &Path,
        lengths: Lengths,
        wrk: PathBuf,
        oha: PathBuf,
    ) -> Result<Self> {
        let wrk = Wrk::new(wrk, &directory.join("wrk"))?;
        Ok(Self { program, directory: directory.to_owned(), lengths, wrk, oha, shared: None })
    }

    /// The system that cases share, started by whoever asks first.
    ///
    /// # Errors
    ///
    /// Where it does not start.
    pub(crate) async fn shared(&mut self) -> Result<&Shared> {
        let shared = match self.shared.take() {
            Some(shared) => shared,
            None => Shared::start(&self.program, &self.directory.join("shared")).await?,
        };
        Ok(self.shared.insert(shared))
    }

    /// Ends what runs.
    ///
    /// # Errors
    ///
    /// Where the end of the database server cannot be waited for.
    pub(crate) async fn end(&mut self) -> Result<()> {
        match self.shared.take() {
            Some(Shared { system, empty_process, .. }) => {
                empty_process.stop().await;
                system.stop().await
            }
            None => Ok(()),
        }
    }
}

impl Shared {
    async fn start(program: &private_server::Program, directory: &Path) -> Result<Self> {
        let system = System::start(program, directory, &Service::ALL).await?;
        let shop = Shop::open(&system).await?;
        let empty = Program {
            path: std::env::current_exe()?,
            arguments: vec!["--serve-empty".to_owned()],
            environment: Vec::new(),
            log: Log::create(directory, "empty")?,
        };
        let (empty_process, address) = empty.serve().await?;
        let floor = books::open(&system).await?;
        Ok(Self { system, shop, floor, empty: format!("http://{address}"), empty_process })
    }
}

/// Makes sure that what the services wrote is as the books promise.
///
/// # Errors
///
/// Says what is not, or why that cannot be told.
async fn check_books(bench: &mut Bench) -> Result<()> {
    let url = bench.shared().await?.system.database_url()?;
    let findings = db_audit::check(&url).await.context("the invariants cannot be checked")?;
    for db_audit::Finding { sentence, violations, examples, .. } in findings {
        ensure!(violations == 0, "{sentence} Not so {violations} times: {}", examples.join("; "));
    }
    Ok(())
}
