//! Client requests, and their conversion to HTTP requests.

use serde::Serialize;
use serde_json::{Value, json};

use crate::outcome::{Adjustment, Product};

/// Identity with which a client sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The user account whose credentials are in the targets.
    User,
    /// The service that authenticates with the shared service token.
    Service,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    Create(NewOrder),
    Confirm { order: i64 },
    Cancel { order: i64 },
    ViewOrder { order: i64 },
    FindOrder { order: i64, reference: String },
    CreateAndConfirm(NewOrder),
    CreateProduct { sku: String, price_cents: i64, stock: i64 },
    SetPrice { product: i64, price_cents: i64, if_match: Option<i64> },
    SetStock { observed: Product, stock: i64 },
    AdjustStock(Adjustment),
    ViewProduct { product: i64 },
    CreateCustomer { name: String, email: String },
    UpdateCustomer { id: i64, name: String, email: String, if_match: Option<i64> },
    DeleteCustomer { id: i64 },
    ViewCustomer { id: i64 },
    FindCustomer { id: i64, email: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NewOrder {
    pub(crate) customer_id: i64,
    pub(crate) items: Vec<Line>,
    /// Unique reference that identifies an order created without a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) external_reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expected_total_cents: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    pub(crate) product_id: i64,
    pub(crate) qty: i64,
}

pub(crate) struct Call {
    /// The `operationId`.
    pub(crate) operation: &'static str,
    /// The ID in the path.
    pub(crate) id: Option<i64>,
    pub(crate) if_match: Option<i64>,
    /// The query of a GET request, the body of any other request, or null.
    pub(crate) content: Value,
}

impl Request {
    pub(crate) fn call(&self) -> Call {
        let (operation, id, if_match, content) = match self {
            Self::Create(new) => ("order_create", None, None, json!(new)),
            Self::Confirm { order } => ("order_confirm", Some(*order), None, Value::Null),
            Self::Cancel { order } => ("order_cancel", Some(*order), None, Value::Null),
            Self::ViewOrder { order } => ("order_view", Some(*order), None, Value::Null),
            Self::FindOrder { reference, .. } => ("order_list", None, None, json!({ "external_reference": reference })),
            Self::CreateAndConfirm(new) => ("order_create_and_confirm", None, None, json!(new)),
            Self::CreateProduct { sku, price_cents, stock } => {
                let content = json!({ "sku": sku, "name": sku, "price_cents": price_cents, "stock": stock });
                ("product_create", None, None, content)
            }
            Self::SetPrice { product, price_cents, if_match } => {
                ("product_update", Some(*product), *if_match, json!({ "price_cents": price_cents }))
            }
            Self::SetStock { observed, stock } => {
                ("product_update", Some(observed.id), Some(observed.version), json!({ "stock": stock }))
            }
            Self::AdjustStock(Adjustment { product_id, delta, reference }) => {
                let reason = if *delta > 0 { "delivery" } else { "damage" };
                let content = json!({ "delta": delta, "reason": reason, "reference": reference });
                ("stock_adjustment_create", Some(*product_id), None, content)
            }
            Self::ViewProduct { product } => ("product_view", Some(*product), None, Value::Null),
            Self::CreateCustomer { name, email } => {
                ("customer_create", None, None, json!({ "name": name, "email": email }))
            }
            Self::UpdateCustomer { id, name, email, if_match } => {
                ("customer_update", Some(*id), *if_match, json!({ "name": name, "email": email }))
            }
            Self::DeleteCustomer { id } => ("customer_delete", Some(*id), None, Value::Null),
            Self::ViewCustomer { id } => ("customer_view", Some(*id), None, Value::Null),
            Self::FindCustomer { email, .. } => ("customer_list", None, None, json!({ "search": email, "limit": 100 })),
        };
        Call { operation, id, if_match, content }
    }
}
