//! Checks that the tests of every server make alike, by its document.

mod answers;
mod credentials;

pub(crate) use answers::held_to_document;
pub use answers::hold_answers_to;
pub use credentials::credentials_that_get_in;
