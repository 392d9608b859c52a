//! Tests of the rules for documents and operations: names, locations, callers and servers.

use serde_json::{Value, json};

use super::{Breaks, Fine, Silent, Verdict, differences, document, found, set, verdict};

const ITEM: &str = "/paths/~1shelves~1{id}";
const OPERATION: &str = "/paths/~1shelves~1{id}/put";

fn check(rows: Vec<(&str, Value, Verdict)>) {
    for (rule, new, expected) in rows {
        let found = found(&document(), &new);
        assert_eq!(verdict(&found), expected, "{rule}: {found:?}");
    }
}

fn with(pointer: &str, value: Value) -> Value {
    set(&document(), pointer, value)
}

fn with_operation(name: &str, value: Value) -> Value {
    with(&format!("{OPERATION}/{name}"), value)
}

#[test]
fn operations() {
    let item = || document()["paths"]["/shelves/{id}"].clone();
    let mut other = item()["put"].clone();
    other["operationId"] = json!("shelf_list");
    let moved = |path: &str, item: Value| set(&with(ITEM, Value::Null), path, item);
    check(vec![
        ("a new operation", with("/paths/~1shelves", json!({"get": other})), Fine),
        ("removed", with(OPERATION, Value::Null), Breaks),
        ("removed with its path", with(ITEM, Value::Null), Breaks),
        ("under another path", moved("/paths/~1racks~1{id}", item()), Breaks),
        ("under another method", with(ITEM, json!({"patch": item()["put"]})), Breaks),
        ("another operation in its place", with(ITEM, json!({"put": other})), Breaks),
        ("another id", with_operation("operationId", json!("shelf_change")), Breaks),
        ("no id", with_operation("operationId", Value::Null), Breaks),
        ("unsupported callbacks", with_operation("callbacks", json!({"a": {}})), Breaks),
        ("servers of the operation", with_operation("servers", json!([{"url": "/other"}])), Breaks),
        ("servers of the path", with(&format!("{ITEM}/servers"), json!([{"url": "/other"}])), Breaks),
        ("an unsupported extension", with_operation("x-a", json!(1)), Breaks),
        ("text", with_operation("description", json!("D")), Silent),
        ("another tag", with_operation("tags", json!(["racks"])), Silent),
    ]);
}

#[test]
fn a_moved_operation_is_reported_as_moved_and_compared() {
    let mut item = document()["paths"]["/shelves/{id}"].clone();
    item["put"]["requestBody"]["required"] = json!(false);
    let new = set(&with(ITEM, Value::Null), "/paths/~1racks~1{id}", item);
    let all = differences(&document(), &new);
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0].of, "PUT /shelves/{id} (shelf_update)");
    let reported: Vec<_> = all[0].found.iter().map(|finding| (finding.site.as_str(), finding.what.as_str())).collect();
    assert_eq!(
        reported,
        [("operation", "moved to PUT /racks/{id}"), ("requestBody", "the body is no longer required")]
    );
}

#[test]
fn documents() {
    check(vec![
        ("the same", document(), Silent),
        ("another version", with("/info/version", json!("1.3.0")), Silent),
        ("another title", with("/info/title", json!("Racks")), Silent),
        ("another tag", with("/tags", json!([{"name": "racks"}])), Silent),
        ("a patch of the specification", with("/openapi", json!("3.0.4")), Fine),
        ("another specification", with("/openapi", json!("3.1.0")), Breaks),
        ("an additional server", with("/servers/-", json!({"url": "https://shelves.example"})), Fine),
        ("another server", with("/servers/0/url", json!("http://127.0.0.1:3002")), Breaks),
        ("no server", with("/servers", Value::Null), Breaks),
        ("a described server", with("/servers/0/description", json!("D")), Silent),
        ("a server with variables", with("/servers/0/variables", json!({"a": {"default": "b"}})), Breaks),
        ("an unsupported extension", with("/x-a", json!(1)), Breaks),
        ("an unused schema", with("/components/schemas/Rack", json!({"type": "object"})), Silent),
    ]);
}

