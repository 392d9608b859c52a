//! Violates each rule in a small document that is otherwise valid.

use serde_json::{Value, json};

use super::*;

fn valid() -> Value {
    let header =
        json!({ "description": "Correlation ID.", "schema": { "type": "string", "maxLength": 9 }, "example": "w" });
    json!({
        "tags": [{ "name": "things", "description": "Things." }],
        "paths": { "/things/{id}": { "get": {
            "operationId": "thing_view",
            "tags": ["things"],
            "summary": "Fetch a thing",
            "description": "Returns the thing.",
            "security": [{ "operatorJwt": [] }],
            "x-required-role": "viewer",
            "parameters": [{
                "in": "path", "name": "id", "required": true, "description": "ID of the thing.",
                "schema": { "type": "integer", "minimum": 1 }, "example": 1
            }],
            "responses": {
                "200": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Thing" } } } },
                "404": { "$ref": "#/components/responses/NotFound" }
            }
        } } },
        "components": {
            "securitySchemes": { "operatorJwt": {} },
            "headers": { "X-Correlation-Id": header },
            "responses": { "NotFound": {
                "headers": { "X-Correlation-Id": { "$ref": "#/components/headers/X-Correlation-Id" } },
                "content": { "application/json": {
                    "schema": { "$ref": "#/components/schemas/Error" },
                    "examples": { "not_found": { "value": { "error_code": "not_found" } } }
                } }
            } },
            "schemas": {
                "Error": {
                    "description": "Error.", "type": "object", "example": { "error_code": "not_found" },
                    "properties": { "error_code": {
                        "description": "Error code.", "type": "string", "maxLength": 20, "example": "not_found",
                        "x-extensible-enum": ["not_found"]
                    } }
                },
                "Thing": {
                    "description": "Thing.", "type": "object", "example": { "names": ["a"] },
                    "properties": { "names": {
                        "description": "Names of the thing.", "type": "array", "maxItems": 3, "example": ["a"],
                        "items": { "type": "string", "maxLength": 10 }
                    } }
                }
            }
        }
    })
}

fn findings(document: &Value) -> Vec<String> {
    violations(&Document::parse(&document.to_string()).unwrap())
}

#[test]
fn a_valid_document_has_no_findings() {
    assert_eq!(findings(&valid()), Vec::<String>::new());
}

