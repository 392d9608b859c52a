//! The contract of the Customers API: the operators and their tokens, and the customers that orders are made for.
//!
//! The trait below is the truth; `specs/customers.json` is made from it.

mod types;

use common_contract::document::{BY_ID, BY_ID_AND_VERSION, NEXT_PAGE};
use common_contract::{
    Contract, CustomerId, ErrorCode, ErrorCodes, Health, Link, Operation, OperatorId, Page, Readiness, Role, Security,
    codes,
};
use common_http::{
    Answer, Conditional, CreatedHeaders, CreatedWith, EntityHeaders, ErrorBody, Headers, JsonBody, OkAnswer, OkWith,
    PathId, QueryParams,
};
use dropshot::{HttpResponseDeleted, HttpResponseUpdatedNoContent, RequestContext};

pub use types::{
    Credentials, Customer, CustomerContact, CustomerInput, CustomerListQuery, NewOperator, NewPassword,
    OperatorAccount, OperatorListQuery, OperatorPatch, Password, PasswordChange, Token,
};

/// The address belongs to another customer.
pub const EMAIL_TAKEN: ErrorCode =
    ErrorCode::new(409, "email_taken", "Another customer has this email address, letter case aside.");
/// There is no such customer, or no longer.
pub const CUSTOMER_NOT_FOUND: ErrorCode =
    ErrorCode::new(404, "customer_not_found", "There is no customer with this id, or it was deleted.");

/// The name belongs to another operator.
pub const USERNAME_TAKEN: ErrorCode =
    ErrorCode::new(409, "username_taken", "Another operator has this name, letter case aside.");
/// There is no such operator.
pub const OPERATOR_NOT_FOUND: ErrorCode =
    ErrorCode::new(404, "operator_not_found", "There is no operator with this id.");
/// Somebody has to be left who manages operators.
pub const LAST_ADMIN: ErrorCode =
    ErrorCode::new(409, "last_admin", "The operator is the last active admin and has to stay one.");
/// The password that was shown to change it is not the caller's.
pub const WRONG_PASSWORD: ErrorCode =
    ErrorCode::new(403, "wrong_password", "The current password is wrong, or was changed meanwhile.");
/// Too many wrong passwords.
pub const TOO_MANY_ATTEMPTS: ErrorCode = ErrorCode::new(
    429,
    "too_many_attempts",
    "There were too many wrong passwords for this name or from this address; the password was not looked at.",
);

/// The codes of this API.
#[derive(Debug)]
pub enum Codes {}

impl ErrorCodes for Codes {
    const ALL: &'static [&'static [ErrorCode]] = &[
        codes::EVERYWHERE,
        codes::RESOURCES,
        &[EMAIL_TAKEN, CUSTOMER_NOT_FOUND],
        &[USERNAME_TAKEN, OPERATOR_NOT_FOUND, LAST_ADMIN, WRONG_PASSWORD, TOO_MANY_ATTEMPTS],
    ];
}

/// The error body of this API.
pub type Error = ErrorBody<Codes>;

/// How logging in fails.
const LOGIN: &[&[ErrorCode]] = &[codes::WRITES, &[codes::UNAUTHORIZED, TOO_MANY_ATTEMPTS]];

