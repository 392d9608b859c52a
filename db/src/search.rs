//! Tokenisation for prefix search: the words and prefixes stored in the `*_prefixes` tables and looked up by a search.
//!
//! Stored texts and searches are normalised in the same way, so `JOSÉ` finds `José` and `jose`. The services choose
//! which texts of a row are searchable and how the rows are read. After a change here, `db reindex` has to run.

use std::collections::BTreeSet;

use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Maximum length of a prefix in characters: the width of the `prefix` columns. Longer words are truncated.
pub const MAX_PREFIX_CHARS: usize = 24;

/// Maximum number of words in a search. Further words are ignored.
pub const MAX_QUERY_WORDS: usize = 8;

/// Returns every prefix, up to 24 characters, of every word in `texts`: the values to store.
#[must_use]
pub fn prefixes(texts: &[&str]) -> BTreeSet<String> {
    let mut prefixes = BTreeSet::new();
    for word in texts.iter().flat_map(|text| words(text)) {
        for (start, character) in word.char_indices() {
            prefixes.insert(word[..start + character.len_utf8()].to_owned());
        }
    }
    prefixes
}

/// Returns the distinct words of a search in order: at most 8, each truncated to 24 characters. A row matches if its
/// prefixes contain all of them. Empty if the search has no letter or digit.
#[must_use]
pub fn query_words(search: &str) -> Vec<String> {
    let mut distinct = Vec::new();
    for word in words(search) {
        if distinct.len() == MAX_QUERY_WORDS {
            break;
        }
        if !distinct.contains(&word) {
            distinct.push(word);
        }
    }
    distinct
}

/// Returns `text` with its case folded, and without accents and invisible characters. Two texts that differ only in
/// these have the same result.
#[must_use]
pub fn normalized(text: &str) -> String {
    // The lower case of the upper case of the lower case is the full case folding: `ẞ` becomes `ß`, `SS`, `ss`, and the
    // dotless `ı` becomes `i`. The dot of `İ` and other marks are removed afterwards, because folding can add them.
    let lower = text.nfkd().flat_map(char::to_lowercase);
    let folded: String = lower.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
    let invisible = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    folded.nfkd().filter(|c| !is_combining_mark(*c) && !invisible.contains(*c)).collect()
}

/// Returns the normalised words of `text`: runs of letters and digits, truncated to 24 characters.
fn words(text: &str) -> Vec<String> {
    normalized(text)
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().take(MAX_PREFIX_CHARS).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_normalised_and_split_at_non_alphanumerics() {
        assert_eq!(query_words("  José-MÜLLER, ops@acme.com "), ["jose", "muller", "ops", "acme", "com"]);
        assert_eq!(query_words("İstanbul ﬁne"), ["istanbul", "fine"]);
        assert_eq!(query_words("100%_\\ 'x' acme ACME"), ["100", "x", "acme"]);
        assert!(query_words(" %_ ").is_empty());
    }

    #[test]
    fn case_is_folded_fully_and_invisible_characters_are_ignored() {
        for (one, other) in [
            ("STRASSE", "Straße"),
            ("STRAẞE", "Straße"),
            ("IŞIK", "Işık"),
            ("isik", "IŞIK"),
            ("ıstanbul", "İSTANBUL"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("ᾼδης", "αιδησ"),
            ("ﬃ", "FFI"),
            ("ac\u{200b}me", "ACME"),
            ("soft\u{ad}ware", "Software"),
            ("\u{feff}a\u{2060}b\u{200d}c\u{202e}", "abc"),
            ("가\u{3164}", "가"),
        ] {
            assert_eq!(query_words(one), query_words(other), "{one} {other}");
        }
    }

    #[test]
    fn every_character_is_equal_in_every_case_and_normalised_once() {
        for c in '\0'..='\u{1ffff}' {
            let once = normalized(&c.to_string());
            assert_eq!(normalized(&once), once, "{c:?}");
            assert_eq!(normalized(&c.to_uppercase().to_string()), once, "{c:?}");
            assert_eq!(normalized(&c.to_lowercase().to_string()), once, "{c:?}");
        }
    }

    #[test]
    fn prefixes_cover_every_word() {
        let expected = ["a", "ab", "abc", "x"].map(str::to_owned);
        assert_eq!(prefixes(&["ABC", "x ab"]), BTreeSet::from(expected));
    }

    #[test]
    fn long_words_and_searches_are_truncated() {
        let long = "x".repeat(40);
        assert_eq!(prefixes(&[&long]).len(), MAX_PREFIX_CHARS);
        assert_eq!(query_words(&long), ["x".repeat(MAX_PREFIX_CHARS)]);
        let many = (0..20).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(query_words(&many).len(), MAX_QUERY_WORDS);
    }

    proptest! {
        #[test]
        fn text_is_found_by_each_of_its_words(text in ".{0,80}") {
            let stored = prefixes(&[&text]);
            prop_assert!(query_words(&text).iter().all(|word| stored.contains(word)));
        }

        #[test]
        fn word_is_found_by_any_of_its_prefixes(word in "[a-zA-Z0-9À-ž]{1,40}", length in 1_usize..40) {
            let cut = word.chars().take(length).collect::<String>();
            let stored = prefixes(&[&word]);
            prop_assert!(query_words(&cut).iter().all(|word| stored.contains(word)), "{cut} in {stored:?}");
        }

        #[test]
        fn search_ignores_case(text in "[a-zA-ZÀ-ÿ ]{0,40}") {
            prop_assert_eq!(query_words(&text.to_lowercase()), query_words(&text));
        }

        #[test]
        fn prefixes_are_short_and_normalised(text in ".{0,80}") {
            for prefix in prefixes(&[&text]) {
                prop_assert!(prefix.chars().count() <= MAX_PREFIX_CHARS);
                prop_assert!(prefix.chars().all(char::is_alphanumeric));
                prop_assert!(prefixes(&[&prefix]).contains(&prefix), "normalising twice changes {}", prefix);
            }
        }
    }
}
