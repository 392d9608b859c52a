//! Identifiers: positive 64-bit integers, one type per resource.

use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::Schema;
use serde::{Deserialize, Serialize};

use crate::values::integer_schema;

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "i64")]
        pub struct $name(i64);

        impl $name {
            /// Wraps the id of a stored row without validation, because the database generates only positive ids.
            pub fn stored(id: i64) -> Self {
                Self(id)
            }

            /// Returns the id as the integer stored in the database.
            pub fn get(self) -> i64 {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = &'static str;

            fn try_from(id: i64) -> Result<Self, Self::Error> {
                if id >= 1 { Ok(Self(id)) } else { Err("expected an integer from 1 to 9223372036854775807") }
            }
        }

        impl std::str::FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                text.parse().ok().filter(|_| digits).unwrap_or(0).try_into()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl JsonSchema for $name {
            fn is_referenceable() -> bool {
                false
            }

            fn schema_name() -> String {
                stringify!($name).to_owned()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                integer_schema(1, None)
            }
        }
    };
}

id_type! {
    /// ID of a customer.
    CustomerId
}
id_type! {
    /// ID of a product.
    ProductId
}
id_type! {
    /// ID of an order.
    OrderId
}
id_type! {
    /// ID of a user account.
    OperatorId
}
