//! Customer operations.

use common_contract::{CustomerId, Failure, IfMatch, Page, Text};
use common_server::CursorKey;
use common_server::auth::{Operator, ServiceCaller, Viewer};
use customers_api::{Customer, CustomerContact, CustomerContactQuery, CustomerInput, CustomerListQuery};
use db::{BatchLoader, Connection, Db, DbError};
use futures::FutureExt;

use super::error::CustomersError;
use crate::store::customers as store;

/// Name of the list to which page tokens are bound.
const LIST: &str = "customers";

/// Customer operations. Each operation takes a caller with the required role as a parameter.
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
                let id = store::insert(connection, input).await.map_err(map_email_conflict)?;
                find(connection, id).await
            })
            .await
    }

    pub(crate) async fn view(&self, _: &Viewer, id: CustomerId) -> Result<Customer, CustomersError> {
        self.loader.load_one(id.get()).await?.ok_or(CustomersError::CustomerNotFound(id))
    }

    pub(crate) async fn list(&self, _: &Viewer, query: &CustomerListQuery) -> Result<Page<Customer>, Failure> {
        let search = query.search.as_ref().map(Text::as_str);
        let filters = search.unwrap_or_default().as_bytes();
        let before = self.cursors.decode_id_bound(LIST, filters, query.cursor.as_ref())?;
        let limit = query.limit.unwrap_or_default();
        let page_token = |id: i64| self.cursors.encode_id(LIST, filters, id);
        let Some(search) = search else {
            let rows = self.db.run(async |connection| store::page(connection, before, limit.get() + 1).await).await;
            return Ok(Page::cut(rows.map_err(CustomersError::from)?, limit, |last| page_token(last.id.get())));
        };
        let hits = self.db.run(async |connection| store::search(connection, search, before, limit.get()).await).await;
        let (rows, next) = hits.map_err(CustomersError::from)?;
        Ok(Page::new(rows, next.map(page_token)))
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
                let seen = lock_if_match(connection, id, if_match).await?;
                store::update(connection, &seen, input).await.map_err(map_email_conflict)?;
                find(connection, id).await
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
                lock_if_match(connection, id, if_match).await?;
                Ok(store::delete(connection, id).await?)
            })
            .await
    }

    pub(crate) async fn contact(
        &self,
        _: &ServiceCaller,
        id: CustomerId,
        query: &CustomerContactQuery,
    ) -> Result<CustomerContact, CustomersError> {
        let found = match self.loader.load_one(id.get()).await? {
            None if query.include_deleted == Some(true) => {
                self.db.run(async |connection| store::find_deleted(connection, id).await).await?
            }
            live => live.map(|customer| (customer, None)),
        };
        let (customer, deleted_at) = found.ok_or(CustomersError::CustomerNotFound(id))?;
        let Customer { id, name, email, phone, .. } = customer;
        Ok(CustomerContact { id, name, email, phone, deleted_at })
    }

    pub(crate) async fn ready(&self) -> Result<(), CustomersError> {
        Ok(self.db.check_writable().await?)
    }
}

async fn find(connection: &mut Connection, id: CustomerId) -> Result<Customer, CustomersError> {
    store::find(connection, id).await?.ok_or(CustomersError::CustomerNotFound(id))
}

/// Locks the customer's row until the end of the transaction, checks `If-Match` against its version, and returns it.
async fn lock_if_match(
    connection: &mut Connection,
    id: CustomerId,
    if_match: Option<&IfMatch>,
) -> Result<Customer, CustomersError> {
    let seen = store::lock(connection, id).await?.ok_or(CustomersError::CustomerNotFound(id))?;
    match if_match {
        Some(condition) if !condition.allows(seen.version) => {
            Err(CustomersError::VersionChanged { current: seen.version })
        }
        _ => Ok(seen),
    }
}

fn map_email_conflict(error: DbError) -> CustomersError {
    if error.is_unique(store::UNIQUE_EMAIL) { CustomersError::EmailTaken } else { error.into() }
}
