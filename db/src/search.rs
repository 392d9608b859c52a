//! Words and their prefixes: what the `*_prefixes` tables hold and what a search looks up in them.
//!
//! Texts and searches go through the same normalisation, so `JOSÉ` finds `José` and `jose`. Which texts of a row count
//! and how the rows are read is the services' business.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters of a word that count: the width of the `prefix` columns.
pub const MAX_PREFIX_CHARS: usize = 24;

/// Words of one search that count.
pub const MAX_QUERY_WORDS: usize = 8;

/// Every prefix, up to 24 characters, of every word of `texts`: the rows to store for them.
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

/// The distinct words of a search, in their order: at most 8, each cut at 24 characters. A row matches if it has every
/// one of them among its prefixes. Empty if the search has no letter or digit.
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

/// Maximal runs of letters and digits, in lower case, without accents, each cut at 24 characters.
fn words(text: &str) -> Vec<String> {
    // Lower-casing can make new combining marks (İ becomes i and a dot), so they are taken out after it.
    let lower = text.nfkd().flat_map(char::to_lowercase).collect::<String>();
    let plain = lower.nfkd().filter(|c| !is_combining_mark(*c)).collect::<String>();
    plain
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
    fn words_are_folded_and_split_at_everything_else() {
        assert_eq!(query_words("  José-MÜLLER, ops@acme.com "), ["jose", "muller", "ops", "acme", "com"]);
        assert_eq!(query_words("İstanbul ﬁne"), ["istanbul", "fine"]);
        assert_eq!(query_words("100%_\\ 'x' acme ACME"), ["100", "x", "acme"]);
        assert!(query_words(" %_ ").is_empty());
    }

    #[test]
    fn prefixes_are_all_beginnings_of_all_words() {
        let expected = ["a", "ab", "abc", "x"].map(str::to_owned);
        assert_eq!(prefixes(&["ABC", "x ab"]), BTreeSet::from(expected));
    }

    #[test]
    fn long_words_and_long_searches_are_cut() {
        let long = "x".repeat(40);
        assert_eq!(prefixes(&[&long]).len(), MAX_PREFIX_CHARS);
        assert_eq!(query_words(&long), ["x".repeat(MAX_PREFIX_CHARS)]);
        let many = (0..20).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(query_words(&many).len(), MAX_QUERY_WORDS);
    }

    proptest! {
        #[test]
        fn every_word_of_a_text_finds_it(text in ".{0,80}") {
            let stored = prefixes(&[&text]);
            prop_assert!(query_words(&text).iter().all(|word| stored.contains(word)));
        }

        #[test]
        fn a_text_cut_anywhere_still_finds_it(word in "[a-zA-Z0-9À-ž]{1,40}", length in 1_usize..40) {
            let cut = word.chars().take(length).collect::<String>();
            let stored = prefixes(&[&word]);
            prop_assert!(query_words(&cut).iter().all(|word| stored.contains(word)), "{cut} in {stored:?}");
        }

        #[test]
        fn case_does_not_matter(text in "[a-zA-ZÀ-ÿ ]{0,40}") {
            prop_assert_eq!(query_words(&text.to_lowercase()), query_words(&text));
        }

        #[test]
        fn prefixes_are_short_and_plain(text in ".{0,80}") {
            for prefix in prefixes(&[&text]) {
                prop_assert!(prefix.chars().count() <= MAX_PREFIX_CHARS);
                prop_assert!(prefix.chars().all(char::is_alphanumeric));
                prop_assert!(prefixes(&[&prefix]).contains(&prefix), "normalising twice changes {}", prefix);
            }
        }
    }
}
