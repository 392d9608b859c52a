//! Sets the stage for whoever runs the real system: its programs as processes, its database server, its secrets.
//!
//! What happens on it, and who judges that, is in `qa/faults` and `qa/bench`.

pub mod process;

mod database;
mod log;
mod probe;
mod secrets;
mod service;

pub use database::Database;
pub use log::Log;
pub use probe::Probe;
pub use process::{Process, Program};
pub use secrets::Secrets;
pub use service::Service;
