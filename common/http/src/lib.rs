//! HTTP side of every contract: extractors that read a request, and the responses handlers return.
//!
//! An API trait is written with these types. Values and error codes are in `common-contract`.

mod answer;
mod error_body;
mod headers;
mod input;

pub use answer::{
    Answer, ChangedHeaders, CreatedAnswer, CreatedHeaders, CreatedWith, EntityHeaders, KeyedCreatedHeaders, OkAnswer,
    OkWith, replayed,
};
pub use error_body::ErrorBody;
pub use headers::{Conditional, ConditionalKeyRequired, ConditionalKeyed, Keyed};
pub use input::{FromHeaders, Headers, JsonBody, PathId, QueryParams, json_body, query_params};
