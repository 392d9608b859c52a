//! The error codes of a service, as constants to match on.

/// Defines one constant for each error code that a document lists, and a test that the document lists exactly these.
///
/// A list in the document stays open, so that a client compiled today can read a code that is added tomorrow; that is
/// why these are texts and no enum.
#[macro_export]
macro_rules! error_codes {
    ($document:literal at $pointer:literal: $($(#[$doc:meta])+ $name:ident = $code:literal;)+) => {
        $($(#[$doc])+ pub const $name: &str = $code;)+

        #[cfg(test)]
        mod tests {
            #[test]
            fn the_constants_are_the_codes_of_the_document() {
                let document: serde_json::Value = serde_json::from_str(include_str!($document)).unwrap();
                let mut listed: Vec<_> =
                    document.pointer($pointer).unwrap().as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
                let mut defined = vec![$($code),+];
                listed.sort_unstable();
                defined.sort_unstable();
                assert_eq!(defined, listed);
            }
        }
    };
}