#[test]
fn each_violation_is_reported_with_its_place() {
    const OPERATION: &str = "/paths/~1things~1{id}/get";
    let thing = "/components/schemas/Thing";
    let cases = [
        (format!("{OPERATION}/operationId"), json!("viewThing"), "operation viewThing: is not named noun_verb"),
        (format!("{OPERATION}/operationId"), json!("view_thing"), "operation view_thing: is not named noun_verb"),
        (
            format!("{OPERATION}/summary"),
            json!("Fetches it."),
            "operation thing_view: its summary is not a single imperative",
        ),
        (format!("{OPERATION}/operationId"), json!("thing_view_all"), "operation thing_view_all: is not named"),
        (
            format!("{OPERATION}/summary"),
            json!("Fetch ".repeat(20)),
            "operation thing_view: its summary is not a single",
        ),
        (format!("{OPERATION}/description"), json!(""), "operation thing_view: has no description"),
        (format!("{OPERATION}/tags"), json!(["things", "more"]), "operation thing_view: has 2 tags"),
        (format!("{OPERATION}/tags"), json!(["others"]), "operation thing_view: its tag \"others\" has no description"),
        (format!("{OPERATION}/security"), json!(null), "operation thing_view: has no security requirement"),
        (format!("{OPERATION}/x-required-role"), json!(null), "operation thing_view: has no required role"),
        (format!("{OPERATION}/security"), json!([]), "operation thing_view: has a required role but does not accept"),
        (
            format!("{OPERATION}/security"),
            json!([{ "none": [] }]),
            "operation thing_view: requires the undefined security scheme none",
        ),
        (
            format!("{OPERATION}/parameters/0/description"),
            json!(""),
            "operation thing_view, \"id\": has no description",
        ),
        (
            format!("{OPERATION}/parameters/0/example"),
            json!(0),
            "operation thing_view, \"id\": its example does not match",
        ),
        (format!("{OPERATION}/responses/404"), json!({}), "operation thing_view: 404 has no error codes"),
        ("/components/responses/NotFound/headers".to_owned(), json!({}), "operation thing_view: 404 has no header"),
        (
            "/components/responses/NotFound/content/application~1json/examples/not_found/value".to_owned(),
            json!({ "error_code": 7 }),
            "response NotFound, not_found: its example does not match its schema: /error_code",
        ),
        (
            "/components/schemas/Error/properties/error_code/x-extensible-enum".to_owned(),
            json!(["not_found", "never"]),
            "error code never: no operation returns it",
        ),
        (
            "/components/schemas/Error/properties/error_code/x-extensible-enum".to_owned(),
            json!([]),
            "error code not_found: is missing in the error schema",
        ),
        (
            "/components/headers/X-Correlation-Id/schema/maxLength".to_owned(),
            json!(null),
            "shared headers, X-Correlation-Id",
        ),
        (format!("{thing}/description"), json!(""), "Thing: has no description"),
        (format!("{thing}/example"), json!({ "names": [], "more": 1 }), "Thing: its example does not match its schema"),
        (format!("{thing}/properties/names/description"), json!(""), "Thing.names: has no description"),
        (format!("{thing}/properties/names/maxItems"), json!(null), "Thing.names: has no maxItems"),
        (format!("{thing}/properties/names/items/maxLength"), json!(null), "Thing.names[]: has no maxLength"),
    ];
    for (place, value, expected) in cases {
        let mut document = valid();
        *document.pointer_mut(&place).unwrap() = value;
        let findings = findings(&document);
        assert!(findings.iter().any(|finding| finding.starts_with(expected)), "{place}: {findings:?}");
    }
}

#[test]
fn a_missing_example_is_reported() {
    for (place, expected) in [
        ("/components/schemas/Thing", "Thing: has no example"),
        ("/components/schemas/Thing/properties/names", "Thing.names: has no example"),
        ("/paths/~1things~1{id}/get/parameters/0", "operation thing_view, \"id\": has no example"),
    ] {
        let mut document = valid();
        document.pointer_mut(place).unwrap().as_object_mut().unwrap().remove("example");
        let findings = findings(&document);
        assert!(findings.iter().any(|finding| finding.starts_with(expected)), "{place}: {findings:?}");
    }
}

#[test]
fn duplicate_operation_ids_and_a_second_success_response_are_reported() {
    let mut document = valid();
    let operation = document["paths"]["/things/{id}"]["get"].clone();
    document["paths"]["/others/{id}"]["get"] = operation;
    document["paths"]["/others/{id}"]["get"]["responses"]["204"] = json!({});
    let findings = findings(&document);
    for expected in
        ["operation thing_view: another operation has this id", "operation thing_view: has 2 success responses"]
    {
        assert!(findings.iter().any(|finding| finding.starts_with(expected)), "{findings:?}");
    }
}

