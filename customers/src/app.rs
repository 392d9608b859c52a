//! The rules: who may log in, and what may be done to a customer. Knows neither HTTP nor SQL.

use customers_api::{
    CUSTOMER_NOT_FOUND, Credentials, Customer, CustomerContact, CustomerInput, CustomerListQuery, EMAIL_TAKEN, Token,
};
use db::{Connection, Db, DbError, TransactionError};
use service::auth::{Operator, SecretDigest, ServiceCaller, TOKEN_SECONDS, Tokens, Viewer};
use service::{CursorKey, Position};
use service_api::{CustomerId, Detail, Failure, IfMatch, Page, Role, Text, codes};

use crate::store;

const LIST: &str = "customers";

/// The operator who may log in.
pub(crate) struct Login {
    pub(crate) user: SecretDigest,
    pub(crate) password: SecretDigest,
}

impl Login {
    /// A token for the right name and password. Both are always compared, so that the time taken tells nothing.
    pub(crate) fn token(&self, given: &Credentials, tokens: &Tokens) -> Result<Token, Failure> {
        let known = self.user.matches(given.username.as_str()) & self.password.matches(given.password.as_str());
        if !known {
            return Err(Failure::new(codes::UNAUTHORIZED, "the name or the password is wrong"));
        }
        let token = tokens.issue(given.username.as_str(), Role::Admin)?;
        Ok(Token { access_token: token.clone(), token, token_type: "Bearer".to_owned(), expires_in: TOKEN_SECONDS })
    }
}

/// Why a customer could not be worked on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CustomerError {
    #[error("there is no customer {0}")]
    NotFound(CustomerId),
    #[error("another customer has this email address")]
    EmailTaken,
    #[error("the customer is at version {current}")]
    VersionChanged { current: i64 },
    #[error(transparent)]
    Database(#[from] DbError),
}

/// The one place where this service chooses codes, and with them statuses.
impl From<CustomerError> for Failure {
    fn from(error: CustomerError) -> Self {
        match error {
            CustomerError::NotFound(_) => Self::new(CUSTOMER_NOT_FOUND, error.to_string()),
            CustomerError::EmailTaken => {
                Self::new(EMAIL_TAKEN, error.to_string()).with(Detail::field("email", "belongs to another customer"))
            }
            CustomerError::VersionChanged { current } => Self::precondition_failed(current),
            CustomerError::Database(
                error @ (DbError::Unavailable { .. } | DbError::Timeout | DbError::Deadlock | DbError::LockTimeout),
            ) => Self::unavailable(error),
            CustomerError::Database(error @ DbError::OutcomeUnknown) => Self::outcome_unknown(error),
            CustomerError::Database(error) => Self::internal(error),
        }
    }
}

impl TransactionError for CustomerError {
    fn as_db(&self) -> Option<&DbError> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

/// The customers.
pub(crate) struct Customers {
    pub(crate) db: Db,
    pub(crate) cursors: CursorKey,
}

impl Customers {
    pub(crate) async fn create(&self, _: &Operator, input: &CustomerInput) -> Result<Customer, CustomerError> {
        self.db
            .transaction(async |connection| {
                let id = store::insert(connection, input).await.map_err(email_taken)?;
                view(connection, id).await
            })
            .await
    }

    pub(crate) async fn view(&self, _: &Viewer, id: CustomerId) -> Result<Customer, CustomerError> {
        let customer = self.db.run(async |connection| store::find(connection, id).await).await?;
        customer.ok_or(CustomerError::NotFound(id))
    }

    pub(crate) async fn list(&self, _: &Viewer, query: &CustomerListQuery) -> Result<Page<Customer>, Failure> {
        let search = query.search.as_ref().map(Text::as_str);
        let filters = search.unwrap_or_default().as_bytes();
        let before = match &query.cursor {
            Some(cursor) => self.cursors.open(LIST, filters, cursor.as_str())?.id,
            None => i64::MAX,
        };
        let limit = query.limit.unwrap_or_default();
        let seal = |id: i64| self.cursors.seal(LIST, filters, Position { sort: id, id });
        let Some(search) = search else {
            let rows = self.db.run(async |connection| store::page(connection, before, limit.get() + 1).await).await;
            return Ok(Page::cut(rows.map_err(CustomerError::from)?, limit, |last| seal(last.id.get())));
        };
        let found = self.db.run(async |connection| store::search(connection, search, before, limit.get()).await).await;
        let (rows, next) = found.map_err(CustomerError::from)?;
        Ok(Page::new(rows, next.map(seal)))
    }

    pub(crate) async fn update(
        &self,
        _: &Operator,
        id: CustomerId,
        if_match: Option<&IfMatch>,
        input: &CustomerInput,
    ) -> Result<Customer, CustomerError> {
        self.db
            .transaction(async |connection| {
                lock(connection, id, if_match).await?;
                store::update(connection, id, input).await.map_err(email_taken)?;
                view(connection, id).await
            })
            .await
    }

    pub(crate) async fn delete(
        &self,
        _: &Operator,
        id: CustomerId,
        if_match: Option<&IfMatch>,
    ) -> Result<(), CustomerError> {
        self.db
            .transaction(async |connection| {
                lock(connection, id, if_match).await?;
                Ok(store::delete(connection, id).await?)
            })
            .await
    }

    pub(crate) async fn contact(&self, _: &ServiceCaller, id: CustomerId) -> Result<CustomerContact, CustomerError> {
        let customer = self.db.run(async |connection| store::find(connection, id).await).await?;
        let Customer { id, name, email, phone, .. } = customer.ok_or(CustomerError::NotFound(id))?;
        Ok(CustomerContact { id, name, email, phone })
    }

    pub(crate) async fn ready(&self) -> Result<(), CustomerError> {
        Ok(self.db.ping().await?)
    }
}

async fn view(connection: &mut Connection, id: CustomerId) -> Result<Customer, CustomerError> {
    store::find(connection, id).await?.ok_or(CustomerError::NotFound(id))
}

/// Keeps others from changing the customer until the end of the transaction.
async fn lock(connection: &mut Connection, id: CustomerId, if_match: Option<&IfMatch>) -> Result<(), CustomerError> {
    let current = store::lock_version(connection, id).await?.ok_or(CustomerError::NotFound(id))?;
    match if_match {
        Some(wanted) if !wanted.allows(current) => Err(CustomerError::VersionChanged { current }),
        _ => Ok(()),
    }
}

fn email_taken(error: DbError) -> CustomerError {
    if error.is_unique(store::UNIQUE_EMAIL) { CustomerError::EmailTaken } else { error.into() }
}
