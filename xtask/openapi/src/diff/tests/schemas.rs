//! Tests of the schema rules, with the expected results for sent and for received values.

#![expect(clippy::needless_pass_by_value, reason = "a row of a table reads better without references")]

use serde_json::{Value, json};

use super::{Breaks, Fine, Silent, Verdict, document, found, set, verdict};

const SENT: &str = "/paths/~1shelves~1{id}/put/requestBody/content/application~1json/schema";
const RECEIVED: &str = "/paths/~1shelves~1{id}/put/responses/200/content/application~1json/schema";

fn at(pointer: &str, old: &Value, new: &Value) -> Verdict {
    let document = document();
    verdict(&found(&set(&document, pointer, old.clone()), &set(&document, pointer, new.clone())))
}

type Row = (&'static str, Value, Value, Verdict, Verdict);

fn check(rows: Vec<Row>) {
    for (rule, old, new, sent, received) in rows {
        let nested =
            |schema: &Value| json!({"type": "array", "items": {"type": "object", "properties": {"it": schema}}});
        assert_eq!((at(SENT, &old, &new), at(RECEIVED, &old, &new)), (sent, received), "{rule}");
        let (old, new) = (nested(&old), nested(&new));
        assert_eq!(
            (at(SENT, &old, &new), at(RECEIVED, &old, &new)),
            (sent, received),
            "{rule}, in an array of objects"
        );
    }
}

/// Checks a narrowing change, which breaks clients that send values, and its reverse, which breaks clients that receive
/// them.
fn check_narrowing(rows: Vec<(&'static str, Value, Value)>) {
    let there = rows.iter().cloned().map(|(rule, wide, narrow)| (rule, wide, narrow, Breaks, Fine));
    let back = rows.iter().cloned().map(|(rule, wide, narrow)| (rule, narrow, wide, Fine, Breaks));
    check(there.chain(back).collect());
}

#[test]
fn narrowing_breaks_senders_and_widening_breaks_receivers() {
    let string = |limit: Value| with("string", limit);
    let integer = |limit: Value| with("integer", limit);
    let array = |limit: Value| with("array", limit);
    let object = |limit: Value| with("object", limit);
    check_narrowing(vec![
        ("a new type", json!({}), json!({"type": "string"})),
        ("an integer instead of a number", json!({"type": "number"}), json!({"type": "integer"})),
        ("no null", string(json!({"nullable": true})), string(json!({}))),
        ("no null, explicitly", string(json!({"nullable": true})), string(json!({"nullable": false}))),
        ("no null, around a reference", json!({"nullable": true, "allOf": [shelf()]}), json!({"allOf": [shelf()]})),
        ("a new format", string(json!({})), string(json!({"format": "date-time"}))),
        ("a smaller integer", integer(json!({"format": "int64"})), integer(json!({"format": "int32"}))),
        ("a smaller unsigned integer", integer(json!({"format": "uint64"})), integer(json!({"format": "uint32"}))),
        ("an integer without a sign", integer(json!({"format": "int64"})), integer(json!({"format": "uint32"}))),
        ("a new enum", string(json!({})), string(json!({"enum": ["a"]}))),
        ("a removed value", string(json!({"enum": ["a", "b"]})), string(json!({"enum": ["a"]}))),
        ("a greater minLength", string(json!({"minLength": 1})), string(json!({"minLength": 2}))),
        ("a minLength", string(json!({})), string(json!({"minLength": 1}))),
        ("a smaller maxLength", string(json!({"maxLength": 2})), string(json!({"maxLength": 1}))),
        ("a maxLength", string(json!({})), string(json!({"maxLength": 1}))),
        ("a greater minimum", integer(json!({"minimum": 0})), integer(json!({"minimum": 1}))),
        ("a minimum", integer(json!({})), integer(json!({"minimum": 0}))),
        ("a smaller maximum", integer(json!({"maximum": 2.5})), integer(json!({"maximum": 2.25}))),
        (
            "a maximum one less, beyond a double",
            integer(json!({"maximum": i64::MAX})),
            integer(json!({"maximum": i64::MAX - 1})),
        ),
        ("a maximum", integer(json!({})), integer(json!({"maximum": 1}))),
        (
            "an exclusive minimum",
            integer(json!({"minimum": 0})),
            integer(json!({"minimum": 0, "exclusiveMinimum": true})),
        ),
        (
            "an exclusive maximum",
            integer(json!({"maximum": 0})),
            integer(json!({"maximum": 0, "exclusiveMaximum": true})),
        ),
        ("a multipleOf", integer(json!({})), integer(json!({"multipleOf": 5}))),
        ("a pattern", string(json!({})), string(json!({"pattern": "^a"}))),
        ("a greater minItems", array(json!({"minItems": 1})), array(json!({"minItems": 2}))),
        ("a smaller maxItems", array(json!({"maxItems": 2})), array(json!({"maxItems": 1}))),
        ("unique items", array(json!({})), array(json!({"uniqueItems": true}))),
        ("a schema of items", array(json!({})), array(json!({"items": {"type": "string"}}))),
        ("narrower items", array(json!({"items": {}})), array(json!({"items": {"type": "string"}}))),
        ("a greater minProperties", object(json!({})), object(json!({"minProperties": 1}))),
        ("a smaller maxProperties", object(json!({"maxProperties": 2})), object(json!({"maxProperties": 1}))),
        ("no other properties", object(json!({})), object(json!({"additionalProperties": false}))),
        (
            "no properties at all",
            object(json!({"additionalProperties": {"type": "string"}})),
            object(json!({"additionalProperties": false})),
        ),
        (
            "a schema of other properties",
            object(json!({"additionalProperties": true})),
            object(json!({"additionalProperties": {"type": "string"}})),
        ),
        (
            "narrower other properties",
            object(json!({"additionalProperties": {}})),
            object(json!({"additionalProperties": {"type": "string"}})),
        ),
        ("a required property", props(json!({"a": {}}), json!([])), props(json!({"a": {}}), json!(["a"]))),
        ("a required name without a schema", object(json!({})), object(json!({"required": ["a"]}))),
        ("a narrower property", props(json!({"a": {}}), json!([])), props(json!({"a": {"type": "string"}}), json!([]))),
        (
            "an additional schema in allOf",
            json!({"allOf": [shelf(), error()]}),
            json!({"allOf": [shelf(), error(), {"maxProperties": 9}]}),
        ),
        (
            "a narrower schema in allOf",
            json!({"allOf": [shelf(), {}]}),
            json!({"allOf": [shelf(), {"type": "object"}]}),
        ),
        ("a removed schema in oneOf", json!({"oneOf": [shelf(), error()]}), json!({"oneOf": [error()]})),
        ("a removed schema in anyOf", json!({"anyOf": [shelf(), {"type": "string"}]}), json!({"anyOf": [shelf()]})),
        ("a removed documented value", described(&["a", "b"]), described(&["b"])),
    ]);
}

#[test]
fn replacement_breaks_both() {
    let rows = vec![
        ("another type", json!({"type": "string"}), json!({"type": "integer"})),
        ("another format", with("string", json!({"format": "date"})), with("string", json!({"format": "uuid"}))),
        (
            "integer ranges that only overlap",
            with("integer", json!({"format": "int8"})),
            with("integer", json!({"format": "uint8"})),
        ),
        ("another enum", with("string", json!({"enum": ["a"]})), with("string", json!({"enum": ["b"]}))),
        ("another pattern", with("string", json!({"pattern": "a"})), with("string", json!({"pattern": "b"}))),
        ("another multipleOf", with("integer", json!({"multipleOf": 5})), with("integer", json!({"multipleOf": 10}))),
        ("another default", with("integer", json!({"default": 1})), with("integer", json!({"default": 2}))),
        ("no default", with("integer", json!({"default": 1})), with("integer", json!({}))),
        ("a removed optional property", props(json!({"a": {}}), json!([])), props(json!({}), json!([]))),
        ("a removed required property", props(json!({"a": {}}), json!(["a"])), props(json!({}), json!([]))),
        ("a renamed property", props(json!({"a": {}}), json!(["a"])), props(json!({"b": {}}), json!(["b"]))),
        ("a removed code in an open list", codes(&["a", "b"]), codes(&["a"])),
        ("a removed open list", codes(&["a"]), json!({"type": "string"})),
        ("another named schema", shelf(), error()),
        ("no name", shelf(), document()["components"]["schemas"]["Shelf"].clone()),
        ("anyOf instead of oneOf", json!({"oneOf": [shelf(), error()]}), json!({"anyOf": [shelf(), error()]})),
        ("a new oneOf", json!({}), json!({"oneOf": [shelf(), error()]})),
        ("an unsupported keyword", json!({}), json!({"not": {"type": "string"}})),
        (
            "another value of an unsupported keyword",
            json!({"discriminator": {"propertyName": "a"}}),
            json!({"discriminator": {"propertyName": "b"}}),
        ),
        ("read only", with("string", json!({})), with("string", json!({"readOnly": true}))),
        ("an unsupported extension", with("string", json!({"x-order": 1})), with("string", json!({"x-order": 2}))),
        ("keywords beside a reference", shelf(), json!({"$ref": "#/components/schemas/Shelf", "maxProperties": 1})),
    ];
    check(rows.into_iter().map(|(rule, old, new)| (rule, old, new, Breaks, Breaks)).collect());
}

#[test]
fn a_new_property_breaks_if_required_or_if_the_object_was_closed() {
    let closed = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    check(vec![
        ("optional", props(json!({}), json!([])), props(json!({"a": {}}), json!([])), Fine, Fine),
        ("required", props(json!({}), json!([])), props(json!({"a": {}}), json!(["a"])), Breaks, Fine),
        ("optional, closed", closed(json!({}), json!([])), closed(json!({"a": {}}), json!([])), Fine, Breaks),
        ("required, closed", closed(json!({}), json!([])), closed(json!({"a": {}}), json!(["a"])), Breaks, Breaks),
    ]);
}

#[test]
fn changes_that_clients_tolerate_are_compatible() {
    check(vec![
        ("a new code in an open list", codes(&["a"]), codes(&["a", "b"]), Fine, Fine),
        ("a new open list", json!({"type": "string"}), codes(&["a"]), Fine, Fine),
        ("a new default", with("integer", json!({})), with("integer", json!({"default": 1})), Fine, Fine),
        ("a minLength of 0", with("string", json!({})), with("string", json!({"minLength": 0})), Fine, Fine),
        (
            "items that need not be unique",
            with("array", json!({})),
            with("array", json!({"uniqueItems": false})),
            Fine,
            Fine,
        ),
    ]);
}

#[test]
fn equivalent_notations_are_no_difference() {
    let text = json!({"type": "string", "title": "T", "description": "D", "example": "E", "deprecated": true});
    check(vec![
        ("text", json!({"type": "string"}), text, Silent, Silent),
        ("a described reference", shelf(), json!({"description": "D", "allOf": [shelf()]}), Silent, Silent),
        ("documented values", described(&["a", "b"]), with("string", json!({"enum": ["b", "a"]})), Silent, Silent),
        (
            "the order of required",
            props(json!({}), json!(["a", "b"])),
            props(json!({}), json!(["b", "a"])),
            Silent,
            Silent,
        ),
        (
            "explicitly open",
            json!({"type": "object"}),
            with("object", json!({"additionalProperties": true})),
            Silent,
            Silent,
        ),
        (
            "the order of named schemas",
            json!({"oneOf": [shelf(), error()]}),
            json!({"oneOf": [error(), shelf()]}),
            Silent,
            Silent,
        ),
    ]);
}

#[test]
fn the_name_of_a_schema_is_that_of_its_reference() {
    let with_shelf = |schema: Value| set(&document(), "/components/schemas/Shelf", schema);
    let another = with_shelf(json!({"allOf": [error()]}));
    let written_out = with_shelf(document()["components"]["schemas"]["Error"].clone());
    assert_eq!(verdict(&found(&another, &written_out)), Silent);
    assert_eq!(verdict(&found(&written_out, &another)), Silent);
}

#[test]
fn a_property_may_have_the_name_of_a_keyword() {
    for name in ["description", "example", "title", "nullable", "default", "allOf", "$ref"] {
        let with_it = props(json!({name: {"type": "string"}}), json!([]));
        assert_eq!(at(RECEIVED, &with_it, &props(json!({}), json!([]))), Breaks, "{name}");
    }
}

#[test]
fn recursive_schemas_are_supported() {
    let tree = |leaf: &str| json!({"type": "object", "properties": {"leaf": {"type": leaf}, "below": {"$ref": "#/components/schemas/Shelf"}}});
    let inlined = |leaf: &str| json!({"type": "object", "properties": {"leaf": {"type": leaf}, "below": tree(leaf)}});
    let with_shelf = |schema: Value| set(&document(), "/components/schemas/Shelf", schema);
    assert_eq!(verdict(&found(&with_shelf(tree("string")), &with_shelf(tree("string")))), Silent);
    assert_eq!(verdict(&found(&with_shelf(tree("string")), &with_shelf(tree("integer")))), Breaks);
    assert_eq!(
        verdict(&found(&with_shelf(tree("string")), &with_shelf(inlined("string")))),
        Breaks,
        "a name was removed"
    );
    assert_eq!(verdict(&found(&with_shelf(inlined("string")), &with_shelf(tree("string")))), Silent);
    let map = |of: &str| json!({"type": of, "additionalProperties": {"$ref": "#/components/schemas/Shelf"}});
    assert_eq!(verdict(&found(&with_shelf(map("object")), &with_shelf(map("object")))), Silent);
    let unknown = |of: &str| json!({"not": {"type": of, "items": {"$ref": "#/components/schemas/Shelf"}}});
    assert_eq!(verdict(&found(&with_shelf(unknown("array")), &with_shelf(unknown("array")))), Silent);
    assert_eq!(verdict(&found(&with_shelf(unknown("array")), &with_shelf(unknown("object")))), Breaks);
}

#[test]
fn a_change_behind_an_unsupported_keyword_is_reported() {
    let document = set(&document(), SENT, json!({"not": shelf()}));
    let changed = set(&document, "/components/schemas/Shelf/type", json!("string"));
    assert!(found(&document, &changed).iter().any(|finding| finding.site == "requestBody" && finding.breaks));
}

fn with(kind: &str, limit: Value) -> Value {
    let mut schema = json!({"type": kind});
    schema.as_object_mut().expect("an object").extend(limit.as_object().expect("an object").clone());
    schema
}

fn props(properties: Value, required: Value) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

fn codes(codes: &[&str]) -> Value {
    json!({"type": "string", "x-extensible-enum": codes})
}

fn described(values: &[&str]) -> Value {
    let values = values.iter().map(|value| json!({"description": "D", "type": "string", "enum": [value]}));
    json!({"oneOf": values.collect::<Vec<_>>()})
}

fn shelf() -> Value {
    json!({"$ref": "#/components/schemas/Shelf"})
}

fn error() -> Value {
    json!({"$ref": "#/components/schemas/Error"})
}
