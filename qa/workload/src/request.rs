//! What clients ask for, and how it is written as an HTTP request.

use serde_json::{Value, json};

use crate::outcome::ProductSeen;

/// As whom a client works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    Operator,
    Service,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    Create(NewOrder),
    Confirm { order: i64 },
    Cancel { order: i64 },
    ViewOrder { order: i64 },
    FindOrder { order: i64, reference: String },
    CreateAndConfirm(NewOrder),
    SetPrice { product: i64, price_cents: i64, if_match: Option<i64> },
    SetStock { seen: ProductSeen, stock: i64 },
    AdjustStock { product: i64, delta: i64, reference: String },
    ViewProduct { product: i64 },
    CreateCustomer { name: String, email: String },
    UpdateCustomer { id: i64, name: String, email: String, if_match: Option<i64> },
    DeleteCustomer { id: i64 },
    ViewCustomer { id: i64 },
    FindCustomer { id: i64, email: String },
}

/// The content of a new order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewOrder {
    pub(crate) customer: i64,
    /// Products and quantities, line by line.
    pub(crate) lines: Vec<(i64, i64)>,
    /// Unique: it finds an order that was created without a key.
    pub(crate) reference: Option<String>,
    pub(crate) expected_total_cents: Option<i64>,
}

impl Request {
    /// The `operationId` of its operation.
    pub(crate) fn operation(&self) -> &'static str {
        match self {
            Self::Create(_) => "order_create",
            Self::Confirm { .. } => "order_confirm",
            Self::Cancel { .. } => "order_cancel",
            Self::ViewOrder { .. } => "order_view",
            Self::FindOrder { .. } => "order_list",
            Self::CreateAndConfirm(_) => "order_create_and_confirm",
            Self::SetPrice { .. } | Self::SetStock { .. } => "product_update",
            Self::AdjustStock { .. } => "stock_adjustment_create",
            Self::ViewProduct { .. } => "product_view",
            Self::CreateCustomer { .. } => "customer_create",
            Self::UpdateCustomer { .. } => "customer_update",
            Self::DeleteCustomer { .. } => "customer_delete",
            Self::ViewCustomer { .. } => "customer_view",
            Self::FindCustomer { .. } => "customer_list",
        }
    }

    /// The id in its path, or the one that is looked for in a list.
    pub(crate) fn id(&self) -> Option<i64> {
        match self {
            Self::Confirm { order: id }
            | Self::Cancel { order: id }
            | Self::ViewOrder { order: id }
            | Self::FindOrder { order: id, .. }
            | Self::SetPrice { product: id, .. }
            | Self::SetStock { seen: ProductSeen { id, .. }, .. }
            | Self::AdjustStock { product: id, .. }
            | Self::ViewProduct { product: id }
            | Self::UpdateCustomer { id, .. }
            | Self::DeleteCustomer { id }
            | Self::ViewCustomer { id }
            | Self::FindCustomer { id, .. } => Some(*id),
            Self::Create(_) | Self::CreateAndConfirm(_) | Self::CreateCustomer { .. } => None,
        }
    }

    /// The version that it expects.
    pub(crate) fn if_match(&self) -> Option<i64> {
        match self {
            Self::SetPrice { if_match, .. } | Self::UpdateCustomer { if_match, .. } => *if_match,
            Self::SetStock { seen, .. } => Some(seen.version),
            _ => None,
        }
    }

    /// Its query: the list is asked for one row.
    pub(crate) fn query(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::FindOrder { reference, .. } => vec![("external_reference", reference)],
            Self::FindCustomer { email, .. } => vec![("search", email), ("limit", "100")],
            _ => Vec::new(),
        }
    }

    /// Its body, where it has one. The orchestrator takes the key and the correlation id here.
    pub(crate) fn body(&self, key: Option<&str>, correlation_id: &str) -> Option<Value> {
        Some(match self {
            Self::Create(new) => new.body(),
            Self::CreateAndConfirm(new) => {
                let mut body = new.body();
                body["idempotency_key"] = json!(key);
                body["correlation_id"] = json!(correlation_id);
                body
            }
            Self::SetPrice { price_cents, .. } => json!({ "price_cents": price_cents }),
            Self::SetStock { stock, .. } => json!({ "stock": stock }),
            Self::AdjustStock { delta, reference, .. } => {
                json!({ "delta": delta, "reason": if *delta > 0 { "delivery" } else { "damage" }, "reference": reference })
            }
            Self::CreateCustomer { name, email } | Self::UpdateCustomer { name, email, .. } => {
                json!({ "name": name, "email": email })
            }
            _ => return None,
        })
    }
}

impl NewOrder {
    fn body(&self) -> Value {
        let items: Vec<_> =
            self.lines.iter().map(|(product, qty)| json!({ "product_id": product, "qty": qty })).collect();
        let mut body = json!({ "customer_id": self.customer, "items": items });
        if let Some(reference) = &self.reference {
            body["external_reference"] = json!(reference);
        }
        if let Some(total) = self.expected_total_cents {
            body["expected_total_cents"] = json!(total);
        }
        body
    }
}
