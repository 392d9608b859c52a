//! Keywords of a schema that have a value of their own: the type, the format, and limits of all kinds.
//!
//! Each comparison gives what the difference does to the set of valid values, and says it.

use std::cmp::Ordering;
use std::sync::LazyLock;

use serde_json::Value;

use super::document::{is_true, items};
use super::finding::Effect;

type Told = (Effect, String);

/// The type. Every integer is a number.
pub(super) fn kind(before: Option<&Value>, now: Option<&Value>) -> Option<Told> {
    let effect = match (before.map(Value::as_str), now.map(Value::as_str)) {
        _ if before == now => return None,
        (None, Some(Some(_))) | (Some(Some("number")), Some(Some("integer"))) => Effect::Narrows,
        (Some(Some(_)), None) | (Some(Some("integer")), Some(Some("number"))) => Effect::Widens,
        _ => Effect::Replaces,
    };
    Some((effect, is_and_was("type", before, now)))
}

/// What differs in a keyword; `None` where it is not known here.
pub(super) fn compare(key: &str, before: Option<&Value>, now: Option<&Value>) -> Option<Vec<Told>> {
    let effect = match key {
        "format" => format(before, now),
        "minLength" | "minItems" | "minProperties" => {
            bound(before.or(Some(&ZERO)), now.or(Some(&ZERO)), Ordering::Greater)
        }
        "minimum" => bound(before, now, Ordering::Greater),
        "maxLength" | "maxItems" | "maxProperties" | "maximum" => bound(before, now, Ordering::Less),
        "exclusiveMinimum" | "exclusiveMaximum" | "uniqueItems" => flag(before, now),
        "pattern" | "multipleOf" => appearance(before, now),
        "x-extensible-enum" => return Some(codes(before, now)),
        _ => return None,
    };
    Some(if before == now { Vec::new() } else { vec![(effect, is_and_was(key, before, now))] })
}

/// Counts of something begin with zero.
static ZERO: LazyLock<Value> = LazyLock::new(|| Value::from(0));

fn format(before: Option<&Value>, now: Option<&Value>) -> Effect {
    let integers = before.and_then(integers).zip(now.and_then(integers));
    match integers {
        Some(((low, high), (lower, higher))) if lower <= low && high <= higher => Effect::Widens,
        Some(((low, high), (lower, higher))) if low <= lower && higher <= high => Effect::Narrows,
        Some(_) => Effect::Replaces,
        None => appearance(before, now),
    }
}

/// The least and the greatest integer of a format.
fn integers(format: &Value) -> Option<(i128, i128)> {
    let (signed, bits) = match format.as_str()?.split_once("int")? {
        ("", bits) => (true, bits),
        ("u", bits) => (false, bits),
        _ => return None,
    };
    let bits = bits.parse::<u32>().ok().filter(|bits| (1..=64).contains(bits))?;
    let count = 1_i128 << bits;
    Some(if signed { (-count / 2, count / 2 - 1) } else { (0, count - 1) })
}

/// A limit that is narrower the more it lies on one side.
fn bound(before: Option<&Value>, now: Option<&Value>, narrower: Ordering) -> Effect {
    let (Some(before), Some(now)) = (before, now) else { return appearance(before, now) };
    match order(now, before) {
        Some(Ordering::Equal) => Effect::Keeps,
        Some(side) if side == narrower => Effect::Narrows,
        Some(_) => Effect::Widens,
        None => Effect::Replaces,
    }
}

/// Integers are compared to the last digit.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    let integer = |value: &Value| value.as_i64().map(i128::from).or(value.as_u64().map(i128::from));
    match (integer(left), integer(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

fn flag(before: Option<&Value>, now: Option<&Value>) -> Effect {
    match (is_true(before), is_true(now)) {
        (false, true) => Effect::Narrows,
        (true, false) => Effect::Widens,
        _ => Effect::Keeps,
    }
}

/// A limit that cannot be compared with another one of its kind.
fn appearance(before: Option<&Value>, now: Option<&Value>) -> Effect {
    match (before, now) {
        (None, Some(_)) => Effect::Narrows,
        (Some(_), None) => Effect::Widens,
        _ => Effect::Replaces,
    }
}

/// The list is open: clients are ready for one more, but match on those that they know.
pub(super) fn codes(before: Option<&Value>, now: Option<&Value>) -> Vec<Told> {
    if before.is_some() && now.is_none() {
        return vec![(Effect::Replaces, "the list of codes is gone".to_owned())];
    }
    let has = |list: Option<&Value>, code: &Value| items(list).any(|other| other == code);
    let gone = items(before).filter(|code| !has(now, code));
    let gone = gone.map(|code| (Effect::Replaces, format!("the code {code} is gone, on which clients may match")));
    let new = items(now).filter(|code| !has(before, code));
    let new = new.map(|code| (Effect::Keeps, format!("the code {code} is new in an open list")));
    gone.chain(new).collect()
}

fn is_and_was(key: &str, before: Option<&Value>, now: Option<&Value>) -> String {
    match (before, now) {
        (Some(before), Some(now)) => format!("`{key}` is {now}, was {before}"),
        (None, Some(now)) => format!("`{key}` is {now}, was not limited"),
        (Some(before), None) => format!("`{key}` is not limited any more, was {before}"),
        (None, None) => String::new(),
    }
}
