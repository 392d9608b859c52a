//! Tests of the rules for parameters, bodies, statuses, headers and error codes.

use serde_json::{Value, json};

use super::{Breaks, Fine, Silent, Verdict, document, found, set, verdict};

const OPERATION: &str = "/paths/~1shelves~1{id}/put";

/// Applies changes to the operation sequentially. A null value removes the member.
fn changed(document: &Value, changes: &[(&str, Value)]) -> Value {
    changes.iter().fold(document.clone(), |document, (place, value)| {
        set(&document, &format!("{OPERATION}/{place}"), value.clone())
    })
}

type Row = (&'static str, Vec<(&'static str, Value)>, Verdict);

fn check(rows: Vec<Row>) {
    for (rule, changes, expected) in rows {
        let old = document();
        let found = found(&old, &changed(&old, &changes));
        assert_eq!(verdict(&found), expected, "{rule}: {found:?}");
    }
}

#[test]
fn parameters() {
    let query =
        |required: bool| json!({"in": "query", "name": "page", "required": required, "schema": {"type": "string"}});
    check(vec![
        ("a new optional parameter", vec![("parameters/-", query(false))], Fine),
        ("a new required parameter", vec![("parameters/-", query(true))], Breaks),
        ("a removed parameter", vec![("parameters/1", Value::Null)], Breaks),
        ("all parameters removed", vec![("parameters", Value::Null)], Breaks),
        ("renamed", vec![("parameters/1/name", json!("most"))], Breaks),
        ("another location", vec![("parameters/1/in", json!("header"))], Breaks),
        ("now required", vec![("parameters/1/required", json!(true))], Breaks),
        ("explicitly optional", vec![("parameters/1/required", json!(false))], Silent),
        ("no longer required", vec![("parameters/0/required", Value::Null)], Fine),
        ("a lower maximum", vec![("parameters/1/schema/maximum", json!(99))], Breaks),
        ("a higher maximum", vec![("parameters/1/schema/maximum", json!(101))], Fine),
        ("another type", vec![("parameters/1/schema/type", json!("string"))], Breaks),
        ("nullable, without effect", vec![("parameters/1/schema/nullable", json!(true))], Silent),
        ("a header name in other case", vec![("parameters/2/name", json!("if-match"))], Silent),
        ("the default style, explicitly", vec![("parameters/1/style", json!("form"))], Silent),
        ("another style", vec![("parameters/1/style", json!("spaceDelimited"))], Breaks),
        ("another value of explode", vec![("parameters/1/explode", json!(false))], Breaks),
        ("an empty value allowed", vec![("parameters/1/allowEmptyValue", json!(true))], Fine),
        (
            "unsupported content",
            vec![("parameters/1/schema", Value::Null), ("parameters/1/content", json!({"text/plain": {}}))],
            Breaks,
        ),
        (
            "another order",
            vec![
                ("parameters/1", Value::Null),
                ("parameters/-", document()["paths"]["/shelves/{id}"]["put"]["parameters"][1].clone()),
            ],
            Silent,
        ),
    ]);
    let old = changed(&document(), &[("parameters/1/allowEmptyValue", json!(true))]);
    assert_eq!(verdict(&found(&old, &document())), Breaks, "an empty value no longer allowed");
}

#[test]
fn parameters_of_the_path_and_references_are_equivalent() {
    let old = document();
    let parameters = old["paths"]["/shelves/{id}"]["put"]["parameters"].clone();
    let at_path = set(
        &set(&old, &format!("{OPERATION}/parameters"), Value::Null),
        "/paths/~1shelves~1{id}/parameters",
        parameters.clone(),
    );
    assert_eq!(verdict(&found(&old, &at_path)), Silent);
    let limit = "/paths/~1shelves~1{id}/parameters/1/schema/maximum";
    assert_eq!(verdict(&found(&at_path, &set(&at_path, limit, json!(1)))), Breaks);
    let referred = set(&old, "/components/parameters", json!({"Limit": parameters[1]}));
    let referred =
        set(&referred, &format!("{OPERATION}/parameters/1"), json!({"$ref": "#/components/parameters/Limit"}));
    assert_eq!(verdict(&found(&old, &referred)), Silent);
    assert_eq!(
        verdict(&found(&referred, &set(&referred, "/components/parameters/Limit/schema/maximum", json!(1)))),
        Breaks
    );
}

