//! HTTP types shared by all API traits: extractors that parse requests, and responses that handlers return.
//!
//! Values and error codes are in `common-contract`.

mod error_body;
mod headers;
mod input;
mod invalid;
mod response;

pub use error_body::ErrorBody;
pub use headers::{Conditional, ConditionalKeyRequired, ConditionalKeyed, Keyed};
pub use input::{BODY_TIMEOUT, FromHeaders, Headers, JsonBody, PathId, QueryParams, json_body, query_params};
pub use response::{
    Answer, ChangedHeaders, CreatedAnswer, CreatedHeaders, CreatedWith, EntityHeaders, KeyedCreatedHeaders, OkAnswer,
    OkWith, replayed,
};
