//! Rules of parameters, bodies, statuses and headers.

use serde_json::{Value, json};

use super::{Breaks, Fine, Silent, Verdict, document, found, set, verdict};

const OPERATION: &str = "/paths/~1shelves~1{id}/put";

/// Changes of the operation one after the other; null takes something away.
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
        ("a new optional one", vec![("parameters/-", query(false))], Fine),
        ("a new required one", vec![("parameters/-", query(true))], Breaks),
        ("one is gone", vec![("parameters/1", Value::Null)], Breaks),
        ("all are gone", vec![("parameters", Value::Null)], Breaks),
        ("renamed", vec![("parameters/1/name", json!("most"))], Breaks),
        ("in another place", vec![("parameters/1/in", json!("header"))], Breaks),
        ("required now", vec![("parameters/1/required", json!(true))], Breaks),
        ("optional, said outright", vec![("parameters/1/required", json!(false))], Silent),
        ("not required any more", vec![("parameters/0/required", Value::Null)], Fine),
        ("a lower maximum", vec![("parameters/1/schema/maximum", json!(99))], Breaks),
        ("a higher maximum", vec![("parameters/1/schema/maximum", json!(101))], Fine),
        ("another type", vec![("parameters/1/schema/type", json!("string"))], Breaks),
        ("null, which never arrives", vec![("parameters/1/schema/nullable", json!(true))], Silent),
        ("a header in other letters", vec![("parameters/2/name", json!("if-match"))], Silent),
        ("the usual style, said outright", vec![("parameters/1/style", json!("form"))], Silent),
        ("another style", vec![("parameters/1/style", json!("spaceDelimited"))], Breaks),
        ("exploded in another way", vec![("parameters/1/explode", json!(false))], Breaks),
        ("an empty value", vec![("parameters/1/allowEmptyValue", json!(true))], Fine),
        (
            "content that is not understood",
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
    assert_eq!(verdict(&found(&old, &document())), Breaks, "no empty value any more");
}

#[test]
fn parameters_may_stand_at_the_path_or_behind_a_reference() {
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
        ("gone", vec![("requestBody", Value::Null)], Breaks),
        ("not required any more", vec![("requestBody/required", json!(false))], Fine),
        ("another media type more", vec![("requestBody/content/text~1csv", json!({}))], Fine),
        ("a media type is gone", vec![("requestBody/content/application~1json", Value::Null)], Breaks),
        (
            "an encoding that is not understood",
            vec![("requestBody/content/application~1json/encoding", json!({"a": {}}))],
            Breaks,
        ),
        ("an example", vec![("requestBody/content/application~1json/example", json!({"name": "a"}))], Silent),
        ("anything", vec![("requestBody", body(true))], Breaks),
    ]);
    let without = changed(&document(), &[("requestBody", Value::Null)]);
    let optional = changed(&document(), &[("requestBody", body(false))]);
    let required = changed(&document(), &[("requestBody", body(true))]);
    assert_eq!(verdict(&found(&without, &optional)), Fine, "a body may be sent");
    assert_eq!(verdict(&found(&without, &required)), Breaks, "a body has to be sent");
    assert_eq!(verdict(&found(&optional, &required)), Breaks, "a body has to be sent now");
}

