//! The operations of the three documents: where they are, and which answers they may have.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use openapi_document::{Document, Operation};
use reqwest::Method;

const DOCUMENTS: [(Service, &str); 3] = [
    (Service::Customers, include_str!("../../../specs/customers.json")),
    (Service::Orders, include_str!("../../../specs/orders.json")),
    (Service::Orchestrator, include_str!("../../../specs/orchestrator.json")),
];

/// The service of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Customers,
    Orders,
    Orchestrator,
}

/// One operation, as its document describes it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) service: Service,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) has_etag: bool,
    pub(crate) successes: BTreeSet<u16>,
    pub(crate) errors: BTreeSet<(u16, String)>,
}

/// Every operation by its `operationId`.
#[derive(Debug)]
pub(crate) struct Contract(BTreeMap<String, Endpoint>);

impl Contract {
    /// Reads the documents.
    ///
    /// # Errors
    ///
    /// Where one is malformed.
    pub(crate) fn read() -> Result<Self> {
        let mut endpoints = BTreeMap::new();
        for (service, text) in DOCUMENTS {
            let document = Document::parse(text)?;
            for operation in document.operations() {
                endpoints.insert(operation.id().to_owned(), Endpoint::read(service, &document, operation)?);
            }
        }
        Ok(Self(endpoints))
    }

    pub(crate) fn endpoint(&self, operation: &str) -> Option<&Endpoint> {
        self.0.get(operation)
    }
}

impl Endpoint {
    fn read(service: Service, document: &Document, operation: Operation<'_>) -> Result<Self> {
        let (mut has_etag, mut successes, mut errors) = (false, BTreeSet::new(), BTreeSet::new());
        for (status, response) in operation.responses() {
            let (status, response) = (status.parse()?, document.resolve(response));
            if status < 300 {
                successes.insert(status);
                has_etag |= response["headers"].get("ETag").is_some();
            }
            // The keys of an error's examples are its codes.
            let examples = response["content"]["application/json"]["examples"].as_object();
            errors.extend(examples.into_iter().flatten().map(|(code, _)| (status, code.clone())));
        }
        let (method, path) = (operation.method.to_uppercase().parse()?, operation.path.to_owned());
        Ok(Self { service, method, path, has_etag, successes, errors })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_codes_are_those_of_the_documents() {
        let contract = Contract::read().unwrap();
        let create = contract.endpoint("order_create").unwrap();
        assert_eq!(
            (create.service, create.method.as_str(), create.path.as_str()),
            (Service::Orders, "POST", "/orders")
        );
        assert_eq!(create.successes, BTreeSet::from([201]));
        for (status, code) in [(409, "insufficient_stock"), (504, "customer_service_unavailable"), (500, "internal")] {
            assert!(create.errors.contains(&(status, code.to_owned())), "{create:?}");
        }
        assert!(!create.errors.contains(&(409, "order_canceled".to_owned())));
        assert!(create.has_etag && !contract.endpoint("order_list").unwrap().has_etag);
    }
}
