//! Contract of the Customers API: user accounts, access tokens and customers.
//!
//! The trait below is the source of truth; `specs/customers.json` is generated from it.

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
    Credentials, Customer, CustomerContact, CustomerContactQuery, CustomerInput, CustomerListQuery, NewPassword,
    OperatorAccount, OperatorInput, OperatorListQuery, OperatorPatch, Password, PasswordChange, Token,
};

/// The email address is in use.
pub const EMAIL_TAKEN: ErrorCode = ErrorCode::new(
    409,
    "email_taken",
    "Another customer already uses this email address. The comparison ignores case and the form in which the address is \
     written.",
);
/// The customer does not exist or was deleted.
pub const CUSTOMER_NOT_FOUND: ErrorCode =
    ErrorCode::new(404, "customer_not_found", "The customer does not exist or was deleted.");

/// The username is in use.
pub const USERNAME_TAKEN: ErrorCode = ErrorCode::new(
    409,
    "username_taken",
    "Another user account already uses this username. The comparison is case-insensitive.",
);
/// The user account does not exist.
pub const OPERATOR_NOT_FOUND: ErrorCode = ErrorCode::new(404, "operator_not_found", "The user account does not exist.");
/// The change would leave no active admin.
pub const LAST_ADMIN: ErrorCode = ErrorCode::new(
    409,
    "last_admin",
    "The user account is the last active account with the role `admin`. It cannot be deactivated, and its role \
     cannot be changed.",
);
/// The current password does not match.
pub const WRONG_PASSWORD: ErrorCode = ErrorCode::new(
    403,
    "wrong_password",
    "`current_password` is incorrect, or another request changed the password concurrently.",
);
/// Too many failed login attempts.
pub const TOO_MANY_ATTEMPTS: ErrorCode = ErrorCode::new(
    429,
    "too_many_attempts",
    "Too many failed password attempts for this username or from this IP address. The password was not checked. \
     Retry after the number of seconds in the `Retry-After` header.",
);

/// Error codes of this API.
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

/// Error body of this API.
pub type Error = ErrorBody<Codes>;

/// Error codes of a login.
const LOGIN: &[&[ErrorCode]] = &[codes::WRITES, &[codes::UNAUTHORIZED, TOO_MANY_ATTEMPTS]];

/// Metadata for the document that the trait cannot express.
pub const CONTRACT: Contract = Contract {
    name: "customers",
    title: "Customers API",
    description: "Manages customers and user accounts, and issues access tokens.",
    version: "2.0.0",
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
    prefixed_enums: &[],
    codes: Codes::ALL,
    examples: include_str!("../examples.json"),
};

/// The Customers API.
#[dropshot::api_description {
    tag_config = {
        tags = {
            "auth" = { description = "Access tokens and passwords." },
            "customers" = { description = "Customers who place orders." },
            "internal" = { description = "Operations that other services call." },
            "operators" = { description = "User accounts. Only admins can manage them." },
            "system" = { description = "Liveness and readiness checks." },
        },
    },
}]
pub trait CustomersApi {
    /// State that the implementation shares between requests.
    type Context;

    /// Create an access token
    ///
    /// Exchanges a username and password for a bearer token that is valid for 15 minutes. An unknown username, an
    /// incorrect password and an inactive user account result in the same error. Repeated failed attempts are rate
    /// limited: the response has status 429 and a `Retry-After` header, whether or not the user account exists. Failed
    /// attempts from other IP addresses do not block logins from an IP address from which the user account has logged
    /// in before.
    #[endpoint { method = POST, path = "/auth/token", tags = ["auth"] }]
    async fn token_create(
        rqctx: RequestContext<Self::Context>,
        body: JsonBody<Credentials>,
    ) -> Result<OkAnswer<Token>, Error>;

    /// Create an access token (legacy path)
    ///
    /// Performs the same operation as `POST /auth/token`. This path is retained for older clients.
    #[endpoint { method = POST, path = "/auth/login", tags = ["auth"] }]
    async fn token_create_login(
        rqctx: RequestContext<Self::Context>,
        body: JsonBody<Credentials>,
    ) -> Result<OkAnswer<Token>, Error>;

    /// Change your own password
    ///
    /// Changes the password of the authenticated user account. Existing access tokens remain valid until they expire.
    #[endpoint { method = POST, path = "/auth/password", tags = ["auth"] }]
    async fn password_update(
        rqctx: RequestContext<Self::Context>,
        body: JsonBody<PasswordChange>,
    ) -> Result<Answer<HttpResponseUpdatedNoContent>, Error>;

    /// Create a user account
    ///
    /// Creates a user account. The username must be unique; the comparison is case-insensitive. It cannot be changed
    /// later, because the actions of the user account are recorded under the username.
    #[endpoint { method = POST, path = "/operators", tags = ["operators"] }]
    async fn operator_create(
        rqctx: RequestContext<Self::Context>,
        body: JsonBody<OperatorInput>,
    ) -> Result<CreatedWith<OperatorAccount, CreatedHeaders>, Error>;

    /// Retrieve a user account
    ///
    /// Returns the user account, even if it is inactive.
    #[endpoint { method = GET, path = "/operators/{id}", tags = ["operators"] }]
    async fn operator_view(
        rqctx: RequestContext<Self::Context>,
        id: PathId<OperatorId>,
    ) -> Result<OkWith<OperatorAccount, EntityHeaders>, Error>;

