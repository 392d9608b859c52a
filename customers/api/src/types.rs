//! The shapes on the wire.

use std::fmt;

use common_contract::{Cursor, CustomerId, Email, OperatorId, PageLimit, Role, Text, Timestamp, Username};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an operator logs in with: `MIN` to 200 characters. `Debug` does not show it.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Password<const MIN: usize = 1>(Text<200, MIN>);

/// A password that is set from now on. Length is all that is asked for (NIST SP 800-63B).
pub type NewPassword = Password<12>;

impl<const MIN: usize> Password<MIN> {
    /// The password itself.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl<const MIN: usize> TryFrom<String> for Password<MIN> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Text::try_from(text).map(Self)
    }
}

impl<const MIN: usize> fmt::Debug for Password<MIN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// An operator's name and password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The operator's name.
    pub username: Text<100>,
    /// The operator's password.
    pub password: Password,
}

/// A token and how to use it.
#[derive(Serialize, JsonSchema)]
pub struct Token {
    /// To be sent as `Authorization: Bearer …`.
    #[schemars(length(max = 2000))]
    pub access_token: String,
    /// The same token, under the name that older clients know.
    #[schemars(length(max = 2000))]
    pub token: String,
    /// Always `Bearer`.
    #[schemars(length(max = 20))]
    pub token_type: String,
    /// How long the token holds, in seconds.
    pub expires_in: u32,
}

/// One's own password, and another.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The password that holds until now.
    pub current_password: Password,
    /// The one that holds from now on. It must not be the operator's name.
    pub new_password: NewPassword,
}

/// An operator, as an admin makes one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOperator {
    /// What the operator logs in as. No two operators share one, letter case aside, and it stays.
    pub username: Username,
    /// What the operator logs in with. It must not be the name.
    pub password: NewPassword,
    /// What the operator may do.
    pub role: Role,
}

/// Changes of an operator. What is left out stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorPatch {
    /// What the operator may do from the next login on.
    // Optional in the document by its default, which is left out: OpenAPI 3.0 has no nullable reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Role")]
    pub role: Option<Role>,
    /// Whether the operator may log in.
    pub active: Option<bool>,
    /// A new password, for whoever forgot theirs. It must not be the operator's name.
    pub password: Option<NewPassword>,
}

/// An operator.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OperatorAccount {
    /// Given by the service.
    pub id: OperatorId,
    /// What the operator logs in as.
    #[schemars(length(max = 64))]
    pub username: String,
    /// What the operator may do.
    pub role: Role,
    /// Whether the operator may log in.
    pub active: bool,
    /// When the operator was made.
    pub created_at: Timestamp,
    /// When the operator was last changed.
    pub updated_at: Timestamp,
    /// Counts the changes, from 1; the ETag is made from it.
    #[schemars(range(min = 1))]
    pub version: i64,
}

/// Where in the list of operators.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorListQuery {
    /// The `next_cursor` of the page before.
    pub cursor: Option<Cursor>,
    /// How many operators at most; 20 where absent.
    pub limit: Option<PageLimit>,
}

/// A customer, as an operator writes it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerInput {
    /// The company's or the person's name.
    pub name: Text<200>,
    /// Where order papers go. No two customers share one, letter case aside.
    pub email: Email,
    /// How to call them, in any notation.
    pub phone: Option<Text<40>>,
}

/// A customer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Customer {
    /// Given by the service.
    pub id: CustomerId,
    /// The company's or the person's name.
    #[schemars(length(max = 200))]
    pub name: String,
    /// Where order papers go.
    #[schemars(length(max = 254), email)]
    pub email: String,
    /// How to call them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub phone: Option<String>,
    /// When the customer was made.
    pub created_at: Timestamp,
    /// When the customer was last changed.
    pub updated_at: Timestamp,
    /// Counts the changes, from 1; the ETag is made from it.
    #[schemars(range(min = 1))]
    pub version: i64,
}

/// What a service is told of a customer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CustomerContact {
    /// The customer's id.
    pub id: CustomerId,
    /// The company's or the person's name.
    #[schemars(length(max = 200))]
    pub name: String,
    /// Where order papers go.
    #[schemars(length(max = 254), email)]
    pub email: String,
    /// How to call them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub phone: Option<String>,
}

/// Which customers, and where in the list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerListQuery {
    /// Words; each has to begin a word of the name or of the email address. The first eight count, and the first
    /// 24 characters of each.
    pub search: Option<Text<200>>,
    /// The `next_cursor` of the page before, under the same search.
    pub cursor: Option<Cursor>,
    /// How many customers at most; 20 where absent.
    pub limit: Option<PageLimit>,
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn no_shape_shows_a_password_to_whoever_prints_it() {
        let secret = "correct horse";
        let shown = [
            format!("{:?}", from_value::<Credentials>(json!({ "username": "ann", "password": secret })).unwrap()),
            format!(
                "{:?}",
                from_value::<PasswordChange>(json!({ "current_password": secret, "new_password": secret })).unwrap()
            ),
            format!(
                "{:?}",
                from_value::<NewOperator>(json!({ "username": "ann", "password": secret, "role": "viewer" })).unwrap()
            ),
            format!("{:?}", from_value::<OperatorPatch>(json!({ "password": secret })).unwrap()),
        ];
        for text in shown {
            assert!(text.contains("password: ") && text.contains('…') && !text.contains("horse"), "{text}");
        }
        assert!(
            from_value::<NewOperator>(json!({ "username": "ann", "password": "too short", "role": "viewer" })).is_err()
        );
    }
}