#[test]
fn statuses() {
    let error = || json!({"$ref": "#/components/responses/Error"});
    let other = || json!({"description": "D", "content": {"application/json": {"schema": {"type": "string"}}}});
    let ok = || document()["paths"]["/shelves/{id}"]["put"]["responses"]["200"].clone();
    check(vec![
        ("a new success", vec![("responses/202", ok())], Breaks),
        ("a success is gone", vec![("responses/200", Value::Null)], Breaks),
        ("another success", vec![("responses/201", ok()), ("responses/200", Value::Null)], Breaks),
        ("a new redirection", vec![("responses/303", ok())], Breaks),
        ("an error of the range, told by itself", vec![("responses/404", error())], Fine),
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
        ("an error is gone", vec![("responses/503", Value::Null)], Fine),
        ("the errors are gone", vec![("responses/4XX", Value::Null)], Fine),
        ("an error without its body", vec![("responses/503", json!({"description": "D"}))], Breaks),
        ("an extension that is not understood", vec![("responses/x-a", json!(1))], Breaks),
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

/// An error with these codes.
fn failure(codes: &[&str]) -> Value {
    let examples: Value = codes.iter().map(|code| ((*code).to_owned(), json!({"summary": "S"}))).collect();
    let schema = json!({"$ref": "#/components/schemas/Error"});
    json!({"description": "D", "content": {"application/json": {"schema": schema, "examples": examples}}})
}

#[test]
fn the_codes_of_an_error() {
    let with = |answers: &[(&str, &[&str])]| {
        let answers: Value = answers.iter().map(|(status, codes)| ((*status).to_owned(), failure(codes))).collect();
        changed(&document(), &[("responses", answers)])
    };
    type Answers<'a> = &'a [(&'a str, &'a [&'a str])];
    let rows: &[(&str, Answers<'_>, Answers<'_>, Verdict)] = &[
        ("the same in another order", &[("409", &["a", "b"])], &[("409", &["b", "a"])], Silent),
        ("one more", &[("409", &["a"])], &[("409", &["a", "b"])], Fine),
        ("one is gone", &[("409", &["a", "b"])], &[("409", &["a"])], Breaks),
        ("another one", &[("409", &["a"])], &[("409", &["b"])], Breaks),
        ("listed now", &[("409", &[])], &[("409", &["a"])], Fine),
        ("not listed any more", &[("409", &["a"])], &[("409", &[])], Breaks),
        ("gone with its status", &[("409", &["a"]), ("422", &["b"])], &[("422", &["b"])], Fine),
        ("under another status", &[("409", &["a"]), ("422", &["b"])], &[("409", &["b"]), ("422", &["a"])], Breaks),
        ("under a status that had others", &[("409", &["a"]), ("422", &["b"])], &[("422", &["a", "b"])], Breaks),
        ("under a new status", &[("409", &["a"])], &[("422", &["a"])], Breaks),
        ("left under one of its statuses", &[("503", &["a"]), ("504", &["a"])], &[("503", &["a"])], Fine),
        ("a range as statuses", &[("4XX", &["a", "b"])], &[("404", &["a"]), ("409", &["b"])], Fine),
        ("a range without one of them", &[("4XX", &["a", "b"])], &[("404", &["a"])], Breaks),
        ("a range with one more", &[("4XX", &["a"])], &[("404", &["a"]), ("409", &["b"])], Fine),
        ("statuses as a range", &[("404", &["a"]), ("409", &["b"])], &[("4XX", &["a", "b"])], Fine),
        ("a status left to its range, which lacks it", &[("404", &["a"])], &[("4XX", &["b"])], Breaks),
        ("a default that lacks one", &[("default", &["a", "b"])], &[("default", &["b"])], Breaks),
        ("a default as ranges", &[("default", &["a", "b"])], &[("4XX", &["a"]), ("5XX", &["b"])], Fine),
        ("examples of a success", &[("200", &["a"])], &[("200", &["b"])], Silent),
    ];
    for (rule, old, new, expected) in rows {
        let found = found(&with(old), &with(new));
        assert_eq!(verdict(&found), *expected, "{rule}: {found:?}");
    }
}

#[test]
fn a_code_is_told_with_its_status() {
    let changed = |codes| changed(&document(), &[("responses/409", failure(codes))]);
    let found = found(&changed(&["a", "b"]), &changed(&["a", "c"]));
    let told: Vec<_> = found.iter().map(|finding| (finding.breaks, &*finding.site, &*finding.what)).collect();
    let gone = "the code \"b\" is gone, on which clients may match";
    let new = "the code \"c\" is new in an open list";
    assert_eq!(told, [(true, "responses/409", gone), (false, "responses/409", new)]);
}

#[test]
fn a_status_that_is_left_to_its_range_is_compared_with_it() {
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
        ("gone", vec![("responses/200/content", Value::Null)], Breaks),
        ("another media type more", vec![("responses/200/content/text~1csv", json!({}))], Breaks),
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
    assert_eq!(verdict(&found(&without, &document())), Fine, "a body where there was none");
}

#[test]
fn response_headers() {
    let header = || json!({"required": true, "schema": {"type": "string"}});
    check(vec![
        ("a new one", vec![("responses/200/headers/Location", header())], Fine),
        ("gone", vec![("responses/200/headers/ETag", Value::Null)], Breaks),
        ("all are gone", vec![("responses/200/headers", Value::Null)], Breaks),
        ("not always there any more", vec![("responses/200/headers/ETag/required", Value::Null)], Breaks),
        ("longer", vec![("responses/200/headers/ETag/schema/maxLength", json!(11))], Breaks),
        ("shorter", vec![("responses/200/headers/ETag/schema/maxLength", json!(9))], Fine),
        (
            "in other letters",
            vec![(
                "responses/200/headers",
                json!({"etag": {"required": true, "schema": {"type": "string", "maxLength": 10}}}),
            )],
            Silent,
        ),
        ("the usual style, said outright", vec![("responses/200/headers/ETag/style", json!("simple"))], Silent),
        ("exploded in another way", vec![("responses/200/headers/ETag/explode", json!(true))], Breaks),
    ]);
    let optional = changed(&document(), &[("responses/200/headers/ETag/required", json!(false))]);
    assert_eq!(verdict(&found(&optional, &document())), Fine, "always there now");
}
