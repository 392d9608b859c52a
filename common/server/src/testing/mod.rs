//! What the tests of every server do alike: checks by its document, and the program itself with what it logs and counts.

mod answers;
mod credentials;
mod numbers;
mod program;

pub(crate) use answers::held_to_document;
pub use answers::hold_answers_to;
pub use credentials::credentials_that_get_in;
pub use numbers::Numbers;
pub use program::{Program, everything_it_writes};
