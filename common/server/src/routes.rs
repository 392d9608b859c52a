//! The method and the path template of each operation, as its document says: dropshot tells a handler neither.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use serde::Deserialize;

/// Where an operation is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// With names in braces where a request has values.
    pub(crate) template: &'static str,
}

/// Of what no document lists.
pub(crate) const UNKNOWN: Route = Route { method: "-", template: "-" };

static ROUTES: RwLock<BTreeMap<&'static str, Route>> = RwLock::new(BTreeMap::new());

#[derive(Deserialize)]
struct Document<'d> {
    #[serde(borrow)]
    paths: BTreeMap<&'d str, BTreeMap<&'d str, Operation<'d>>>,
}

#[derive(Deserialize)]
struct Operation<'d> {
    #[serde(rename = "operationId")]
    id: &'d str,
}

/// Remembers what the operations of a document are called by.
///
/// # Errors
///
/// Where it is no document of ours.
pub fn learn_routes(document: &'static str) -> serde_json::Result<()> {
    let Document { paths } = serde_json::from_str(document)?;
    let mut routes = ROUTES.write().unwrap_or_else(PoisonError::into_inner);
    for (template, operations) in paths {
        for (method, operation) in operations {
            routes.insert(operation.id, Route { method: upper_case(method), template });
        }
    }
    Ok(())
}

/// Where this operation is found.
pub(crate) fn of(operation: &str) -> Route {
    let routes = ROUTES.read().unwrap_or_else(PoisonError::into_inner);
    routes.get(operation).copied().unwrap_or(UNKNOWN)
}

/// A method that is a label: one of a few.
pub(crate) fn upper_case(method: &str) -> &'static str {
    const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
    METHODS.into_iter().find(|known| known.eq_ignore_ascii_case(method)).unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_found_where_its_document_says() {
        learn_routes(r#"{"paths":{"/things/{id}":{"get":{"operationId":"thing_view","tags":["things"]}}}}"#).unwrap();
        assert_eq!(of("thing_view"), Route { method: "GET", template: "/things/{id}" });
        assert_eq!(of("thing_list"), UNKNOWN);
    }

    #[test]
    fn whatever_a_client_calls_a_method_is_no_label() {
        assert_eq!((upper_case("patch"), upper_case("BREW")), ("PATCH", "-"));
    }
}
