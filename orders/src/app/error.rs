//! Orders service errors, and their mapping to error codes.

use std::time::Duration;

use common_contract::{CustomerId, Detail, Failure, ProductId, codes};
use db::{DbError, TransactionError};
use orders_api::{
    CANCEL_WINDOW_PASSED, CUSTOMER_NOT_FOUND, CUSTOMER_SERVICE_TIMEOUT, CUSTOMER_SERVICE_UNAVAILABLE,
    IDEMPOTENCY_KEY_ABANDONED, INSUFFICIENT_STOCK, ORDER_CANCELED, ORDER_NOT_FOUND, PRODUCT_NOT_FOUND, SKU_TAKEN,
    STOCK_CHANGED, STOCK_OUT_OF_RANGE, TOTAL_CHANGED, TOTAL_OUT_OF_RANGE,
};

use crate::upstream::customers::CustomerFault;

/// `Retry-After` value for transient failures.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Error returned by an operation on products or orders.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OrdersError {
    #[error("{field}: {problem}")]
    Invalid { field: &'static str, problem: String },
    #[error("some products do not exist")]
    ProductsNotFound(Vec<ProductId>),
    #[error("another product already has this sku")]
    SkuTaken,
    #[error("the stock would be out of range")]
    StockOutOfRange { product: ProductId, available: i64 },
    #[error("the stock differs from the expected stock")]
    StockChanged { product: ProductId, available: i64 },
    #[error("not enough stock")]
    InsufficientStock(Vec<Shortage>),
    #[error("the total is {total_cents} cents, which differs from the expected total")]
    TotalChanged { total_cents: i64 },
    #[error("the total is too large")]
    TotalOutOfRange,
    #[error("the customer does not exist")]
    CustomerNotFound(CustomerId),
    #[error("the customer could not be checked")]
    CustomerNotChecked(#[source] CustomerFault),
    #[error("the order does not exist")]
    OrderNotFound,
    #[error("the order was canceled")]
    OrderCanceled,
    #[error("the order was confirmed too long ago to be canceled")]
    CancelWindowPassed,
    #[error("the current version is {current}")]
    VersionChanged { current: i64 },
    #[error("the idempotency key was used for a different request")]
    KeyReused,
    #[error("the create request with this idempotency key was abandoned")]
    KeyAbandoned,
    #[error("JSON serialization or deserialization failed")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Database(#[from] DbError),
}

/// A product whose stock is less than the requested quantity.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shortage {
    pub(crate) product: ProductId,
    pub(crate) requested: i64,
    pub(crate) available: i64,
}

impl OrdersError {
    /// Error for a missing idempotency key.
    pub(crate) fn key_required() -> Self {
        Self::Invalid { field: "X-Idempotency-Key", problem: "is missing, and services must send one".to_owned() }
    }
}

impl TransactionError for OrdersError {
    fn as_db(&self) -> Option<&DbError> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl From<CustomerFault> for OrdersError {
    fn from(fault: CustomerFault) -> Self {
        match fault {
            CustomerFault::NotFound(id) => Self::CustomerNotFound(id),
            fault => Self::CustomerNotChecked(fault),
        }
    }
}

/// Maps each error to its error code, which determines the HTTP status. No other code in this crate chooses error
/// codes.
impl From<OrdersError> for Failure {
    fn from(error: OrdersError) -> Self {
        use OrdersError as E;
        let message = error.to_string();
        match error {
            E::Invalid { field, problem } => Self::invalid_field(field, problem),
            E::ProductsNotFound(ids) => {
                Self { details: ids.into_iter().map(product_detail).collect(), ..Self::new(PRODUCT_NOT_FOUND, message) }
            }
            E::SkuTaken => Self::new(SKU_TAKEN, message).with(Detail::field("sku", "belongs to another product")),
            E::StockOutOfRange { product, available } => {
                Self::new(STOCK_OUT_OF_RANGE, message).with(stock_detail(product, available))
            }
            E::StockChanged { product, available } => {
                Self::new(STOCK_CHANGED, message).with(stock_detail(product, available))
            }
            E::InsufficientStock(shortages) => Self {
                details: shortages.iter().map(shortage_detail).collect(),
                ..Self::new(INSUFFICIENT_STOCK, message)
            },
            E::TotalChanged { total_cents } => {
                Self::new(TOTAL_CHANGED, message).with(Detail { total_cents: Some(total_cents), ..Detail::default() })
            }
            E::TotalOutOfRange => Self::new(TOTAL_OUT_OF_RANGE, message),
            E::CustomerNotFound(id) => Self::new(CUSTOMER_NOT_FOUND, message)
                .with(Detail::field("customer_id", format!("there is no customer {id}"))),
            E::CustomerNotChecked(fault) => customer_failure(fault, message),
            E::OrderNotFound => Self::new(ORDER_NOT_FOUND, message),
            E::OrderCanceled => Self::new(ORDER_CANCELED, message),
            E::CancelWindowPassed => Self::new(CANCEL_WINDOW_PASSED, message),
            E::VersionChanged { current } => Self::precondition_failed(current),
            E::KeyReused => Self::new(codes::IDEMPOTENCY_KEY_REUSED, message),
            E::KeyAbandoned => Self::new(IDEMPOTENCY_KEY_ABANDONED, message),
            E::Json(error) => Self::internal(error),
            E::Database(error) => database_failure(error),
        }
    }
}

fn database_failure(error: DbError) -> Failure {
    match error {
        DbError::Unavailable { .. } | DbError::Timeout | DbError::Deadlock | DbError::LockTimeout => {
            Failure::unavailable(error)
        }
        DbError::OutcomeUnknown => Failure::outcome_unknown(error),
        DbError::KeyInProgress => {
            Failure::new(codes::IDEMPOTENCY_IN_PROGRESS, error.to_string()).retry_after(RETRY_AFTER)
        }
        DbError::Unique { .. } | DbError::ForeignKey { .. } | DbError::Check { .. } | DbError::Other(_) => {
            Failure::internal(error)
        }
    }
}

fn customer_failure(fault: CustomerFault, message: String) -> Failure {
    let code = match fault {
        CustomerFault::TimedOut => CUSTOMER_SERVICE_TIMEOUT,
        CustomerFault::NotFound(_) | CustomerFault::Unavailable(_) => CUSTOMER_SERVICE_UNAVAILABLE,
    };
    Failure::new(code, message).retry_after(RETRY_AFTER).caused_by(fault)
}

fn product_detail(id: ProductId) -> Detail {
    Detail { product_id: Some(id.get()), ..Detail::default() }
}

fn stock_detail(id: ProductId, available: i64) -> Detail {
    Detail { available: Some(available), ..product_detail(id) }
}

fn shortage_detail(shortage: &Shortage) -> Detail {
    Detail { requested: Some(shortage.requested), ..stock_detail(shortage.product, shortage.available) }
}
