//! Rule for patterns: only constructs that mean the same in the regular expressions of every client language.
//!
//! Generators copy a pattern into source code. Ruby does not load `\x80`, Go has no `\u` and no lookahead, and Python
//! has no `\p`, so a client with one of them fails as a whole.

use std::iter::Peekable;
use std::str::Chars;

use openapi_document::Document;
use serde_json::Value;

use super::Findings;

/// Characters that may follow a backslash: those of classes, of white space, and syntax characters. ECMAScript forbids
/// other punctuation in its Unicode mode.
const ESCAPES: &str = r"dDwWsStnrf^$\.*+?()[]{}|/-";

/// Operators on sets of characters, or interpolations, in some languages.
const PAIRS: [&str; 7] = ["&&", "--", "||", "~~", "#{", "#$", "#@"];

pub(super) fn check(document: &Document, findings: &mut Findings) {
    visit(document.value(), "", findings);
}

fn visit(value: &Value, place: &str, findings: &mut Findings) {
    if let (Some(pattern), Some("string")) = (value["pattern"].as_str(), value["type"].as_str())
        && let Err(construct) = portable(pattern)
    {
        findings.push(format!("{place}: its pattern {pattern} contains {construct}, which not every language accepts"));
    }
    match value {
        Value::Object(members) => members.iter().for_each(|(name, it)| visit(it, &format!("{place}/{name}"), findings)),
        Value::Array(items) => items.iter().for_each(|item| visit(item, place, findings)),
        _ => {}
    }
}

/// Returns the first construct that is not portable as an error.
fn portable(pattern: &str) -> Result<(), String> {
    if let Some(other) = pattern.chars().find(|c| !matches!(c, ' '..='~')) {
        return Err(format!("the character U+{:04X}", u32::from(other)));
    }
    if let Some(pair) = PAIRS.into_iter().find(|pair| pattern.contains(pair)) {
        return Err(pair.to_owned());
    }
    let mut rest = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(c) = rest.next() {
        match c {
            '\\' => escape(&mut rest)?,
            '[' if in_class => return Err("[ in a class".to_owned()),
            '[' => {
                in_class = true;
                rest.next_if_eq(&'^');
                if rest.peek() == Some(&']') {
                    return Err("an empty class".to_owned());
                }
            }
            ']' => in_class = false,
            '(' if !in_class && rest.next_if_eq(&'?').is_some() && rest.next() != Some(':') => {
                return Err("a group of a special kind".to_owned());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Reads the escape after a backslash: a character of [`ESCAPES`], or an ASCII character as two hexadecimal digits.
fn escape(rest: &mut Peekable<Chars<'_>>) -> Result<(), String> {
    let escaped = rest.next().unwrap_or_default();
    if escaped != 'x' {
        return if ESCAPES.contains(escaped) { Ok(()) } else { Err(format!("\\{escaped}")) };
    }
    let code: String = rest.by_ref().take(2).collect();
    match u8::from_str_radix(&code, 16) {
        Ok(0..=0x7F) if code.len() == 2 => Ok(()),
        _ => Err(format!("\\x{code}")),
    }
}
