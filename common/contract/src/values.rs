//! Values that are validated on construction, so handlers never receive one that is out of range.
//!
//! Validation and schema of a type use the same constants. The schemas are inlined where they are used, not emitted as
//! named types.

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;

use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::{ArrayValidation, InstanceType, NumberValidation, Schema, SchemaObject, StringValidation};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::visible::is_visible;

/// Text of 1 to `MAX` characters, at least one of them visible, without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Text<const MAX: usize>(String);

/// Username of a user account: 1 to 64 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Username(String);

/// Stock keeping unit: 1 to 64 printable ASCII characters, without leading or trailing spaces. Case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Sku(String);

/// Array of `MIN` to `MAX` objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Object<T>>", bound(deserialize = "T: Deserialize<'de>"))]
pub struct List<T, const MIN: usize, const MAX: usize>(Vec<T>);

/// Wrapper that deserializes a struct from a JSON object only. By default serde also accepts an array of its fields.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

/// Deserializes a struct like [`Object`], for `#[serde(deserialize_with)]`.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Object::deserialize(deserializer).map(|Object(value)| value)
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

impl<const MAX: usize> TryFrom<String> for Text<MAX> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = text.chars().count() <= MAX;
        let printable = !text.chars().any(char::is_control);
        if fits && printable && text.chars().any(is_visible) {
            Ok(Self(text))
        } else {
            Err(format!("expected 1 to {MAX} characters, at least one of them visible, no control characters"))
        }
    }
}

impl TryFrom<String> for Username {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=Self::MAX).contains(&text.len()) {
            Ok(Self(text))
        } else {
            Err(format!("expected 1 to {} visible ASCII characters without spaces", Self::MAX))
        }
    }
}

impl Username {
    /// Maximum length of a username, in characters.
    pub const MAX: usize = 64;

    /// Returns the username in lower case, which must be unique.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl TryFrom<String> for Sku {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (1..=Self::MAX).contains(&text.len());
        let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if fits && printable && text.trim() == text {
            Ok(Self(text))
        } else {
            Err(format!("expected 1 to {} printable ASCII characters, no space at either end", Self::MAX))
        }
    }
}

impl Sku {
    const MAX: usize = 64;
}

impl<T, const MIN: usize, const MAX: usize> TryFrom<Vec<Object<T>>> for List<T, MIN, MAX> {
    type Error = String;

    fn try_from(objects: Vec<Object<T>>) -> Result<Self, Self::Error> {
        if (MIN..=MAX).contains(&objects.len()) {
            Ok(Self(objects.into_iter().map(|Object(object)| object).collect()))
        } else {
            Err(format!("expected {MIN} to {MAX} items"))
        }
    }
}

impl<T, const MIN: usize, const MAX: usize> List<T, MIN, MAX> {
    /// Returns the elements.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }
}

macro_rules! text_access {
    ($($generics:tt)*) => {
        impl $($generics)* {
            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}
text_access!(<const MAX: usize> Text<MAX>);
text_access!(Username);
text_access!(Sku);

macro_rules! integer_type {
    ($(#[$doc:meta])* $name:ident, $min:expr, $max:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "i64")]
        pub struct $name(i64);

        impl $name {
            /// Minimum value.
            pub const MIN: i64 = $min;
            /// Maximum value.
            pub const MAX: i64 = $max;

            /// Returns the value as an integer.
            pub fn get(self) -> i64 {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = String;

            fn try_from(number: i64) -> Result<Self, Self::Error> {
                if (Self::MIN..=Self::MAX).contains(&number) {
                    Ok(Self(number))
                } else {
                    Err(format!("expected an integer from {} to {}", Self::MIN, Self::MAX))
                }
            }
        }

        inline_schema!($name, integer_schema(Self::MIN, Some(Self::MAX)));
    };
}

macro_rules! inline_schema {
    ($name:ty, $schema:expr $(, $($generics:tt)*)?) => {
        impl $($($generics)*)? JsonSchema for $name {
            fn is_referenceable() -> bool {
                false
            }

            fn schema_name() -> String {
                stringify!($name).to_owned()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

integer_type! {
    /// Unit price in cents: 0 to 10,000,000,000. The total of a full order at this price fits in 64 bits.
    PriceCents, 0, 10_000_000_000
}
integer_type! {
    /// Units of a product in stock: 0 to 1,000,000,000.
    Stock, 0, 1_000_000_000
}
integer_type! {
    /// Change of the stock in units, negative to remove: -1,000,000,000 to 1,000,000,000.
    StockDelta, -1_000_000_000, 1_000_000_000
}
integer_type! {
    /// Units in one line item of an order: 1 to 1,000,000.
    Qty, 1, 1_000_000
}

// No notation of the control characters above U+007F, or of all invisible ones, is valid in every client language, so
// the pattern names ASCII controls and white space. `openapi check` refuses what is not portable.
inline_schema!(
    Text<MAX>,
    text_schema(1..=MAX, None, r"^[^\x00-\x1F\x7F]*[^\s\x00-\x1F\x7F][^\x00-\x1F\x7F]*$"),
    <const MAX: usize>
);
inline_schema!(Username, text_schema(1..=Self::MAX, None, "^[!-~]+$"));
inline_schema!(Sku, text_schema(1..=Self::MAX, None, "^[!-~]([ -~]*[!-~])?$"));

impl<T: JsonSchema, const MIN: usize, const MAX: usize> JsonSchema for List<T, MIN, MAX> {
    fn is_referenceable() -> bool {
        false
    }

    fn schema_name() -> String {
        format!("{}List", T::schema_name())
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        SchemaObject {
            instance_type: Some(InstanceType::Array.into()),
            array: Some(Box::new(ArrayValidation {
                items: Some(generator.subschema_for::<T>().into()),
                min_items: u32::try_from(MIN).ok(),
                max_items: u32::try_from(MAX).ok(),
                ..Default::default()
            })),
            ..Default::default()
        }
        .into()
    }
}

/// Returns the schema of a 64-bit integer within limits.
#[expect(clippy::cast_precision_loss, reason = "every limit here is far below 2^53")]
pub(crate) fn integer_schema(min: i64, max: Option<i64>) -> Schema {
    SchemaObject {
        instance_type: Some(InstanceType::Integer.into()),
        format: Some("int64".to_owned()),
        number: Some(Box::new(NumberValidation {
            minimum: Some(min as f64),
            maximum: max.map(|max| max as f64),
            ..Default::default()
        })),
        ..Default::default()
    }
    .into()
}

/// Returns the schema of a string of at most `max` characters.
pub fn bounded_text(max: usize) -> Schema {
    SchemaObject {
        instance_type: Some(InstanceType::String.into()),
        string: Some(Box::new(StringValidation { max_length: u32::try_from(max).ok(), ..Default::default() })),
        ..Default::default()
    }
    .into()
}

/// Returns the schema of a string that matches `pattern` and whose number of characters is in `length`.
pub fn text_schema(length: RangeInclusive<usize>, format: Option<&str>, pattern: &str) -> Schema {
    SchemaObject {
        instance_type: Some(InstanceType::String.into()),
        format: format.map(str::to_owned),
        string: Some(Box::new(StringValidation {
            min_length: u32::try_from(*length.start()).ok(),
            max_length: u32::try_from(*length.end()).ok(),
            pattern: Some(pattern.to_owned()),
        })),
        ..Default::default()
    }
    .into()
}
