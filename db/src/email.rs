//! Key of an email address, under which a customer is unique.

use idna::AsciiDenyList;
use idna::uts46::{Hyphens, Uts46};
use unicode_normalization::UnicodeNormalization;

/// Returns the key of an address: the same for every form of the address, and at most as long as an address may be.
///
/// Ignores letter case, whether characters are composed, and whether the domain is written in Unicode or in ASCII
/// (`xn--`). The key of an ASCII address with neither is the address in lower case.
#[must_use]
pub fn email_key(address: &str) -> String {
    let (local_part, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let (unicode, is_domain) = Uts46::new().to_unicode(domain.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow);
    let domain = if is_domain.is_ok() { unicode.into_owned() } else { folded(domain) };
    format!("{}@{domain}", folded(local_part))
}

fn folded(text: &str) -> String {
    text.nfc().map(fold).nfc().collect()
}

/// Folds the case of a character, to upper case and then to lower case: `ς` and `σ` have the same upper case. A mapping
/// to several characters is skipped, so that a key is not longer than its address.
fn fold(c: char) -> char {
    let upper = single(c.to_uppercase()).unwrap_or(c);
    single(upper.to_lowercase()).unwrap_or(upper)
}

fn single(mut characters: impl ExactSizeIterator<Item = char>) -> Option<char> {
    characters.next().filter(|_| characters.len() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_one_address_share_a_key() {
        for (one, other) in [
            ("Ops@ACME.com", "ops@acme.COM"),
            ("JOSÉ@ex.com", "josé@ex.com"),
            ("jose\u{301}@ex.com", "josé@ex.com"),
            ("JOSE\u{301}@EX.com", "josé@ex.com"),
            ("ΑΣ@ex.com", "ας@ex.com"),
            ("ΑΣ@ex.com", "ασ@ex.com"),
            ("STRAẞE@ex.com", "straße@ex.com"),
            ("J\u{30c}@ex.com", "ǰ@ex.com"),
            ("α\u{345}@ex.com", "ᾳ@ex.com"),
            ("ops@ACME\u{301}.com", "ops@acmé.com"),
            ("ops@xn--acm-dma.com", "ops@acmé.com"),
            ("ops@XN--ACM-DMA.com", "ops@acmé.com"),
            ("ops@例え。jp", "ops@例え.jp"),
            ("ops@ａｃｍｅ.com", "ops@acme.com"),
        ] {
            assert_eq!(email_key(one), email_key(other), "{one} {other}");
        }
    }

    #[test]
    fn other_addresses_have_other_keys() {
        assert_ne!(email_key("jose@ex.com"), email_key("josé@ex.com"));
        assert_ne!(email_key("a.b@ex.com"), email_key("ab@ex.com"));
        assert_ne!(email_key("ops@strasse.de"), email_key("ops@straße.de"));
        assert_eq!(email_key("Ops@ACME.com"), "ops@acme.com");
        assert_eq!(email_key("A@xn--zzzzzz.Com"), "a@xn--zzzzzz.com");
    }

    #[test]
    fn key_has_at_most_as_many_characters_as_the_address_has_octets() {
        for c in '\u{80}'..=char::MAX {
            let composed: usize = std::iter::once(c).nfc().map(char::len_utf8).sum();
            assert!(folded(&c.to_string()).chars().count() <= composed, "{c:?}");
        }
    }
}
