//! Table rows of generated customers and products, with their search prefixes and initial ledger entries.

use super::PRINCIPAL;
use super::generate::{self, Product, Size};
use super::rows::MOVEMENTS;
use super::scale::Base;
use db::insert::Insert;
use db::search::prefixes;

/// Table and columns of customer prefixes.
pub(super) const CUSTOMER_PREFIXES: &str = "customer_prefixes (prefix, customer_id)";
/// Table and columns of product prefixes.
pub(super) const PRODUCT_PREFIXES: &str = "product_prefixes (prefix, product_id)";

/// Product with the quantities that the generated orders allocate and restock.
pub(super) struct CatalogProduct {
    pub(super) id: i64,
    pub(super) sku: String,
    pub(super) product: Product,
    ordered: i64,
    restocked: i64,
}

/// Generates all products with their totals. To calculate the totals, it generates all orders a first time, because the
/// ordered quantities must be known before products are inserted.
pub(super) fn catalog(size: Size, first_id: i64) -> Vec<CatalogProduct> {
    let mut catalog = (first_id..)
        .zip(generate::products(size))
        .map(|(id, product)| CatalogProduct {
            id,
            sku: format!("{}-{id:07}", product.sku_prefix),
            product,
            ordered: 0,
            restocked: 0,
        })
        .collect::<Vec<_>>();
    for order in generate::orders(size) {
        for item in &order.items {
            let stocked = &mut catalog[item.product];
            stocked.ordered += item.qty;
            if order.outcome.is_canceled() {
                stocked.restocked += item.qty;
            }
        }
    }
    catalog
}

/// Returns the rows for customers with these ids and names.
pub(super) fn customer_rows(names: &[(i64, String)], base: &Base) -> Vec<Insert> {
    let start = base.start;
    let mut rows = Insert::into("customers (id, name, email, email_key, created_at, updated_at)");
    let emails: Vec<_> = names.iter().map(|(id, _)| format!("orders.{id}@example.com")).collect();
    for ((id, name), email) in names.iter().zip(&emails) {
        let email = email.as_str();
        rows.row(&[(*id).into(), name.as_str().into(), email.into(), email.into(), start.into(), start.into()]);
    }
    let texts = names.iter().zip(&emails).map(|((id, name), email)| (*id, [name.as_str(), email]));
    vec![rows, prefix_rows(CUSTOMER_PREFIXES, texts)]
}

/// Returns the rows for products.
pub(super) fn product_rows(products: &[CatalogProduct], base: &Base) -> Vec<Insert> {
    let mut rows = Insert::into("products (id, sku, name, price_cents, stock, created_at, updated_at)");
    let mut ledger = Insert::into(MOVEMENTS);
    for CatalogProduct { id, sku, product, ordered, restocked } in products {
        rows.row(&[
            (*id).into(),
            sku.as_str().into(),
            product.name.as_str().into(),
            product.price_cents.into(),
            (product.unsold + restocked).into(),
            base.start.into(),
            base.start.into(),
        ]);
        let initial = product.unsold + ordered;
        let row =
            [(*id).into(), initial.into(), "initial".into(), None::<&str>.into(), PRINCIPAL.into(), base.start.into()];
        ledger.row(&row);
    }
    let texts = products.iter().map(|stocked| (stocked.id, [stocked.sku.as_str(), &stocked.product.name]));
    vec![rows, ledger, prefix_rows(PRODUCT_PREFIXES, texts)]
}

/// Returns the prefix rows for `owners`, each given as an id with its two texts. The rows are sorted by primary key, so
/// that adjacent rows are on the same page.
pub(super) fn prefix_rows<'t>(target: &str, owners: impl Iterator<Item = (i64, [&'t str; 2])>) -> Insert {
    let mut rows: Vec<_> =
        owners.flat_map(|(id, texts)| prefixes(&texts).into_iter().map(move |prefix| (prefix, id))).collect();
    rows.sort_unstable();
    let mut insert = Insert::into(target);
    for (prefix, id) in &rows {
        insert.row(&[prefix.as_str().into(), (*id).into()]);
    }
    insert
}
