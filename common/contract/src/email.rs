//! Email addresses in ASCII and in other scripts (RFC 5321, RFC 6531).

use std::borrow::Cow;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::Schema;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::values::{bounded_text, text_schema};

/// Email address of at most 254 characters, also an internationalised one. Quoted local parts and address literals,
/// which are not used in practice, are refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Email(String);

impl Email {
    /// Maximum length in characters, and in octets when composed and with the domain in ASCII.
    const MAX: usize = 254;
    /// Maximum length of the part before the @, in octets when composed.
    const MAX_LOCAL_PART: usize = 64;
    /// OpenAPI format. The format `email` allows ASCII only.
    const FORMAT: &'static str = "idn-email";

    /// Returns the address as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Email {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if is_address(&text) {
            Ok(Self(text))
        } else {
            Err(format!("expected an email address of at most {} characters", Self::MAX))
        }
    }
}

fn is_address(text: &str) -> bool {
    let Some((local_part, domain)) = text.rsplit_once('@') else { return false };
    let Some(domain) = ascii_domain(domain) else { return false };
    let octets: usize = local_part.nfc().map(char::len_utf8).sum();
    let fits = text.chars().count() <= Email::MAX
        && octets <= Email::MAX_LOCAL_PART
        && octets + 1 + domain.len() <= Email::MAX;
    fits && local_part.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom_text))
}

/// Returns the ASCII form of a domain, or `None` if the text is not a domain.
fn ascii_domain(domain: &str) -> Option<Cow<'_, str>> {
    let ascii =
        Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow, DnsLength::Verify).ok()?;
    let is_label = |label: &str| {
        let ends = label.starts_with(char::is_alphanumeric) && label.ends_with(char::is_alphanumeric);
        ends && label.chars().all(is_atom_text)
    };
    ascii.split('.').all(is_label).then_some(ascii)
}

fn is_atom_text(c: char) -> bool {
    match c {
        '\0'..='\x7F' => c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c),
        _ => !c.is_control() && !c.is_whitespace(),
    }
}

impl JsonSchema for Email {
    fn is_referenceable() -> bool {
        false
    }

    fn schema_name() -> String {
        "Email".to_owned()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_schema(1..=Self::MAX, Some(Self::FORMAT), "^[^@]+@[^@]+$")
    }
}

/// Returns the schema of an email address in a response.
pub fn email_schema(_: &mut SchemaGenerator) -> Schema {
    let mut schema = bounded_text(Email::MAX).into_object();
    schema.format = Some(Email::FORMAT.to_owned());
    schema.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_valid(text: &str) -> bool {
        Email::try_from(text.to_owned()).is_ok()
    }

    #[test]
    fn addresses_in_any_script_are_valid() {
        let long = format!("{}@{}", "é".repeat(32), "例".repeat(20));
        for valid in [
            "ops@acme.com",
            "Ops.Team+x@sub-domain.ACME.com",
            "a!#$%&'*+-/=?^_`{|}~b@localhost",
            "a@my_host.example",
            "Dörte@Sörensen.example.com",
            "用户@例子.广告",
            "अजय@डाटा.भारत",
            "квіточка@пошта.укр",
            "χρήστης@παράδειγμα.ελ",
            "юзер@екзампл.ком",
            "θσερ@εχαμπλε.ψομ",
            "ผู้ใช้@ตัวอย่าง.ไทย",
            "من@مثال.إختبار",
            "דוגמה@דוגמה.טעסט",
            "🦀@ex.com",
            "jose\u{301}@acme\u{301}.com",
            "क\u{94d}\u{200d}ष@ex.com",
            "ops@straße.de",
            "ops@xn--strae-oqa.de",
            "ops@例え。jp",
            &long,
        ] {
            assert!(is_valid(valid), "{valid}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let long_local_part = format!("{}@ex.com", "é".repeat(33));
        let long_label = format!("a@{}.com", "例".repeat(60));
        let long = format!("a@{}com", "abcdefghi.".repeat(25));
        for invalid in [
            "",
            "@",
            "a@",
            "@ex.com",
            "a",
            "a b@ex.com",
            " a@ex.com",
            "a@ex.com ",
            "a@b@ex.com",
            ".a@ex.com",
            "a.@ex.com",
            "a..b@ex.com",
            "a@ex..com",
            "a@ex.com.",
            "a@-ex.com",
            "a@ex-.com",
            "a@[127.0.0.1]",
            "\"a b\"@ex.com",
            "A <a@ex.com>",
            "a(b)@ex.com",
            "a\u{3000}b@ex.com",
            "a\u{85}@ex.com",
            "a@ex\u{3000}ample.com",
            "a@b\u{ff20}c.com",
            "a@xn--zzzzzz.com",
            &long_local_part,
            &long_label,
            &long,
        ] {
            assert!(!is_valid(invalid), "{invalid}");
        }
    }
}
