//! Test harness that runs the real system: its programs as processes, its database server, and its secrets.
//!
//! Used by `cargo xtask`, `qa/faults` and `qa/bench`, each of which decides which processes run and when.

mod database;
mod memory;
mod probe;
mod process;
mod secrets;
mod service;

pub use database::Database;
pub use memory::memory_kib;
pub use private_server::Log;
pub use probe::ready_status;
pub use process::{Process, Program};
pub use secrets::Secrets;
pub use service::Service;