/// What the document says beyond the trait.
pub const CONTRACT: Contract = Contract {
    name: "customers",
    title: "Customers API",
    description: "Keeps the customers that orders are made for, and the operators, whom it gives their tokens.",
    version: "1.2.0",
    local_url: "http://127.0.0.1:3001",
    operations: &[
        Operation::new("token_create", Security::Anyone, LOGIN),
        Operation::new("token_create_login", Security::Anyone, LOGIN),
        Operation::new(
            "password_update",
            Security::Role(Role::Viewer),
            &[codes::WRITES, &[WRONG_PASSWORD, TOO_MANY_ATTEMPTS]],
        ),
        Operation::new("operator_create", Security::Role(Role::Admin), &[codes::WRITES, &[USERNAME_TAKEN]]),
        Operation::new("operator_view", Security::Role(Role::Admin), &[codes::READS, &[OPERATOR_NOT_FOUND]]),
        Operation::new("operator_list", Security::Role(Role::Admin), &[codes::READS]),
        Operation::new(
            "operator_update",
            Security::Role(Role::Admin),
            &[codes::WRITES, &[OPERATOR_NOT_FOUND, LAST_ADMIN]],
        ),
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
        Link::new("operator_create", &["operator_view"], BY_ID),
        Link::new("operator_create", &["operator_update"], BY_ID_AND_VERSION),
        Link::new("operator_view", &["operator_update"], BY_ID_AND_VERSION),
        Link::new("operator_list", &["operator_list"], NEXT_PAGE),
    ],
    codes: Codes::ALL,
    examples: include_str!("../examples.json"),
};

/// The Customers API.
#[dropshot::api_description {
    tag_config = {
        tags = {
            "auth" = { description = "Getting a token, and changing one's password." },
            "customers" = { description = "The customers, for operators." },
            "internal" = { description = "For other services." },
            "operators" = { description = "The operators, for admins." },
            "system" = { description = "For whoever runs the service." },
        },
    },
}]
pub trait CustomersApi {
    /// What the implementation keeps between requests.
    type Context;

    /// Get a token
    ///
    /// Exchanges an operator's name and password for a bearer token. A wrong name, a wrong password and an operator who is not
    /// active are answered alike. Too many wrong ones are answered with 429 for a while, whether there is such an operator or
    /// not; from where an operator has logged in before, nobody else's attempts count.
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

    /// Change one's password
    ///
    /// For whoever is logged in. Tokens that were issued before hold until their end.
    #[endpoint { method = POST, path = "/auth/password", tags = ["auth"] }]
    async fn password_update(
        rqctx: RequestContext<Self::Context>,
        body: JsonBody<PasswordChange>,
    ) -> Result<Answer<HttpResponseUpdatedNoContent>, Error>;

    /// Create an operator
    ///
    /// The name must not belong to another operator, letter case aside. It stays: what the operator does is recorded under it.
    #[endpoint { method = POST, path = "/operators", tags = ["operators"] }]
    async fn operator_create(
        rqctx: RequestContext<Self::Context>,
        body: JsonBody<NewOperator>,
    ) -> Result<CreatedWith<OperatorAccount, CreatedHeaders>, Error>;

    /// Fetch an operator
    ///
    /// Also one who is not active.
    #[endpoint { method = GET, path = "/operators/{id}", tags = ["operators"] }]
    async fn operator_view(
        rqctx: RequestContext<Self::Context>,
        id: PathId<OperatorId>,
    ) -> Result<OkWith<OperatorAccount, EntityHeaders>, Error>;

    /// List operators
    ///
    /// Newest first, also those who are not active.
    #[endpoint { method = GET, path = "/operators", tags = ["operators"] }]
    async fn operator_list(
        rqctx: RequestContext<Self::Context>,
        query: QueryParams<OperatorListQuery>,
    ) -> Result<OkAnswer<Page<OperatorAccount>>, Error>;

    /// Change an operator
    ///
    /// Another role, another password, or no more logins. What managing operators needs is asked anew each time; everything
    /// else goes by the token, so an operator who is deactivated or loses a role is out when the last token ends, after 15
    /// minutes at most. There is always an active admin left.
    #[endpoint { method = PATCH, path = "/operators/{id}", tags = ["operators"] }]
    async fn operator_update(
        rqctx: RequestContext<Self::Context>,
        id: PathId<OperatorId>,
        headers: Headers<Conditional>,
        body: JsonBody<OperatorPatch>,
    ) -> Result<OkWith<OperatorAccount, EntityHeaders>, Error>;

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
