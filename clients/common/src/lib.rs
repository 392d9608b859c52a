//! What the generated clients share: what goes out with every request, what a failed call means, when to send it again,
//! and how to walk through a list. What the services offer is in the clients themselves.
//!
//! # One call
//!
//! A client is made with `Client::connect(base, outbound)`. [`Outbound`] says what goes out with each of its requests:
//! the token, the correlation id, how long to wait. Making one costs next to nothing, so make one for each piece of work;
//! all of them share one pool of connections.
//!
//! Every call goes through [`send`], which gives the answer or a [`Fault`].
//!
//! # What a fault means
//!
//! | fault | carried out? | [may pass](Fault::may_pass) |
//! | --- | --- | --- |
//! | [`NotSent`](Fault::NotSent) | no | yes |
//! | [`TimedOut`](Fault::TimedOut), [`Broken`](Fault::Broken) | nobody knows | yes |
//! | [`Answered`](Fault::Answered) with 408, 500, 502, 503 or 504 | nobody knows, unless the code says no | yes |
//! | [`Answered`](Fault::Answered) with 429, or 409 `idempotency_in_progress` | no | yes |
//! | [`Answered`](Fault::Answered) with another status from 500 on | nobody knows | no |
//! | [`Answered`](Fault::Answered) with anything below that | no | no |
//! | [`Invalid`](Fault::Invalid) | no | no |
//!
//! Match on the code, never on the message: `match fault.code() { Some(codes::EMAIL_TAKEN) => …, _ => … }`. Each client
//! has a `codes` module that says when each code is sent.
//!
//! # Sending it again
//!
//! [`Retry`] sends a call again while that can help. The caller chooses by what is allowed:
//! [`repeatable`](Retry::repeatable) for a call that may be executed twice without harm,
//! [`unrepeatable`](Retry::unrepeatable) for any other. A service that calls another on behalf of many callers limits its
//! retries with a [`RetryBudget`].
//!
//! # Lists
//!
//! `client.order_list().rows(Retry::default())` is a stream of [`Rows`] that asks for one page after the other.

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
pub use headers::{Outbound, stamp};
pub use retry::{Attempts, Retry, RetryBudget};
pub use rows::{Page, Rows, rows};
pub use send::{note, send};
