//! The operations of the three documents: where they are, and which answers they may have.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use openapi_document::Document;
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
    /// The status and the code of each answer that is listed; a success has no code.
    pub(crate) answers: BTreeSet<(u16, String)>,
}

/// Every operation by its `operationId`.
pub(crate) type Contract = BTreeMap<String, Endpoint>;

/// Reads the documents.
pub(crate) fn read() -> Result<Contract> {
    let mut contract = Contract::new();
    for (service, text) in DOCUMENTS {
        let document = Document::parse(text)?;
        for operation in document.operations() {
            let (mut has_etag, mut answers) = (false, BTreeSet::new());
            for (status, response) in operation.responses() {
                let (status, response) = (status.parse()?, document.resolve(response));
                if status < 300 {
                    answers.insert((status, String::new()));
                    has_etag |= response["headers"].get("ETag").is_some();
                }
                // The keys of an error's examples are its codes.
                let examples = response["content"]["application/json"]["examples"].as_object();
                answers.extend(examples.into_iter().flatten().map(|(code, _)| (status, code.clone())));
            }
            let (method, path) = (operation.method.to_uppercase().parse()?, operation.path.to_owned());
            contract.insert(operation.id().to_owned(), Endpoint { service, method, path, has_etag, answers });
        }
    }
    Ok(contract)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_codes_are_those_of_the_documents() {
        let contract = read().unwrap();
        let create = &contract["order_create"];
        assert_eq!(
            (create.service, create.method.as_str(), create.path.as_str()),
            (Service::Orders, "POST", "/orders")
        );
        let successes: Vec<_> = create.answers.iter().filter(|(status, _)| *status < 400).collect();
        assert_eq!(successes, [&(201, String::new())]);
        for (status, code) in [(409, "insufficient_stock"), (504, "customer_service_unavailable"), (500, "internal")] {
            assert!(create.answers.contains(&(status, code.to_owned())), "{create:?}");
        }
        assert!(!create.answers.contains(&(409, "order_canceled".to_owned())));
        assert!(create.has_etag && !contract["order_list"].has_etag);
    }
}
