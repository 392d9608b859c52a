//! Each rule, broken in a small document that is well but for that.

use serde_json::{Value, json};

use super::*;

fn good() -> Value {
    let header = json!({ "description": "The work.", "schema": { "type": "string", "maxLength": 9 }, "example": "w" });
    json!({
        "tags": [{ "name": "things", "description": "Things." }],
        "paths": { "/things/{id}": { "get": {
            "operationId": "thing_view",
            "tags": ["things"],
            "summary": "Fetch a thing",
            "description": "As it is.",
            "security": [{ "operatorJwt": [] }],
            "x-required-role": "viewer",
            "parameters": [{
                "in": "path", "name": "id", "required": true, "description": "Which.",
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
                    "description": "Why not.", "type": "object", "example": { "error_code": "not_found" },
                    "properties": { "error_code": {
                        "description": "A code.", "type": "string", "maxLength": 20, "example": "not_found",
                        "x-extensible-enum": ["not_found"]
                    } }
                },
                "Thing": {
                    "description": "A thing.", "type": "object", "example": { "names": ["a"] },
                    "properties": { "names": {
                        "description": "Its names.", "type": "array", "maxItems": 3, "example": ["a"],
                        "items": { "type": "string", "maxLength": 10 }
                    } }
                }
            }
        }
    })
}

fn findings(document: &Value) -> Vec<String> {
    broken(&Document::parse(&document.to_string()).unwrap())
}

#[test]
fn a_good_document_breaks_no_rule() {
    assert_eq!(findings(&good()), Vec::<String>::new());
}

#[test]
fn every_broken_rule_is_told_with_its_place_and_its_mending() {
    const OPERATION: &str = "/paths/~1things~1{id}/get";
    let thing = "/components/schemas/Thing";
    let cases = [
        (format!("{OPERATION}/operationId"), json!("viewThing"), "operation viewThing: is not called noun_verb"),
        (format!("{OPERATION}/operationId"), json!("view_thing"), "operation view_thing: is not called noun_verb"),
        (
            format!("{OPERATION}/summary"),
            json!("Fetches it."),
            "operation thing_view: its summary is not one imperative",
        ),
        (format!("{OPERATION}/operationId"), json!("thing_view_all"), "operation thing_view_all: is not called"),
        (format!("{OPERATION}/summary"), json!("Fetch ".repeat(20)), "operation thing_view: its summary is not one"),
        (format!("{OPERATION}/description"), json!(""), "operation thing_view: has no description"),
        (format!("{OPERATION}/tags"), json!(["things", "more"]), "operation thing_view: has 2 tags"),
        (format!("{OPERATION}/tags"), json!(["others"]), "operation thing_view: its tag \"others\" is not described"),
        (format!("{OPERATION}/security"), json!(null), "operation thing_view: does not say who may call it"),
        (format!("{OPERATION}/x-required-role"), json!(null), "operation thing_view: does not say which role"),
        (format!("{OPERATION}/security"), json!([]), "operation thing_view: says that it needs a role, but takes"),
        (format!("{OPERATION}/security"), json!([{ "none": [] }]), "operation thing_view: asks for none"),
        (
            format!("{OPERATION}/parameters/0/description"),
            json!(""),
            "operation thing_view, \"id\": has no description",
        ),
        (format!("{OPERATION}/parameters/0/example"), json!(0), "operation thing_view, \"id\": its example is not as"),
        (format!("{OPERATION}/responses/404"), json!({}), "operation thing_view: 404 does not say which codes"),
        ("/components/responses/NotFound/headers".to_owned(), json!({}), "operation thing_view: 404 does not mention"),
        (
            "/components/responses/NotFound/content/application~1json/examples/not_found/value".to_owned(),
            json!({ "error_code": 7 }),
            "response NotFound, not_found: its example is not as its schema says: /error_code",
        ),
        (
            "/components/schemas/Error/properties/error_code/x-extensible-enum".to_owned(),
            json!(["not_found", "never"]),
            "error code never: no operation answers with it",
        ),
        (
            "/components/schemas/Error/properties/error_code/x-extensible-enum".to_owned(),
            json!([]),
            "error code not_found: is missing in the list of codes",
        ),
        (
            "/components/headers/X-Correlation-Id/schema/maxLength".to_owned(),
            json!(null),
            "every answer, X-Correlation-Id",
        ),
        (format!("{thing}/description"), json!(""), "Thing: has no description"),
        (format!("{thing}/example"), json!({ "names": [], "more": 1 }), "Thing: its example is not as its schema says"),
        (format!("{thing}/properties/names/description"), json!(""), "Thing.names: has no description"),
        (format!("{thing}/properties/names/maxItems"), json!(null), "Thing.names: has no maxItems"),
        (format!("{thing}/properties/names/items/maxLength"), json!(null), "Thing.names[]: has no maxLength"),
    ];
    for (place, value, expected) in cases {
        let mut document = good();
        *document.pointer_mut(&place).unwrap() = value;
        let findings = findings(&document);
        assert!(findings.iter().any(|finding| finding.starts_with(expected)), "{place}: {findings:?}");
    }
}

#[test]
fn a_missing_example_is_told() {
    for (place, expected) in [
        ("/components/schemas/Thing", "Thing: has no example"),
        ("/components/schemas/Thing/properties/names", "Thing.names: has no example"),
        ("/paths/~1things~1{id}/get/parameters/0", "operation thing_view, \"id\": has no example"),
    ] {
        let mut document = good();
        document.pointer_mut(place).unwrap().as_object_mut().unwrap().remove("example");
        let findings = findings(&document);
        assert!(findings.iter().any(|finding| finding.starts_with(expected)), "{place}: {findings:?}");
    }
}

#[test]
fn two_operations_of_one_name_and_a_second_good_answer_are_told() {
    let mut document = good();
    let operation = document["paths"]["/things/{id}"]["get"].clone();
    document["paths"]["/others/{id}"]["get"] = operation;
    document["paths"]["/others/{id}"]["get"]["responses"]["204"] = json!({});
    let findings = findings(&document);
    for expected in ["operation thing_view: another operation has this id", "operation thing_view: has 2 good answers"]
    {
        assert!(findings.iter().any(|finding| finding.starts_with(expected)), "{findings:?}");
    }
}