#[test]
fn a_pattern_that_some_languages_refuse_is_reported() {
    let find = |pattern: &str| {
        let mut document = valid();
        let names = &mut document["components"]["schemas"]["Thing"]["properties"]["names"];
        names["items"]["pattern"] = pattern.into();
        names["example"] = json!([]);
        document["components"]["schemas"]["Thing"]["example"] = json!({ "names": [] });
        findings(&document)
    };
    let portable =
        [r"^[!-~]([ -~]*[!-~])?$", r"^[^\s\x00-\x1F\x7F]*$", r"^(?:a|b\.c)\d{2,3}[\]\-\\]$", "^[^@]+@[^@]+$"];
    for pattern in portable {
        assert_eq!(find(pattern), Vec::<String>::new(), "{pattern}");
    }
    let refused = [
        (r"^[^\x80-\x9F]*$", r"\x80"),
        (r"^[^\xff]*$", r"\xff"),
        (r"^\x{7F}$", r"\x{7"),
        (r"^[\u0080-\u009F]$", r"\u"),
        (r"^\p{L}+$", r"\p"),
        (r"^\cA$", r"\c"),
        (r"^(a)\1$", r"\1"),
        (r"^a\Z", r"\Z"),
        (r#"^\"$"#, r#"\""#),
        ("^[^\u{3000}]$", "the character U+3000"),
        ("^\u{7f}$", "the character U+007F"),
        (r"^(?=.*\S).*$", "a group of a special kind"),
        (r"^(?<!a)b$", "a group of a special kind"),
        (r"^(?<name>a)$", "a group of a special kind"),
        (r"(?i)^a$", "a group of a special kind"),
        ("^[a[bc]]$", "[ in a class"),
        ("^[[:alpha:]]$", "[ in a class"),
        ("^[]a]$", "an empty class"),
        ("^[^]$", "an empty class"),
        ("^[a-z&&b]$", "&&"),
        ("^#{a}$", "#{"),
    ];
    for (pattern, construct) in refused {
        let found = find(pattern);
        let place = "/components/schemas/Thing/properties/names/items: its pattern ";
        let expected = format!("{place}{pattern} contains {construct}, ");
        assert!(found.iter().any(|finding| finding.starts_with(&expected)), "{pattern}: {found:?}");
    }
}

#[test]
fn names_that_break_clients_are_reported() {
    let find = |schemas: Value| {
        let mut document = valid();
        let all = document["components"]["schemas"].as_object_mut().unwrap();
        for (name, mut schema) in schemas.as_object().unwrap().clone() {
            schema["description"] = "Schema.".into();
            for (_, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
                *property = json!({ "type": "integer", "description": "Property.", "example": 1 });
            }
            schema["example"] = schema.get("enum").map_or(json!({}), |values| values[0].clone());
            all.insert(name, schema);
        }
        findings(&document)
    };
    let object = |properties: Value| json!({ "type": "object", "properties": properties });
    let values = |values: Value| json!({ "type": "string", "enum": values });

    let allowed = json!({
        "NewThings": object(json!({ "class": {}, "type": {}, "end": {}, "to_date": {} })),
        "Letter": values(json!(["a", "b"])),
        "More": { "type": "string", "enum": ["a"], "x-enum-varnames": ["MORE_A"] },
    });
    assert_eq!(find(allowed), Vec::<String>::new());

    let cases = [
        (json!({ "NewThing": object(json!({})) }), "NewThing: a Go client has this name for a part of Thing"),
        (json!({ "NullableThing": object(json!({})) }), "NullableThing: a Go client has this name for a part of Thing"),
        (json!({ "THING": object(json!({})) }), "schemas: THING and Thing differ only in letter case or separators"),
        (json!({ "More": object(json!({ "a_b": {}, "aB": {} })) }), "More: a_b and aB differ only in letter case"),
        (json!({ "More": object(json!({ "toMap": {} })) }), "More.toMap: clients in Go cannot have this name"),
        (json!({ "More": values(json!(["end"])) }), "More.END: clients in Ruby cannot have this name"),
        (json!({ "More": values(json!(["a-b", "a_b"])) }), "More: its constant A_B is also one of More"),
        (
            json!({ "Letter": values(json!(["a"])), "More": values(json!(["A"])) }),
            "More: its constant A is also one of Letter: add More to CONTRACT.prefixed_enums",
        ),
    ];
    for (schemas, expected) in cases {
        let found = find(schemas.clone());
        assert!(found.len() == 1 && found[0].starts_with(expected), "{schemas}: {found:?}");
    }
}
