//! Finds a MySQL or MariaDB server program and runs it as a private server.
//!
//! Lives here: the search for a program, the data directory, and the life of the process. A private server has its own
//! data directory, socket and port, listens on 127.0.0.1 only and never outlives its owner, not even a killed one.
//! Its user is `root` without a password, so it is for development and tests only.
//!
//! Also the choice of ports for servers that are restarted. Does not live here: SQL, migrations, containers, and servers that somebody else started.

pub mod claim;
mod data;
mod install;
mod log;
mod ports;
mod program;
mod server;
pub mod supervisor;

pub use install::install_command;
pub use log::Log;
pub use ports::free_ports;
pub use program::{Engine, Program};
pub use server::{Durability, Error, Launch, PrivateServer, greets};
