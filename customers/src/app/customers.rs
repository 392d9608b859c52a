//! What may be done to a customer.

use common_contract::{CustomerId, Failure, IfMatch, Page, Text};
use common_server::CursorKey;
use common_server::auth::{Operator, ServiceCaller, Viewer};
use customers_api::{Customer, CustomerContact, CustomerInput, CustomerListQuery};
use db::{BatchLoader, Connection, Db, DbError};
use futures::FutureExt;

use super::error::CustomersError;
use crate::store::customers as store;

const LIST: &str = "customers";

/// The customers.
pub(crate) struct Customers {
    pub(crate) db: Db,
    pub(crate) loader: BatchLoader<i64, Customer>,
    pub(crate) cursors: CursorKey,
}

impl Customers {
    pub(crate) fn new(db: Db, cursors: CursorKey) -> Self {
        let loader = BatchLoader::new(db.clone(), |connection, ids| store::find_all(connection, ids).boxed());
        Self { db, loader, cursors }
    }

    pub(crate) async fn create(&self, _: &Operator, input: &CustomerInput) -> Result<Customer, CustomersError> {
        self.db
            .transaction(async |connection| {
                let id = store::insert(connection, input).await.map_err(email_taken)?;
                view(connection, id).await
            })
            .await
    }

    pub(crate) async fn view(&self, _: &Viewer, id: CustomerId) -> Result<Customer, CustomersError> {
        self.loader.load_one(id.get()).await?.ok_or(CustomersError::CustomerNotFound(id))
    }

    pub(crate) async fn list(&self, _: &Viewer, query: &CustomerListQuery) -> Result<Page<Customer>, Failure> {
        let search = query.search.as_ref().map(Text::as_str);
        let filters = search.unwrap_or_default().as_bytes();
        let before = self.cursors.open_below(LIST, filters, query.cursor.as_ref())?;
        let limit = query.limit.unwrap_or_default();
        let seal = |id: i64| self.cursors.seal_below(LIST, filters, id);
        let Some(search) = search else {
            let rows = self.db.run(async |connection| store::page(connection, before, limit.get() + 1).await).await;
            return Ok(Page::cut(rows.map_err(CustomersError::from)?, limit, |last| seal(last.id.get())));
        };
        let found = self.db.run(async |connection| store::search(connection, search, before, limit.get()).await).await;
        let (rows, next) = found.map_err(CustomersError::from)?;
        Ok(Page::new(rows, next.map(seal)))
    }

    pub(crate) async fn update(
        &self,
        _: &Operator,
        id: CustomerId,
        if_match: Option<&IfMatch>,
        input: &CustomerInput,
    ) -> Result<Customer, CustomersError> {
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
    ) -> Result<(), CustomersError> {
        self.db
            .transaction(async |connection| {
                lock(connection, id, if_match).await?;
                Ok(store::delete(connection, id).await?)
            })
            .await
    }

    pub(crate) async fn contact(&self, _: &ServiceCaller, id: CustomerId) -> Result<CustomerContact, CustomersError> {
        let customer = self.loader.load_one(id.get()).await?;
        let Customer { id, name, email, phone, .. } = customer.ok_or(CustomersError::CustomerNotFound(id))?;
        Ok(CustomerContact { id, name, email, phone })
    }

    pub(crate) async fn ready(&self) -> Result<(), CustomersError> {
        Ok(self.db.ping().await?)
    }
}

async fn view(connection: &mut Connection, id: CustomerId) -> Result<Customer, CustomersError> {
    store::find(connection, id).await?.ok_or(CustomersError::CustomerNotFound(id))
}

/// Keeps others from changing the customer until the end of the transaction.
async fn lock(connection: &mut Connection, id: CustomerId, if_match: Option<&IfMatch>) -> Result<(), CustomersError> {
    let current = store::lock_version(connection, id).await?.ok_or(CustomersError::CustomerNotFound(id))?;
    match if_match {
        Some(wanted) if !wanted.allows(current) => Err(CustomersError::VersionChanged { current }),
        _ => Ok(()),
    }
}

fn email_taken(error: DbError) -> CustomersError {
    if error.is_unique(store::UNIQUE_EMAIL) { CustomersError::EmailTaken } else { error.into() }
}
