//! Business rules for products and their stock. The stock of a product always equals the sum of its ledger entries,
//! because both change in the same transaction.

use std::ops::RangeInclusive;

use common_contract::{Failure, IfMatch, Page, ProductId, Stock, Text};
use common_server::CursorKey;
use common_server::auth::{Operator, Viewer};
use db::{BatchLoader, Connection, Db, DbError};
use futures::FutureExt;
use orders_api::{
    Product, ProductInput, ProductListQuery, ProductPatch, StockAdjustmentInput, StockMovement, StockMovementListQuery,
};

use super::{OrdersError, reason};
use crate::store::ledger::{self, Entry};
use crate::store::products;

const LIST: &str = "products";
const LEDGER: &str = "stock_adjustments";
const ALLOWED_STOCK: RangeInclusive<i64> = Stock::MIN..=Stock::MAX;

/// Product operations and their shared resources.
pub(crate) struct Products {
    pub(crate) db: Db,
    pub(crate) loader: BatchLoader<i64, Product>,
    pub(crate) cursors: CursorKey,
}

impl Products {
    pub(crate) fn new(db: Db, cursors: CursorKey) -> Self {
        let loader = BatchLoader::new(db.clone(), |connection, ids| products::find_all(connection, ids).boxed());
        Self { db, loader, cursors }
    }

    pub(crate) async fn create(&self, operator: &Operator, new: &ProductInput) -> Result<Product, OrdersError> {
        let principal = operator.principal();
        self.db
            .transaction(async |connection| {
                let id = products::insert(connection, new).await.map_err(sku_taken)?;
                let first = (id, new.stock.get(), reason::INITIAL);
                record(connection, first, None, &principal).await?;
                view(connection, id).await
            })
            .await
    }

    pub(crate) async fn view(&self, _: &Viewer, id: ProductId) -> Result<Product, OrdersError> {
        self.loader.load_one(id.get()).await?.ok_or_else(|| not_found(id))
    }

    pub(crate) async fn list(&self, _: &Viewer, query: &ProductListQuery) -> Result<Page<Product>, Failure> {
        let search = query.search.as_ref().map(Text::as_str);
        let filters = search.unwrap_or_default().as_bytes();
        let before = self.cursors.decode_id_bound(LIST, filters, query.cursor.as_ref())?;
        let limit = query.limit.unwrap_or_default();
        let encode = |id: i64| self.cursors.encode_id(LIST, filters, id);
        let Some(search) = search else {
            let rows = self.db.run(async |connection| products::page(connection, before, limit.get() + 1).await).await;
            return Ok(Page::cut(rows.map_err(OrdersError::from)?, limit, |last| encode(last.id.get())));
        };
        let found = self.db.run(async |connection| products::search(connection, search, before, limit.get()).await);
        let (rows, next) = found.await.map_err(OrdersError::from)?;
        Ok(Page::new(rows, next.map(encode)))
    }

    /// Changes the fields that the patch contains. The ledger records a new absolute stock as its difference from the
    /// previous stock.
    pub(crate) async fn update(
        &self,
        operator: &Operator,
        id: ProductId,
        if_match: Option<&IfMatch>,
        patch: &ProductPatch,
    ) -> Result<Product, OrdersError> {
        let principal = operator.principal();
        self.db
            .transaction(async |connection| {
                let seen = products::lock(connection, id).await?.ok_or_else(|| not_found(id))?;
                check_unchanged(&seen, if_match, patch)?;
                if patch.name.is_none() && patch.price_cents.is_none() && patch.stock.is_none() {
                    return Ok(seen);
                }
                products::update(connection, &seen, patch).await?;
                let delta = patch.stock.map_or(0, |stock| stock.get() - seen.stock);
                record(connection, (id, delta, reason::SET), None, &principal).await?;
                view(connection, id).await
            })
            .await
    }

    pub(crate) async fn adjust_stock(
        &self,
        operator: &Operator,
        id: ProductId,
        adjustment: &StockAdjustmentInput,
    ) -> Result<StockMovement, OrdersError> {
        check_adjustment(adjustment)?;
        let StockAdjustmentInput { delta, reason, reference } = adjustment;
        let reference = reference.as_ref().map(Text::as_str);
        let principal = operator.principal();
        self.db
            .transaction(async |connection| {
                if !products::add_stock(connection, id, delta.get(), ALLOWED_STOCK).await? {
                    let available = view(connection, id).await?.stock;
                    return Err(OrdersError::StockOutOfRange { product: id, available });
                }
                record(connection, (id, delta.get(), reason.as_str()), reference, &principal).await?;
                Ok(ledger::last_appended(connection).await?)
            })
            .await
    }

    pub(crate) async fn ledger(
        &self,
        viewer: &Viewer,
        id: ProductId,
        query: &StockMovementListQuery,
    ) -> Result<Page<StockMovement>, Failure> {
        let filters = id.get().to_be_bytes();
        let before = self.cursors.decode_id_bound(LEDGER, &filters, query.cursor.as_ref())?;
        let limit = query.limit.unwrap_or_default();
        let rows = self.db.run(async |connection| ledger::page(connection, id, before, limit.get() + 1).await);
        let rows = rows.await.map_err(OrdersError::from)?;
        if rows.is_empty() {
            self.view(viewer, id).await?;
        }
        Ok(Page::cut(rows, limit, |last| self.cursors.encode_id(LEDGER, &filters, last.id)))
    }
}

async fn view(connection: &mut Connection, id: ProductId) -> Result<Product, OrdersError> {
    products::find(connection, id).await?.ok_or_else(|| not_found(id))
}

/// Records a stock change by a user account in the ledger. A change of 0 is not recorded.
async fn record(
    connection: &mut Connection,
    (product_id, delta, reason): (ProductId, i64, &str),
    reference: Option<&str>,
    principal: &str,
) -> Result<(), DbError> {
    if delta == 0 {
        return Ok(());
    }
    ledger::append([Entry { product_id, delta, reason, reference, order_id: None, principal }]).run(connection).await
}

fn check_unchanged(seen: &Product, if_match: Option<&IfMatch>, patch: &ProductPatch) -> Result<(), OrdersError> {
    if if_match.is_some_and(|wanted| !wanted.allows(seen.version)) {
        return Err(OrdersError::VersionChanged { current: seen.version });
    }
    if patch.expected_stock.is_some_and(|expected| expected.get() != seen.stock) {
        return Err(OrdersError::StockChanged { product: seen.id, available: seen.stock });
    }
    Ok(())
}

fn check_adjustment(adjustment: &StockAdjustmentInput) -> Result<(), OrdersError> {
    if adjustment.delta.get() == 0 {
        return Err(OrdersError::Invalid {
            field: "delta",
            problem: "expected an integer other than 0, got 0".to_owned(),
        });
    }
    if reason::is_reserved(adjustment.reason.as_str()) {
        let problem = format!("expected a reason other than {}, in any spelling", reason::RESERVED.join(", "));
        return Err(OrdersError::Invalid { field: "reason", problem });
    }
    Ok(())
}

fn not_found(id: ProductId) -> OrdersError {
    OrdersError::ProductsNotFound(vec![id])
}

fn sku_taken(error: DbError) -> OrdersError {
    if error.is_unique(products::UNIQUE_SKU) { OrdersError::SkuTaken } else { error.into() }
}
