//! What every server here shares: settings, callers and their addresses, the frame around a request, cursors, telemetry, the page about its
//! document, start, stop and the question whether it is ready.
//!
//! Nothing here knows a resource or a database. What a contract says lives in `service-api` and the API crates.

pub mod auth;
mod call;
mod cursor;
mod docs;
mod health;
mod metrics;
mod proxies;
mod routes;
mod server;
pub mod settings;
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod trace;

pub use call::Call;
pub use cursor::{CursorKey, Position};
pub use docs::with_docs;
pub use metrics::before_scrape;
pub use proxies::TrustedProxies;
pub use routes::learn_routes;
pub use server::{MAX_BODY_BYTES, RunError, Running, not_stopping, run, serve};
pub use telemetry::init_logs;
pub use trace::{flush_traces, init_traces};
