//! Comparison of schema keywords that have simple values: type, format and limits.
//!
//! Each comparison returns the effect on the set of valid values, and a description of the difference.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::both::Both;
use super::document::{is_true, items};
use super::finding::{Described, Effect};

/// Returns the differences for a keyword, or `None` if the keyword is unknown.
pub(super) fn compare(key: &str, values: Both<Option<&Value>>) -> Option<Vec<Described>> {
    // Minimum lengths and counts default to 0.
    let zero = Value::from(0);
    let effect = match key {
        "type" => kind(values),
        "format" => format(values),
        "minLength" | "minItems" | "minProperties" => {
            bound(values.map(|least| least.or(Some(&zero))), Ordering::Greater)
        }
        "minimum" => bound(values, Ordering::Greater),
        "maxLength" | "maxItems" | "maxProperties" | "maximum" => bound(values, Ordering::Less),
        "exclusiveMinimum" | "exclusiveMaximum" | "uniqueItems" => {
            Effect::of_flag(values.map(is_true), Effect::Narrows).unwrap_or(Effect::Keeps)
        }
        "pattern" | "multipleOf" => appearance(values),
        "x-extensible-enum" => return Some(codes(values)),
        _ => return None,
    };
    let what = match (values.old, values.new) {
        (Some(before), Some(now)) => format!("`{key}` is {now}, was {before}"),
        (None, Some(now)) => format!("`{key}` is {now}, was unlimited"),
        (Some(before), None) => format!("`{key}` is now unlimited, was {before}"),
        (None, None) => String::new(),
    };
    Some(values.differ().then_some((effect, what)).into_iter().collect())
}

/// Compares types. `integer` is a subset of `number`.
fn kind(kinds: Both<Option<&Value>>) -> Effect {
    match (kinds.old.and_then(Value::as_str), kinds.new.and_then(Value::as_str)) {
        (Some("number"), Some("integer")) => Effect::Narrows,
        (Some("integer"), Some("number")) => Effect::Widens,
        _ => appearance(kinds),
    }
}

fn format(formats: Both<Option<&Value>>) -> Effect {
    let integers = formats.map(|format| format.and_then(integers));
    match integers.old.zip(integers.new) {
        Some(((low, high), (lower, higher))) if lower <= low && high <= higher => Effect::Widens,
        Some(((low, high), (lower, higher))) if low <= lower && higher <= high => Effect::Narrows,
        Some(_) => Effect::Replaces,
        None => appearance(formats),
    }
}

/// Returns the minimum and maximum of an integer format.
fn integers(format: &Value) -> Option<(i128, i128)> {
    let (sign, bits) = format.as_str()?.split_once("int")?;
    let bits = bits.parse::<u32>().ok().filter(|bits| (1..=64).contains(bits))?;
    let count = 1_i128 << bits;
    match sign {
        "" => Some((-count / 2, count / 2 - 1)),
        "u" => Some((0, count - 1)),
        _ => None,
    }
}

/// Compares an upper or lower bound. `narrower` is the ordering of a narrower bound relative to a wider one.
fn bound(limits: Both<Option<&Value>>, narrower: Ordering) -> Effect {
    let Some((before, now)) = limits.old.zip(limits.new) else { return appearance(limits) };
    match order(now, before) {
        Some(Ordering::Equal) => Effect::Keeps,
        Some(side) if side == narrower => Effect::Narrows,
        Some(_) => Effect::Widens,
        None => Effect::Replaces,
    }
}

/// Compares integers exactly, and other numbers as floating-point values.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    let integer = |value: &Value| value.as_number().and_then(Number::as_i128);
    match (integer(left), integer(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

/// Compares values that have no order. Only adding or removing the keyword shows which version is narrower.
fn appearance(values: Both<Option<&Value>>) -> Effect {
    match (values.old, values.new) {
        (None, Some(_)) => Effect::Narrows,
        (Some(_), None) => Effect::Widens,
        _ => Effect::Replaces,
    }
}

/// Compares open lists: clients accept new codes, but may match on the codes that they know.
fn codes(lists: Both<Option<&Value>>) -> Vec<Described> {
    if lists.old.is_some() && lists.new.is_none() {
        return vec![(Effect::Replaces, "the list of codes was removed".to_owned())];
    }
    let missing = |list, other| items(list).filter(move |code| !items(other).any(|known| known == *code));
    let gone = missing(lists.old, lists.new);
    let gone = gone.map(|code| (Effect::Replaces, format!("the code {code} was removed: clients may match on it")));
    let new = missing(lists.new, lists.old);
    gone.chain(new.map(|code| (Effect::Keeps, format!("the code {code} was added to an open list")))).collect()
}
