//! Request and response bodies, and query parameters.

use std::fmt;

use common_contract::values::text_schema;
use common_contract::{
    Cursor, CustomerId, Email, OperatorId, PageLimit, Role, Text, Timestamp, Username, email_schema,
};
use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::Schema;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// Password of `MIN` to 200 characters. `Debug` redacts it.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub struct Password<const MIN: usize = 1>(String);

/// Password to be set. Only its length is checked, in composed characters (NIST SP 800-63B).
pub type NewPassword = Password<12>;

impl<const MIN: usize> Password<MIN> {
    /// Maximum length of a password, in characters.
    const MAX: usize = 200;

    /// Returns the password as it was sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the password in Normalization Form C, the form to hash: keyboards and systems differ in the form they
    /// send (NIST SP 800-63B).
    pub fn normalized(&self) -> String {
        self.0.nfc().collect()
    }
}

impl<const MIN: usize> TryFrom<String> for Password<MIN> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = text.nfc().count() >= MIN && text.chars().count() <= Self::MAX;
        let printable = !text.chars().any(char::is_control);
        if fits && printable && text.chars().any(|c| c != ' ') {
            Ok(Self(text))
        } else {
            Err(format!("expected {MIN} to {} characters, not only spaces, no control characters", Self::MAX))
        }
    }
}

impl<const MIN: usize> JsonSchema for Password<MIN> {
    fn is_referenceable() -> bool {
        false
    }

    fn schema_name() -> String {
        "Password".to_owned()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pattern = r"^[^\x00-\x1F\x7F]*[^\x00-\x20\x7F][^\x00-\x1F\x7F]*$";
        text_schema(MIN..=Self::MAX, None, pattern)
    }
}

impl<const MIN: usize> fmt::Debug for Password<MIN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Username and password of a user account.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// Username of the user account. The username is case-insensitive.
    pub username: Text<100>,
    /// Password of the user account.
    pub password: Password,
}

/// Access token and its lifetime.
#[derive(Serialize, JsonSchema)]
pub struct Token {
    /// Access token. Send it in the header `Authorization: Bearer {access_token}`.
    #[schemars(length(max = 2000))]
    pub access_token: String,
    /// Same value as `access_token`. This field is retained for older clients.
    #[schemars(length(max = 2000))]
    pub token: String,
    /// Always `Bearer`.
    #[schemars(length(max = 20))]
    pub token_type: String,
    /// Lifetime of the token, in seconds.
    pub expires_in: u32,
}

/// Request to change the caller's password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// Current password.
    pub current_password: Password,
    /// New password: 12 to 200 characters. The password must differ from the username.
    pub new_password: NewPassword,
}

/// Request to create a user account.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorInput {
    /// Username for logging in. It must be unique (the comparison is case-insensitive) and cannot be changed later.
    pub username: Username,
    /// Initial password: 12 to 200 characters. The password must differ from the username.
    pub password: NewPassword,
    /// Role of the user account.
    pub role: Role,
}

/// Request to update a user account. Omitted fields remain unchanged.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorPatch {
    /// New role. Access tokens that are issued after the change contain the new role.
    // The default, which is not serialized, makes it optional in the document: OpenAPI 3.0 has no nullable references.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Role")]
    pub role: Option<Role>,
    /// Whether the user account can log in.
    pub active: Option<bool>,
    /// New password, for example to replace a forgotten password: 12 to 200 characters. The password must differ from
    /// the username.
    pub password: Option<NewPassword>,
}

/// User account.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OperatorAccount {
    /// ID of the user account.
    pub id: OperatorId,
    /// Username for logging in.
    #[schemars(length(max = 64))]
    pub username: String,
    /// Role of the user account.
    pub role: Role,
    /// Whether the user account can log in.
    pub active: bool,
    /// Time at which the user account was created.
    pub created_at: Timestamp,
    /// Time at which the user account was last changed.
    pub updated_at: Timestamp,
    /// Version number of the user account. It starts at 1 and increases with each change. The `ETag` header is derived
    /// from it.
    #[schemars(range(min = 1))]
    pub version: i64,
}

/// Pagination of the list of user accounts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorListQuery {
    /// Value of `next_cursor` from the previous page.
    pub cursor: Option<Cursor>,
    /// Maximum number of user accounts per page: 1 to 100. Defaults to 20.
    pub limit: Option<PageLimit>,
}

/// Request to create or replace a customer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerInput {
    /// Name of the company or person.
    pub name: Text<200>,
    /// Email address for order documents, in any script. It must be unique. The comparison ignores letter case, Unicode
    /// normalization, and whether the domain is in Unicode or ASCII (Punycode) form.
    pub email: Email,
    /// Phone number in any format.
    pub phone: Option<Text<40>>,
}

/// Customer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Customer {
    /// ID of the customer.
    pub id: CustomerId,
    /// Name of the company or person.
    #[schemars(length(max = 200))]
    pub name: String,
    /// Email address for order documents.
    #[schemars(schema_with = "email_schema")]
    pub email: String,
    /// Phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub phone: Option<String>,
    /// Time at which the customer was created.
    pub created_at: Timestamp,
    /// Time at which the customer was last changed.
    pub updated_at: Timestamp,
    /// Version number of the customer. It starts at 1 and increases with each change. The `ETag` header is derived from
    /// it.
    #[schemars(range(min = 1))]
    pub version: i64,
}

/// Which customers to retrieve.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerContactQuery {
    /// Whether to return a deleted customer as well, for the replay of an earlier request. Defaults to false.
    pub include_deleted: Option<bool>,
}

/// Contact data of a customer, for other services.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CustomerContact {
    /// ID of the customer.
    pub id: CustomerId,
    /// Name of the company or person.
    #[schemars(length(max = 200))]
    pub name: String,
    /// Email address for order documents.
    #[schemars(schema_with = "email_schema")]
    pub email: String,
    /// Phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub phone: Option<String>,
    /// Time of the deletion; absent unless the customer was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

/// Search and pagination of the list of customers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerListQuery {
    /// Search words. A customer matches if each word is a prefix of a word in the name or the
    /// email address. The comparison ignores letter case, accents and invisible characters. Only the
    /// first eight search words, and the first 24 characters of each, are used.
    pub search: Option<Text<200>>,
    /// Value of `next_cursor` from the previous page. The cursor is valid only with the same `search` value.
    pub cursor: Option<Cursor>,
    /// Maximum number of customers per page: 1 to 100. Defaults to 20.
    pub limit: Option<PageLimit>,
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn debug_output_contains_no_password() {
        let secret = "correct horse";
        let shown = [
            format!("{:?}", from_value::<Credentials>(json!({ "username": "ann", "password": secret })).unwrap()),
            format!(
                "{:?}",
                from_value::<PasswordChange>(json!({ "current_password": secret, "new_password": secret })).unwrap()
            ),
            format!(
                "{:?}",
                from_value::<OperatorInput>(json!({ "username": "ann", "password": secret, "role": "viewer" }))
                    .unwrap()
            ),
            format!("{:?}", from_value::<OperatorPatch>(json!({ "password": secret })).unwrap()),
        ];
        for text in shown {
            assert!(text.contains("password: ") && text.contains('…') && !text.contains("horse"), "{text}");
        }
        assert!(
            from_value::<OperatorInput>(json!({ "username": "ann", "password": "too short", "role": "viewer" }))
                .is_err()
        );
    }
}
