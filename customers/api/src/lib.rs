//! The contract of the Customers API: who may log in, and the customers that orders are made for.
//!
//! The trait below is the truth; `specs/customers.json` is made from it.

mod types;

use dropshot::{HttpResponseDeleted, RequestContext};
use service_api::document::{BY_ID, BY_ID_AND_VERSION, NEXT_PAGE};
use service_api::{
    Answer, Conditional, Contract, CreatedHeaders, CreatedWith, CustomerId, EntityHeaders, ErrorBody, ErrorCode,
    ErrorCodes, Headers, Health, JsonBody, Link, OkAnswer, OkWith, Operation, Page, PathId, QueryParams, Readiness,
    Role, Security, codes,
};

pub use types::{Credentials, Customer, CustomerContact, CustomerInput, CustomerListQuery, Password, Token};

/// The address belongs to another customer.
pub const EMAIL_TAKEN: ErrorCode =
    ErrorCode::new(409, "email_taken", "Another customer has this email address, letter case aside.");
/// There is no such customer, or no longer.
pub const CUSTOMER_NOT_FOUND: ErrorCode =
    ErrorCode::new(404, "customer_not_found", "There is no customer with this id, or it was deleted.");

/// The codes of this API.
#[derive(Debug)]
pub enum Codes {}

impl ErrorCodes for Codes {
    const ALL: &'static [&'static [ErrorCode]] =
        &[codes::EVERYWHERE, codes::RESOURCES, &[EMAIL_TAKEN, CUSTOMER_NOT_FOUND]];
}

/// The error body of this API.
pub type Error = ErrorBody<Codes>;

/// What the document says beyond the trait.
pub const CONTRACT: Contract = Contract {
    name: "customers",
    title: "Customers API",
    description: "Keeps the customers that orders are made for, and gives operators their tokens.",
    version: "1.2.0",
    local_url: "http://127.0.0.1:3001",
    operations: &[
        Operation::new("token_create", Security::Anyone, &[&[codes::UNAUTHORIZED]]),
        Operation::new("token_create_login", Security::Anyone, &[&[codes::UNAUTHORIZED]]),
        Operation::new("customer_create", Security::Role(Role::Operator), &[codes::WRITES, &[EMAIL_TAKEN]]),
        Operation::new("customer_view", Security::Role(Role::Viewer), &[codes::READS, &[CUSTOMER_NOT_FOUND]]),
        Operation::new("customer_list", Security::Role(Role::Viewer), &[codes::READS]),
        Operation::new(
            "customer_update",
            Security::Role(Role::Operator),
            &[codes::WRITES, &[CUSTOMER_NOT_FOUND, EMAIL_TAKEN]],
        ),
        Operation::new("customer_delete", Security::Role(Role::Operator), &[codes::WRITES, &[CUSTOMER_NOT_FOUND]]),
        Operation::new("internal_customer_view", Security::Service, &[codes::READS, &[CUSTOMER_NOT_FOUND]]),
        Operation::new("health_view", Security::Anyone, &[]),
        Operation::new("readiness_view", Security::Anyone, &[codes::READS]),
    ],
    links: &[
        Link::new("customer_create", &["customer_view", "internal_customer_view"], BY_ID),
        Link::new("customer_create", &["customer_update", "customer_delete"], BY_ID_AND_VERSION),
        Link::new("customer_view", &["customer_update", "customer_delete"], BY_ID_AND_VERSION),
        Link::new("customer_list", &["customer_list"], NEXT_PAGE),
    ],
    codes: Codes::ALL,
    examples: include_str!("../examples.json"),
};

/// The Customers API.
#[dropshot::api_description {
    tag_config = {
        tags = {
            "auth" = { description = "Getting a token." },
            "customers" = { description = "The customers, for operators." },
            "internal" = { description = "For other services." },
            "system" = { description = "For whoever runs the service." },
        },
    },
}]
pub trait CustomersApi {
    /// What the implementation keeps between requests.
    type Context;

    /// Get a token
    ///
    /// Exchanges an operator's name and password for a bearer token. A wrong name and a wrong password are answered
    /// alike.
    #[endpoint { method = POST, path = "/auth/token", tags = ["auth"] }]
    async fn token_create(
        rqctx: RequestContext<Self::Context>,
        body: JsonBody<Credentials>,
    ) -> Result<OkAnswer<Token>, Error>;

    /// Log in
    ///
    /// The same as getting a token, under the path that older clients know.
    #[endpoint { method = POST, path = "/auth/login", tags = ["auth"] }]
    async fn token_create_login(
        rqctx: RequestContext<Self::Context>,
        body: JsonBody<Credentials>,
    ) -> Result<OkAnswer<Token>, Error>;

    /// Create a customer
    ///
    /// The email address must not belong to another customer, letter case aside.
    #[endpoint { method = POST, path = "/customers", tags = ["customers"] }]
    async fn customer_create(
        rqctx: RequestContext<Self::Context>,
        body: JsonBody<CustomerInput>,
    ) -> Result<CreatedWith<Customer, CreatedHeaders>, Error>;

    /// Fetch a customer
    ///
    /// A deleted customer is not found.
    #[endpoint { method = GET, path = "/customers/{id}", tags = ["customers"] }]
    async fn customer_view(
        rqctx: RequestContext<Self::Context>,
        id: PathId<CustomerId>,
    ) -> Result<OkWith<Customer, EntityHeaders>, Error>;

    /// List customers
    ///
    /// Newest first. The search finds customers in whose name and email address every word of it begins a word.
    #[endpoint { method = GET, path = "/customers", tags = ["customers"] }]
    async fn customer_list(
        rqctx: RequestContext<Self::Context>,
        query: QueryParams<CustomerListQuery>,
    ) -> Result<OkAnswer<Page<Customer>>, Error>;

    /// Replace a customer
    ///
    /// The whole customer is given; a phone that is left out is removed.
    #[endpoint { method = PUT, path = "/customers/{id}", tags = ["customers"] }]
    async fn customer_update(
        rqctx: RequestContext<Self::Context>,
        id: PathId<CustomerId>,
        headers: Headers<Conditional>,
        body: JsonBody<CustomerInput>,
    ) -> Result<OkWith<Customer, EntityHeaders>, Error>;

    /// Delete a customer
    ///
    /// The customer is gone from lists and cannot be fetched; its orders remain, and its email address becomes free.
    #[endpoint { method = DELETE, path = "/customers/{id}", tags = ["customers"] }]
    async fn customer_delete(
        rqctx: RequestContext<Self::Context>,
        id: PathId<CustomerId>,
        headers: Headers<Conditional>,
    ) -> Result<Answer<HttpResponseDeleted>, Error>;

    /// Fetch a customer for a service
    ///
    /// What another service needs to know of a customer before it makes an order.
    #[endpoint { method = GET, path = "/internal/customers/{id}", tags = ["internal"] }]
    async fn internal_customer_view(
        rqctx: RequestContext<Self::Context>,
        id: PathId<CustomerId>,
    ) -> Result<OkAnswer<CustomerContact>, Error>;

    /// Check that the process answers
    ///
    /// Looks at nothing else.
    #[endpoint { method = GET, path = "/health", tags = ["system"] }]
    async fn health_view(rqctx: RequestContext<Self::Context>) -> Result<OkAnswer<Health>, Error>;

    /// Check that the service can work
    ///
    /// The database has to answer within 500 ms.
    #[endpoint { method = GET, path = "/ready", tags = ["system"] }]
    async fn readiness_view(rqctx: RequestContext<Self::Context>) -> Result<OkAnswer<Readiness>, Error>;
}
