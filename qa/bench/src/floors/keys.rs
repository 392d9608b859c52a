//! The statements for an idempotency key: what `db::idempotency` sends, for one key each and in their plainest form.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, params};

/// Who calls.
pub(super) const PRINCIPAL: &str = "user:1";
/// A day, in microseconds.
const RETENTION: i64 = 86_400_000_000;

const FIND: &str = "SELECT `nonce`, `request_hash`, `status`, `target_id`, `response_status`, `response_body` \
FROM `idempotency_keys` WHERE `scope` = :scope AND `principal` = :principal AND `key` = :key \
AND `expires_at` > UTC_TIMESTAMP(6) LIMIT 1";

const TAKE: &str = "INSERT INTO idempotency_keys \
(scope, principal, `key`, nonce, request_hash, status, created_at, expires_at) \
VALUES (:scope, :principal, :key, :nonce, :hash, 'in_progress', UTC_TIMESTAMP(6), \
UTC_TIMESTAMP(6) + INTERVAL :retention MICROSECOND) \
ON DUPLICATE KEY UPDATE \
nonce = IF(expires_at <= UTC_TIMESTAMP(6), VALUES(nonce), nonce), \
request_hash = IF(expires_at <= UTC_TIMESTAMP(6), VALUES(request_hash), request_hash), \
status = IF(expires_at <= UTC_TIMESTAMP(6), VALUES(status), status), \
target_type = IF(expires_at <= UTC_TIMESTAMP(6), NULL, target_type), \
target_id = IF(expires_at <= UTC_TIMESTAMP(6), NULL, target_id), \
response_status = IF(expires_at <= UTC_TIMESTAMP(6), NULL, response_status), \
response_body = IF(expires_at <= UTC_TIMESTAMP(6), NULL, response_body), \
created_at = IF(expires_at <= UTC_TIMESTAMP(6), VALUES(created_at), created_at), \
expires_at = IF(expires_at <= UTC_TIMESTAMP(6), VALUES(expires_at), expires_at)";

const LOOK: &str = "SELECT `nonce`, `request_hash`, `status`, `target_id`, `response_status`, `response_body` \
FROM `idempotency_keys` WHERE `scope` = :scope AND `principal` = :principal AND `key` = :key LIMIT 1";

const COMPLETE: &str = "UPDATE `idempotency_keys` SET `status` = 'completed', `target_type` = 'order', \
`target_id` = :target, `response_status` = :status, `response_body` = :body \
WHERE `scope` = :scope AND `principal` = :principal AND `key` = :key AND `status` = 'in_progress'";

/// A key that nobody used before.
pub(super) struct Key {
    scope: &'static str,
    pub(super) text: String,
    pub(super) hash: [u8; 32],
}

impl Key {
    pub(super) fn new(scope: &'static str) -> Self {
        Self { scope, text: format!("floor-{:032x}", rand::random::<u128>()), hash: rand::random() }
    }

    /// Before the transaction: whether there is an answer already.
    pub(super) async fn find(&self, connection: &mut Conn) -> mysql_async::Result<()> {
        let values = params! { "scope" => self.scope, "principal" => PRINCIPAL, "key" => &self.text };
        connection.exec_first::<Row, _, _>(FIND, values).await.map(|_| ())
    }

    /// Takes the key, and sees that it is this one's.
    pub(super) async fn claim(&self, connection: &mut Conn) -> mysql_async::Result<()> {
        let values = params! {
            "scope" => self.scope, "principal" => PRINCIPAL, "key" => &self.text, "nonce" => rand::random::<[u8; 16]>(),
            "hash" => self.hash, "retention" => RETENTION,
        };
        connection.exec_drop(TAKE, values).await?;
        let values = params! { "scope" => self.scope, "principal" => PRINCIPAL, "key" => &self.text };
        connection.exec_first::<Row, _, _>(LOOK, values).await.map(|_| ())
    }

    /// Keeps an answer of the usual size.
    pub(super) async fn complete(&self, connection: &mut Conn, order: i64, status: u16) -> mysql_async::Result<()> {
        let body = format!(
            r#"{{"id":{order},"customer_id":1000,"status":"CREATED","total_cents":100,"created_at":"2026-01-01T00:00:00.000000Z","version":1,"items":[{{"product_id":1000,"sku":"BENCH-1000","name":"Product 1000","qty":1,"unit_price_cents":100,"subtotal_cents":100}}]}}"#
        );
        let values = params! {
            "scope" => self.scope, "principal" => PRINCIPAL, "key" => &self.text, "target" => order, "status" => status,
            "body" => body,
        };
        connection.exec_drop(COMPLETE, values).await
    }
}
