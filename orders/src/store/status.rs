//! Order status as stored in ENUM columns.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::mysql::{Mysql, MysqlValue};
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Text;
use orders_api::OrderStatus;

#[derive(Debug, Clone, Copy, FromSqlRow, AsExpression)]
#[diesel(sql_type = Text)]
pub(super) struct Status(pub(super) OrderStatus);

impl Status {
    pub(super) fn text(self) -> &'static str {
        match self.0 {
            OrderStatus::Created => "CREATED",
            OrderStatus::Confirmed => "CONFIRMED",
            OrderStatus::Canceled => "CANCELED",
        }
    }
}

impl FromSql<Text, Mysql> for Status {
    fn from_sql(value: MysqlValue<'_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<Text, Mysql>>::from_sql(value)?;
        match text.as_str() {
            "CREATED" => Ok(Self(OrderStatus::Created)),
            "CONFIRMED" => Ok(Self(OrderStatus::Confirmed)),
            "CANCELED" => Ok(Self(OrderStatus::Canceled)),
            other => Err(format!("unknown order status {other}").into()),
        }
    }
}

impl ToSql<Text, Mysql> for Status
where
    Mysql: Backend,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Mysql>) -> serialize::Result {
        <str as ToSql<Text, Mysql>>::to_sql(self.text(), out)
    }
}