    /// List user accounts
    ///
    /// Returns active and inactive user accounts, newest first.
    #[endpoint { method = GET, path = "/operators", tags = ["operators"] }]
    async fn operator_list(
        rqctx: RequestContext<Self::Context>,
        query: QueryParams<OperatorListQuery>,
    ) -> Result<OkAnswer<Page<OperatorAccount>>, Error>;

    /// Update a user account
    ///
    /// Changes the role or the password of the user account, or activates or deactivates the account. At least one
    /// active admin must remain. Operations on user accounts check the caller's current role on every request. All
    /// other operations rely on the role in the access token. Therefore, a deactivation or a change of the role takes
    /// full effect only when the existing access tokens of the account have expired, after at most 15 minutes.
    #[endpoint { method = PATCH, path = "/operators/{id}", tags = ["operators"] }]
    async fn operator_update(
        rqctx: RequestContext<Self::Context>,
        id: PathId<OperatorId>,
        headers: Headers<Conditional>,
        body: JsonBody<OperatorPatch>,
    ) -> Result<OkWith<OperatorAccount, EntityHeaders>, Error>;

    /// Create a customer
    ///
    /// The email address must be unique, ignoring case and the form in which it is written.
    #[endpoint { method = POST, path = "/customers", tags = ["customers"] }]
    async fn customer_create(
        rqctx: RequestContext<Self::Context>,
        body: JsonBody<CustomerInput>,
    ) -> Result<CreatedWith<Customer, CreatedHeaders>, Error>;

    /// Retrieve a customer
    ///
    /// Returns the customer. If the customer was deleted, the response has status 404.
    #[endpoint { method = GET, path = "/customers/{id}", tags = ["customers"] }]
    async fn customer_view(
        rqctx: RequestContext<Self::Context>,
        id: PathId<CustomerId>,
    ) -> Result<OkWith<Customer, EntityHeaders>, Error>;

    /// List customers
    ///
    /// Returns customers, newest first. If `search` is given, returns only customers that match all search words.
    #[endpoint { method = GET, path = "/customers", tags = ["customers"] }]
    async fn customer_list(
        rqctx: RequestContext<Self::Context>,
        query: QueryParams<CustomerListQuery>,
    ) -> Result<OkAnswer<Page<Customer>>, Error>;

    /// Replace a customer
    ///
    /// Replaces all fields of the customer. If `phone` is omitted, the phone number is removed.
    #[endpoint { method = PUT, path = "/customers/{id}", tags = ["customers"] }]
    async fn customer_update(
        rqctx: RequestContext<Self::Context>,
        id: PathId<CustomerId>,
        headers: Headers<Conditional>,
        body: JsonBody<CustomerInput>,
    ) -> Result<OkWith<Customer, EntityHeaders>, Error>;

    /// Delete a customer
    ///
    /// Deletes the customer. A deleted customer no longer appears in lists and cannot be retrieved. The customer's
    /// orders are retained, and the email address can be used for another customer.
    #[endpoint { method = DELETE, path = "/customers/{id}", tags = ["customers"] }]
    async fn customer_delete(
        rqctx: RequestContext<Self::Context>,
        id: PathId<CustomerId>,
        headers: Headers<Conditional>,
    ) -> Result<Answer<HttpResponseDeleted>, Error>;

    /// Retrieve a customer's contact data
    ///
    /// Returns the data that another service needs before it creates an order. Returns 404 for a deleted customer
    /// unless `include_deleted` is true.
    #[endpoint { method = GET, path = "/internal/customers/{id}", tags = ["internal"] }]
    async fn internal_customer_view(
        rqctx: RequestContext<Self::Context>,
        id: PathId<CustomerId>,
        query: QueryParams<CustomerContactQuery>,
    ) -> Result<OkAnswer<CustomerContact>, Error>;

    /// Check liveness
    ///
    /// Returns 200 while the process accepts requests. Does not check dependencies.
    #[endpoint { method = GET, path = "/health", tags = ["system"] }]
    async fn health_view(rqctx: RequestContext<Self::Context>) -> Result<OkAnswer<Health>, Error>;

    /// Check readiness
    ///
    /// Returns 200 if the database accepts writes and the service is not shutting down, 503 otherwise, within 500 ms.
    #[endpoint { method = GET, path = "/ready", tags = ["system"] }]
    async fn readiness_view(rqctx: RequestContext<Self::Context>) -> Result<OkAnswer<Readiness>, Error>;

    /// Check liveness without a body
    ///
    /// Same as `GET /health`, for probes that send HEAD.
    #[endpoint { method = HEAD, path = "/health", operation_id = "health_view", unpublished = true }]
    async fn health_head(rqctx: RequestContext<Self::Context>) -> Result<OkAnswer<Health>, Error> {
        Self::health_view(rqctx).await
    }

    /// Check readiness without a body
    ///
    /// Same as `GET /ready`, for probes that send HEAD.
    #[endpoint { method = HEAD, path = "/ready", operation_id = "readiness_view", unpublished = true }]
    async fn readiness_head(rqctx: RequestContext<Self::Context>) -> Result<OkAnswer<Readiness>, Error> {
        Self::readiness_view(rqctx).await
    }
}
