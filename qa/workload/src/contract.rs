//! Operations in the three OpenAPI documents, with their endpoints and documented responses.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use openapi_document::Document;
use reqwest::Method;

const DOCUMENTS: [(Service, &str); 3] = [
    (Service::Customers, include_str!("../../../specs/customers.json")),
    (Service::Orders, include_str!("../../../specs/orders.json")),
    (Service::Orchestrator, include_str!("../../../specs/orchestrator.json")),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Customers,
    Orders,
    Orchestrator,
}

#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) service: Service,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) has_etag: bool,
    /// Status and error code of each documented response. A successful response has an empty code.
    pub(crate) responses: BTreeSet<(u16, String)>,
}

/// All operations, by `operationId`.
pub(crate) type Contract = BTreeMap<String, Endpoint>;

pub(crate) fn read() -> Result<Contract> {
    let mut contract = Contract::new();
    for (service, text) in DOCUMENTS {
        let document = Document::parse(text)?;
        for operation in document.operations() {
            let (mut has_etag, mut responses) = (false, BTreeSet::new());
            for (status, response) in operation.responses() {
                let (status, response) = (status.parse()?, document.resolve(response));
                if status < 300 {
                    responses.insert((status, String::new()));
                    has_etag |= response["headers"].get("ETag").is_some();
                }
                // The keys of an error response's examples are its error codes.
                let examples = response["content"]["application/json"]["examples"].as_object();
                responses.extend(examples.into_iter().flatten().map(|(code, _)| (status, code.clone())));
            }
            let (method, path) = (operation.method.to_uppercase().parse()?, operation.path.to_owned());
            contract.insert(operation.id().to_owned(), Endpoint { service, method, path, has_etag, responses });
        }
    }
    Ok(contract)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_codes_match_the_documents() {
        let contract = read().unwrap();
        let create = &contract["order_create"];
        assert_eq!(
            (create.service, create.method.as_str(), create.path.as_str()),
            (Service::Orders, "POST", "/orders")
        );
        let successes: Vec<_> = create.responses.iter().filter(|(status, _)| *status < 400).collect();
        assert_eq!(successes, [&(201, String::new())]);
        for (status, code) in [(409, "insufficient_stock"), (504, "customer_service_unavailable"), (500, "internal")] {
            assert!(create.responses.contains(&(status, code.to_owned())), "{create:?}");
        }
        assert!(!create.responses.contains(&(409, "order_canceled".to_owned())));
        assert!(create.has_etag && !contract["order_list"].has_etag);
    }
}
