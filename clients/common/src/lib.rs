//! Runtime library of the generated clients: headers, errors, retries and pagination. The clients themselves define the
//! operations.
//!
//! # Calls
//!
//! `Client::connect(base, outbound)` creates a client. [`Outbound`] sets the token, the correlation ID and the time
//! limit for its requests. Clients are cheap to create and share one connection pool, so create one client per unit of
//! work.
//!
//! Send every call with [`send`], which returns the response or a [`Fault`].
//!
//! # Faults
//!
//! | fault | executed? | [retry can succeed](Fault::is_transient) |
//! | --- | --- | --- |
//! | [`NotSent`](Fault::NotSent) | no | yes |
//! | [`TimedOut`](Fault::TimedOut), [`Broken`](Fault::Broken) | unknown | yes |
//! | [`Answered`](Fault::Answered) with 408, 500, 502, 503 or 504 | unknown, unless the code rules it out | yes |
//! | [`Answered`](Fault::Answered) with 429, or 409 `idempotency_in_progress` | no | yes |
//! | [`Answered`](Fault::Answered) with another 5xx | unknown | no |
//! | [`Answered`](Fault::Answered) with another 4xx | no | no |
//! | [`Invalid`](Fault::Invalid) | no | no |
//!
//! Match on the code, never on the message: `match fault.code() { Some(codes::EMAIL_TAKEN) => …, _ => … }`. The `codes`
//! module of each client documents when each code is returned.
//!
//! # Retries
//!
//! [`Retry`] retries a call as long as a retry can succeed. Use [`repeatable`](Retry::repeatable) for a call that may
//! be executed twice without harm, and [`unrepeatable`](Retry::unrepeatable) for any other. A service that calls
//! another on behalf of many callers limits its retries with a [`RetryBudget`].
//!
//! # Lists
//!
//! `client.order_list().rows(Retry::default())` returns [`Rows`], a stream that requests one page after another.

mod client;
mod connect;
mod execute;
mod fault;
mod headers;
mod retry;
mod rows;
mod send;

pub use connect::{ConnectError, connect, http_client};
pub use execute::{describe_metrics, execute};
pub use fault::{Coded, Fault};
pub use headers::{Outbound, add_headers};
pub use retry::{Attempts, Retry, RetryBudget};
pub use rows::{Page, Rows, rows};
pub use send::{record_head, send};
