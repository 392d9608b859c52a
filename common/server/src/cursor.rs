//! Cursors: where a list goes on, sealed so that nobody makes one up or takes it to another list.

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

/// The last row of a page: the number it is sorted by, and its id, which decides between equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// What the list is sorted by.
    pub sort: i64,
    /// The row's id.
    pub id: i64,
}

/// Seals cursors and opens them again.
#[derive(Clone)]
pub struct CursorKey {
    current: Hmac<Sha256>,
    also: Option<Hmac<Sha256>>,
}

impl CursorKey {
    /// Derived from `JWT_SECRET`, which every replica of a service shares. What was sealed under `JWT_SECRET_ALSO` is
    /// opened, too.
    pub fn from_env(env: &Env<'_>) -> Result<Self, SettingError> {
        let JwtSecrets { current, also } = JwtSecrets::from_env(env)?;
        Ok(Self { current: derived(&current), also: also.as_ref().map(derived) })
    }

    /// A cursor that is good for this list under these filters only.
    pub fn seal(&self, list: &str, filters: &[u8], position: Position) -> String {
        let mut bytes = [position.sort.to_be_bytes(), position.id.to_be_bytes()].concat();
        bytes.extend_from_slice(&tag(&self.current, list, filters, &bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Where the cursor points to, if it was made by this list under these filters.
    pub fn open(&self, list: &str, filters: &[u8], cursor: &str) -> Result<Position, Failure> {
        self.position(list, filters, cursor).ok_or_else(|| {
            Failure::new(codes::INVALID_CURSOR, "the cursor was not made by this list under these filters")
                .with(common_contract::Detail::field("cursor", "expected the next_cursor of the page before"))
        })
    }

    /// The same for a list that is sorted by its rows' ids, downwards: below which id it goes on. Without a cursor it begins.
    pub fn open_below(&self, list: &str, filters: &[u8], cursor: Option<&Cursor>) -> Result<i64, Failure> {
        cursor.map_or(Ok(i64::MAX), |cursor| Ok(self.open(list, filters, cursor.as_str())?.id))
    }

    /// A cursor for such a list: it goes on below this id.
    pub fn seal_below(&self, list: &str, filters: &[u8], id: i64) -> String {
        self.seal(list, filters, Position { sort: id, id })
    }

    fn position(&self, list: &str, filters: &[u8], cursor: &str) -> Option<Position> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (position, tag) = bytes.split_at_checked(16)?;
        let keys = [Some(&self.current), self.also.as_ref()].into_iter().flatten();
        let sealed = keys.map(|key| self::tag(key, list, filters, position).as_slice().ct_eq(tag));
        let genuine = sealed.fold(Choice::from(0), BitOr::bitor);
        let (sort, id) = position.split_at(8);
        let number = |bytes: &[u8]| bytes.try_into().ok().map(i64::from_be_bytes);
        let position = Position { sort: number(sort)?, id: number(id)? };
        bool::from(genuine).then_some(position)
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

/// The key of cursors that belongs to a secret.
fn derived(secret: &SecretString) -> Hmac<Sha256> {
    let mut mac = keyed(secret.expose_secret().as_bytes());
    mac.update(b"cursor");
    keyed(&mac.finalize().into_bytes())
}

/// A MAC under this secret.
#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
pub(crate) fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret).expect("HMAC takes a key of any length")
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
        fn a_cursor_opens_only_where_it_was_sealed(sort: i64, id: i64, filters: Vec<u8>, other: Vec<u8>) {
            let (key, position) = (key("a"), Position { sort, id });
            let cursor = key.seal("list", &filters, position);
            prop_assert_eq!(key.open("list", &filters, &cursor).unwrap(), position);
            prop_assert!(key.open("other", &filters, &cursor).is_err());
            prop_assert_eq!(key.open("list", &other, &cursor).is_ok(), filters == other);
        }

        #[test]
        fn a_changed_cursor_does_not_open(sort: i64, id: i64, at in 0usize..43, with in "[A-Za-z0-9_-]") {
            let key = key("a");
            let cursor = key.seal("list", b"", Position { sort, id });
            let mut changed = cursor.clone();
            changed.replace_range(at..=at, &with);
            prop_assert_eq!(key.open("list", b"", &changed).is_ok(), changed == cursor);
        }

        #[test]
        fn any_text_is_refused_without_a_panic(text: String) {
            prop_assert!(key("a").open("list", b"", &text).is_err());
        }
    }

    #[test]
    fn another_secret_does_not_open_a_cursor() {
        let cursor = key("a").seal("list", b"", Position { sort: 1, id: 2 });
        assert!(key("b").open("list", b"", &cursor).is_err());
    }

    #[test]
    fn a_cursor_outlives_the_change_of_its_secret() {
        let (old, position) = (key("a"), Position { sort: 1, id: 2 });
        let env = Env::new(|name| Some(if name == "JWT_SECRET" { "b" } else { "a" }.to_owned()));
        let changing = CursorKey::from_env(&env).unwrap();
        assert_eq!(changing.open("list", b"", &old.seal("list", b"", position)).unwrap(), position);
        assert_eq!(key("b").open("list", b"", &changing.seal("list", b"", position)).unwrap(), position);
    }
}
