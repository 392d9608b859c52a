//! Components shared by all servers: settings, authentication, client addresses, request context, page tokens,
//! telemetry, API documentation pages, startup, shutdown and health check.
//!
//! This crate does not depend on any resource or database. Contracts are defined in `common-contract` and the API
//! crates.

pub mod auth;
mod call;
mod cursor;
mod docs;
mod health;
mod metrics;
mod proxies;
mod runtime;
mod server;
pub mod settings;
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod trace;

pub use call::{Call, ErrorResponse};
pub use cursor::{CursorKey, Position};
pub use docs::with_docs;
pub use proxies::TrustedProxies;
pub use runtime::{HasRuntime, Runtime};
pub use server::{MAX_BODY_BYTES, OPERATION_LIMIT, RunError, Running, run, serve};
pub use telemetry::init_logs;
