//! Finds an installed MySQL or MariaDB server program and runs it as a private server.
//!
//! A private server has its own data directory, socket and port, listens only on 127.0.0.1, and stops when its owner
//! exits, even if the owner is killed. Its `root` user has no password, so use it only for development and tests.

pub mod claim;
mod data;
mod log;
mod ports;
mod program;
mod server;
pub mod supervisor;

pub use log::Log;
pub use ports::free_ports;
pub use program::{Engine, Program, install_command};
pub use server::{Durability, Error, Launch, PrivateServer, sends_handshake};