#[test]
fn request_bodies() {
    let body = |required: bool| json!({"required": required, "content": {"application/json": {"schema": {}}}});
    check(vec![
        ("removed", vec![("requestBody", Value::Null)], Breaks),
        ("no longer required", vec![("requestBody/required", json!(false))], Fine),
        ("an additional media type", vec![("requestBody/content/text~1csv", json!({}))], Fine),
        ("a removed media type", vec![("requestBody/content/application~1json", Value::Null)], Breaks),
        ("an unsupported encoding", vec![("requestBody/content/application~1json/encoding", json!({"a": {}}))], Breaks),
        ("an example", vec![("requestBody/content/application~1json/example", json!({"name": "a"}))], Silent),
        ("any value", vec![("requestBody", body(true))], Breaks),
    ]);
    let without = changed(&document(), &[("requestBody", Value::Null)]);
    let optional = changed(&document(), &[("requestBody", body(false))]);
    let required = changed(&document(), &[("requestBody", body(true))]);
    assert_eq!(verdict(&found(&without, &optional)), Fine, "a new optional body");
    assert_eq!(verdict(&found(&without, &required)), Breaks, "a new required body");
    assert_eq!(verdict(&found(&optional, &required)), Breaks, "a body now required");
}

#[test]
fn statuses() {
    let error = || json!({"$ref": "#/components/responses/Error"});
    let other = || json!({"description": "D", "content": {"application/json": {"schema": {"type": "string"}}}});
    let ok = || document()["paths"]["/shelves/{id}"]["put"]["responses"]["200"].clone();
    check(vec![
        ("a new success", vec![("responses/202", ok())], Breaks),
        ("a removed success", vec![("responses/200", Value::Null)], Breaks),
        ("another success", vec![("responses/201", ok()), ("responses/200", Value::Null)], Breaks),
        ("a new redirection", vec![("responses/303", ok())], Breaks),
        ("an error of the range, listed explicitly", vec![("responses/404", error())], Fine),
        ("an error of the range, with another body", vec![("responses/404", other())], Breaks),
        (
            "the range as statuses",
            vec![("responses/4XX", Value::Null), ("responses/400", error()), ("responses/404", error())],
            Fine,
        ),
        (
            "the range as statuses, one with another body",
            vec![("responses/4XX", Value::Null), ("responses/400", error()), ("responses/404", other())],
            Breaks,
        ),
        ("an error that nothing covered", vec![("responses/500", error())], Fine),
        ("a range that nothing covered", vec![("responses/5XX", error())], Fine),
        ("a default that nothing covered", vec![("responses/default", error())], Breaks),
        ("a removed error", vec![("responses/503", Value::Null)], Fine),
        ("all errors removed", vec![("responses/4XX", Value::Null)], Fine),
        ("an error without its body", vec![("responses/503", json!({"description": "D"}))], Breaks),
        ("an unsupported extension", vec![("responses/x-a", json!(1))], Breaks),
        (
            "text and links",
            vec![
                ("responses/200/description", json!("D")),
                ("responses/200/links", json!({"a": {"operationId": "shelf_view"}})),
            ],
            Silent,
        ),
    ]);
}

/// Returns an error response that has these codes.
fn failure(codes: &[&str]) -> Value {
    let examples: Value = codes.iter().map(|code| ((*code).to_owned(), json!({"summary": "S"}))).collect();
    let schema = json!({"$ref": "#/components/schemas/Error"});
    json!({"description": "D", "content": {"application/json": {"schema": schema, "examples": examples}}})
}