#[test]
fn callers() {
    let all = |alternatives: Value| with_operation("security", alternatives);
    check(vec![
        ("one caller removed", all(json!([{"operator": []}])), Breaks),
        ("one caller added", all(json!([{"operator": []}, {"service": []}, {"stranger": []}])), Fine),
        ("no credentials required", all(json!([])), Fine),
        ("no credentials required, as an alternative", all(json!([{"operator": []}, {}])), Fine),
        ("both required together", all(json!([{"operator": [], "service": []}])), Breaks),
        ("a scope required", all(json!([{"operator": ["write"]}, {"service": []}])), Breaks),
        ("in another order", all(json!([{"service": []}, {"operator": []}])), Silent),
        ("no security requirement", with_operation("security", Value::Null), Fine),
        ("another scheme", with("/components/securitySchemes/service/scheme", json!("basic")), Breaks),
        ("no scheme", with("/components/securitySchemes/service", Value::Null), Breaks),
        (
            "another form of the token",
            with("/components/securitySchemes/operator/bearerFormat", json!("opaque")),
            Silent,
        ),
    ]);
    let anyone = all(json!([]));
    assert_eq!(verdict(&found(&anyone, &document())), Breaks, "credentials now required");
    let both = all(json!([{"operator": [], "service": []}]));
    assert_eq!(verdict(&found(&both, &all(json!([{"operator": []}])))), Fine, "one of the two is sufficient");
    let inherited = set(&with_operation("security", Value::Null), "/security", json!([{"service": []}]));
    assert_eq!(verdict(&found(&document(), &inherited)), Breaks, "the default of the document applies");
}

#[test]
fn roles() {
    let all = ["viewer", "operator", "admin"];
    let needs = |role: &str| with_operation("x-required-role", json!(role));
    for (lower, role) in all.iter().enumerate() {
        for (higher, other) in all.iter().enumerate() {
            let expected = if higher > lower {
                Breaks
            } else if higher < lower {
                Fine
            } else {
                Silent
            };
            assert_eq!(verdict(&found(&needs(role), &needs(other))), expected, "{other} instead of {role}");
        }
    }
    check(vec![
        ("the first role is viewer", needs("viewer"), Fine),
        ("the first role is operator", needs("operator"), Fine),
        ("the first role is admin", needs("admin"), Breaks),
        ("an unknown role", needs("owner"), Breaks),
    ]);
    let anyone = with_operation("security", json!([]));
    assert_eq!(verdict(&found(&needs("admin"), &document())), Breaks, "the role was removed");
    assert_eq!(verdict(&found(&needs("admin"), &anyone)), Fine, "no credentials required");
}

/// Covers changes that a widely used comparison tool is known to report or to miss.
#[test]
fn changes_that_other_tools_miss() {
    let property = |name: &str| format!("/components/schemas/Shelf/properties/{name}");
    let get = |document: Value| {
        set(&document, "/paths/~1shelves", json!({"get": {"operationId": "shelf_list", "responses": {}}}))
    };
    assert_eq!(verdict(&found(&document(), &get(document()))), Fine, "added operation");
    check(vec![
        ("removed operation", with(ITEM, Value::Null), Breaks),
        (
            "renamed path",
            set(&with(ITEM, Value::Null), "/paths/~1racks~1{id}", document()["paths"]["/shelves/{id}"].clone()),
            Breaks,
        ),
        (
            "added optional query parameter",
            with_operation("parameters/-", json!({"in": "query", "name": "a", "schema": {}})),
            Fine,
        ),
        (
            "added required query parameter",
            with_operation("parameters/-", json!({"in": "query", "name": "a", "schema": {}, "required": true})),
            Breaks,
        ),
        ("removed parameter", with_operation("parameters/1", Value::Null), Breaks),
        ("property type changed", with(&property("rows/type"), json!("string")), Breaks),
        ("property added", with(&property("rack"), json!({})), Fine),
        ("property removed", with(&property("rows"), Value::Null), Breaks),
        ("required list changed", with("/components/schemas/Shelf/required/-", json!("rows")), Breaks),
        ("enum value removed from a request", with(&property("name/enum"), json!(["a"])), Breaks),
        ("maximum lowered", with_operation("parameters/1/schema/maximum", json!(1)), Breaks),
        ("description", with(&property("name/description"), json!("D")), Silent),
        ("operationId renamed", with_operation("operationId", json!("a")), Breaks),
        ("response header removed", with_operation("responses/200/headers/ETag", Value::Null), Breaks),
        ("security changed", with_operation("security", json!([{"service": []}])), Breaks),
    ]);
}
