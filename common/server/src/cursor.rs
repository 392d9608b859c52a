//! Authenticated page tokens (cursors). A token is valid only for the list and the filters for which it was issued.

use std::ops::BitOr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common_contract::{Cursor, Failure, codes};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use crate::auth::JwtSecrets;
use crate::settings::{Env, SettingError};

const TAG_BYTES: usize = 16;

/// Position of a page's last row: its sort key and its id. The id breaks ties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The row's sort key.
    pub sort: i64,
    /// The row's id.
    pub id: i64,
}

/// Key for encoding and verifying page tokens.
#[derive(Clone)]
pub struct CursorKey {
    current: Hmac<Sha256>,
    secondary: Option<Hmac<Sha256>>,
}

impl CursorKey {
    /// Derives the key from `JWT_SECRET`, which all replicas of a service share. Page tokens encoded with the key
    /// derived from `JWT_SECRET_SECONDARY` are also valid.
    pub fn from_env(env: &Env<'_>) -> Result<Self, SettingError> {
        let JwtSecrets { current, secondary } = JwtSecrets::from_env(env)?;
        Ok(Self { current: derive_key(&current), secondary: secondary.as_ref().map(derive_key) })
    }

    /// Encodes a page token that is valid only for this list and these filters.
    pub fn encode(&self, list: &str, filters: &[u8], position: Position) -> String {
        let mut bytes = [position.sort.to_be_bytes(), position.id.to_be_bytes()].concat();
        bytes.extend_from_slice(&tag(&self.current, list, filters, &bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Decodes a page token.
    ///
    /// # Errors
    ///
    /// Returns `invalid_cursor` unless the token was issued for this list and these filters.
    pub fn decode(&self, list: &str, filters: &[u8], cursor: &str) -> Result<Position, Failure> {
        self.position(list, filters, cursor).ok_or_else(|| {
            Failure::new(codes::INVALID_CURSOR, "the cursor was not issued for this list and these filters")
                .with(common_contract::Detail::field("cursor", "expected the next_cursor of the previous page"))
        })
    }

    /// Decodes a page token of a list sorted by descending id. Returns the exclusive upper bound of the ids on the next
    /// page, or `i64::MAX` if there is no token.
    pub fn decode_id_bound(&self, list: &str, filters: &[u8], cursor: Option<&Cursor>) -> Result<i64, Failure> {
        cursor.map_or(Ok(i64::MAX), |cursor| Ok(self.decode(list, filters, cursor.as_str())?.id))
    }

    /// Encodes a page token of a list sorted by descending id. The next page contains only ids below this one.
    pub fn encode_id(&self, list: &str, filters: &[u8], id: i64) -> String {
        self.encode(list, filters, Position { sort: id, id })
    }

    fn position(&self, list: &str, filters: &[u8], cursor: &str) -> Option<Position> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (position, tag) = bytes.split_at_checked(16)?;
        let keys = [Some(&self.current), self.secondary.as_ref()].into_iter().flatten();
        let matches = keys.map(|key| self::tag(key, list, filters, position).as_slice().ct_eq(tag));
        let is_authentic = matches.fold(Choice::from(0), BitOr::bitor);
        let (sort, id) = position.split_at(8);
        let number = |bytes: &[u8]| bytes.try_into().ok().map(i64::from_be_bytes);
        let position = Position { sort: number(sort)?, id: number(id)? };
        bool::from(is_authentic).then_some(position)
    }
}

fn tag(key: &Hmac<Sha256>, list: &str, filters: &[u8], position: &[u8]) -> [u8; TAG_BYTES] {
    let mut mac = key.clone();
    for part in [list.as_bytes(), filters, position] {
        mac.update(&part.len().to_be_bytes());
        mac.update(part);
    }
    let full = mac.finalize().into_bytes();
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(&full[..TAG_BYTES]);
    tag
}

/// Derives the page token key from a secret.
fn derive_key(secret: &SecretString) -> Hmac<Sha256> {
    let mut mac = new_hmac(secret.expose_secret().as_bytes());
    mac.update(b"cursor");
    new_hmac(&mac.finalize().into_bytes())
}

/// Creates an HMAC with this key.
#[expect(clippy::expect_used, reason = "HMAC accepts a key of any length")]
pub(crate) fn new_hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC accepts a key of any length")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(secret: &'static str) -> CursorKey {
        CursorKey::from_env(&Env::new(move |name| (name == "JWT_SECRET").then(|| secret.to_owned()))).unwrap()
    }

    proptest! {
        #[test]
        fn a_cursor_is_valid_only_for_its_list_and_filters(sort: i64, id: i64, filters: Vec<u8>, other: Vec<u8>) {
            let (key, position) = (key("a"), Position { sort, id });
            let cursor = key.encode("list", &filters, position);
            prop_assert_eq!(key.decode("list", &filters, &cursor).unwrap(), position);
            prop_assert!(key.decode("other", &filters, &cursor).is_err());
            prop_assert_eq!(key.decode("list", &other, &cursor).is_ok(), filters == other);
        }

        #[test]
        fn a_modified_cursor_is_refused(sort: i64, id: i64, at in 0usize..43, with in "[A-Za-z0-9_-]") {
            let key = key("a");
            let cursor = key.encode("list", b"", Position { sort, id });
            let mut changed = cursor.clone();
            changed.replace_range(at..=at, &with);
            prop_assert_eq!(key.decode("list", b"", &changed).is_ok(), changed == cursor);
        }

        #[test]
        fn arbitrary_text_is_refused_without_a_panic(text: String) {
            prop_assert!(key("a").decode("list", b"", &text).is_err());
        }
    }

    #[test]
    fn a_cursor_of_another_secret_is_refused() {
        let cursor = key("a").encode("list", b"", Position { sort: 1, id: 2 });
        assert!(key("b").decode("list", b"", &cursor).is_err());
    }

    #[test]
    fn a_cursor_stays_valid_while_the_secret_is_rotated() {
        let (old, position) = (key("a"), Position { sort: 1, id: 2 });
        let env = Env::new(|name| match name {
            "JWT_SECRET" => Some("b".to_owned()),
            "JWT_SECRET_SECONDARY" => Some("a".to_owned()),
            _ => None,
        });
        let rotating = CursorKey::from_env(&env).unwrap();
        assert_eq!(rotating.decode("list", b"", &old.encode("list", b"", position)).unwrap(), position);
        assert_eq!(key("b").decode("list", b"", &rotating.encode("list", b"", position)).unwrap(), position);
    }
}