#[test]
fn error_codes() {
    let with = |answers: &[(&str, &[&str])]| {
        let answers: Value = answers.iter().map(|(status, codes)| ((*status).to_owned(), failure(codes))).collect();
        changed(&document(), &[("responses", answers)])
    };
    type Responses<'a> = &'a [(&'a str, &'a [&'a str])];
    let rows: &[(&str, Responses<'_>, Responses<'_>, Verdict)] = &[
        ("the same in another order", &[("409", &["a", "b"])], &[("409", &["b", "a"])], Silent),
        ("one added", &[("409", &["a"])], &[("409", &["a", "b"])], Fine),
        ("one removed", &[("409", &["a", "b"])], &[("409", &["a"])], Breaks),
        ("one replaced", &[("409", &["a"])], &[("409", &["b"])], Breaks),
        ("now listed", &[("409", &[])], &[("409", &["a"])], Fine),
        ("no longer listed", &[("409", &["a"])], &[("409", &[])], Breaks),
        ("removed with its status", &[("409", &["a"]), ("422", &["b"])], &[("422", &["b"])], Fine),
        ("under another status", &[("409", &["a"]), ("422", &["b"])], &[("409", &["b"]), ("422", &["a"])], Breaks),
        ("under a status that had others", &[("409", &["a"]), ("422", &["b"])], &[("422", &["a", "b"])], Breaks),
        ("under a new status", &[("409", &["a"])], &[("422", &["a"])], Breaks),
        ("kept with one of its statuses", &[("503", &["a"]), ("504", &["a"])], &[("503", &["a"])], Fine),
        ("a range as statuses", &[("4XX", &["a", "b"])], &[("404", &["a"]), ("409", &["b"])], Fine),
        ("a range without one of them", &[("4XX", &["a", "b"])], &[("404", &["a"])], Breaks),
        ("a range with one added", &[("4XX", &["a"])], &[("404", &["a"]), ("409", &["b"])], Fine),
        ("statuses as a range", &[("404", &["a"]), ("409", &["b"])], &[("4XX", &["a", "b"])], Fine),
        ("a status merged into its range, which lacks it", &[("404", &["a"])], &[("4XX", &["b"])], Breaks),
        ("a default without one of them", &[("default", &["a", "b"])], &[("default", &["b"])], Breaks),
        ("a default as ranges", &[("default", &["a", "b"])], &[("4XX", &["a"]), ("5XX", &["b"])], Fine),
        ("examples of a success", &[("200", &["a"])], &[("200", &["b"])], Silent),
    ];
    for (rule, old, new, expected) in rows {
        let found = found(&with(old), &with(new));
        assert_eq!(verdict(&found), *expected, "{rule}: {found:?}");
    }
}

#[test]
fn a_code_is_reported_with_its_status() {
    let changed = |codes| changed(&document(), &[("responses/409", failure(codes))]);
    let found = found(&changed(&["a", "b"]), &changed(&["a", "c"]));
    let reported: Vec<_> = found.iter().map(|finding| (finding.breaks, &*finding.site, &*finding.what)).collect();
    let gone = "the code \"b\" was removed: clients may match on it";
    let new = "the code \"c\" was added to an open list";
    assert_eq!(reported, [(true, "responses/409", gone), (false, "responses/409", new)]);
}

#[test]
fn a_status_merged_into_its_range_is_compared_with_the_range() {
    let other = json!({"description": "D", "content": {"application/json": {"schema": {"type": "string"}}}});
    let old = changed(&document(), &[("responses/404", json!({"$ref": "#/components/responses/Error"}))]);
    assert_eq!(verdict(&found(&old, &document())), Fine);
    let apart = changed(&document(), &[("responses/404", other)]);
    assert_eq!(verdict(&found(&apart, &document())), Breaks);
}

#[test]
fn a_default_covers_every_status() {
    let error = || json!({"$ref": "#/components/responses/Error"});
    let only_default = changed(&document(), &[("responses", json!({"default": error()}))]);
    let explicit = changed(&document(), &[("responses", json!({"200": error(), "404": error(), "5XX": error()}))]);
    assert_eq!(verdict(&found(&only_default, &explicit)), Fine);
    let nothing = changed(&document(), &[("responses", json!({}))]);
    assert_eq!(verdict(&found(&only_default, &nothing)), Breaks);
}

#[test]
fn response_bodies() {
    check(vec![
        ("removed", vec![("responses/200/content", Value::Null)], Breaks),
        ("an additional media type", vec![("responses/200/content/text~1csv", json!({}))], Breaks),
        (
            "another media type",
            vec![
                ("responses/200/content/text~1csv", json!({})),
                ("responses/200/content/application~1json", Value::Null),
            ],
            Breaks,
        ),
    ]);
    let without = changed(&document(), &[("responses/200/content", Value::Null)]);
    assert_eq!(verdict(&found(&without, &document())), Fine, "a new body");
}

#[test]
fn response_headers() {
    let header = || json!({"required": true, "schema": {"type": "string"}});
    check(vec![
        ("a new header", vec![("responses/200/headers/Location", header())], Fine),
        ("a removed header", vec![("responses/200/headers/ETag", Value::Null)], Breaks),
        ("all headers removed", vec![("responses/200/headers", Value::Null)], Breaks),
        ("no longer required", vec![("responses/200/headers/ETag/required", Value::Null)], Breaks),
        ("longer", vec![("responses/200/headers/ETag/schema/maxLength", json!(11))], Breaks),
        ("shorter", vec![("responses/200/headers/ETag/schema/maxLength", json!(9))], Fine),
        (
            "in other case",
            vec![(
                "responses/200/headers",
                json!({"etag": {"required": true, "schema": {"type": "string", "maxLength": 10}}}),
            )],
            Silent,
        ),
        ("the default style, explicitly", vec![("responses/200/headers/ETag/style", json!("simple"))], Silent),
        ("another value of explode", vec![("responses/200/headers/ETag/explode", json!(true))], Breaks),
    ]);
    let optional = changed(&document(), &[("responses/200/headers/ETag/required", json!(false))]);
    assert_eq!(verdict(&found(&optional, &document())), Fine, "now required");
}
