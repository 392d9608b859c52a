//! Visibility of characters, so that no name looks empty.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Categories of characters that show nothing by themselves.
const INVISIBLE: GeneralCategoryGroup = GeneralCategoryGroup::Separator
    .union(GeneralCategoryGroup::Control)
    .union(GeneralCategoryGroup::Format)
    .union(GeneralCategoryGroup::Mark);

/// Symbols that are blank although their category is a visible one: an empty Braille cell and an empty note head.
const BLANK_SYMBOLS: [char; 2] = ['\u{2800}', '\u{1D159}'];

/// Returns whether a character shows something by itself: no white space, no control or format character, no combining
/// mark, and nothing else that is displayed as nothing. Private and unassigned characters count as visible.
pub(crate) fn is_visible(c: char) -> bool {
    !INVISIBLE.contains(CodePointMapData::<GeneralCategory>::new().get(c))
        && !CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        && !BLANK_SYMBOLS.contains(&c)
}

#[cfg(test)]
mod tests {
    use super::is_visible;

    #[test]
    fn only_characters_that_show_something_are_visible() {
        for visible in ['a', 'É', '0', '-', '株', 'ا', 'ı', '🦀', '\u{fffd}', '\u{e000}', '\u{10ffff}'] {
            assert!(is_visible(visible), "{visible:?}");
        }
        let spaces = [' ', '\t', '\u{85}', '\u{a0}', '\u{1680}', '\u{2003}', '\u{2028}', '\u{2029}', '\u{3000}'];
        let formats = ['\u{ad}', '\u{200b}', '\u{200d}', '\u{202e}', '\u{2060}', '\u{2066}', '\u{feff}', '\u{e0020}'];
        let blanks = ['\u{34f}', '\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{ffa0}', '\u{fe0f}', '\u{301}'];
        for invisible in spaces.into_iter().chain(formats).chain(blanks) {
            assert!(!is_visible(invisible), "{invisible:?}");
        }
    }
}
