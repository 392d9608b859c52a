use serde_json::Value;

use super::*;

fn services() -> Services {
    readable(&crate::services().unwrap()).unwrap()
}

/// Returns the documents after replacing a text in the orders document.
fn changed(from: &str, to: &str) -> Services {
    let mut services = services();
    let text = services["orders"].value().to_string();
    assert!(text.contains(from), "the document does not contain {from}");
    services.insert("orders".to_owned(), Readable::parse(&text.replace(from, to)).unwrap());
    services
}

fn error(services: &Services) -> String {
    format!("{:#}", collection(services, &steps().unwrap()).unwrap_err())
}

fn request<'a>(collection: &'a Value, name: &str) -> &'a Value {
    let items = collection["item"].as_array().unwrap();
    &items.iter().find(|item| item["name"] == name).unwrap()["request"]
}

#[test]
fn requests_are_generated_from_the_documents() {
    let collection = collection(&services(), &steps().unwrap()).unwrap();
    assert_eq!(collection["item"].as_array().unwrap().len(), steps().unwrap().len());
    let confirm = request(&collection, "Confirm the order");
    assert_eq!(confirm["url"]["raw"], "{{ordersUrl}}/orders/:id/confirm");
    assert_eq!(confirm["url"]["variable"][0]["value"], "{{orderId}}");
}

#[test]
fn numeric_variables_in_a_body_are_not_quoted() {
    let collection = collection(&services(), &steps().unwrap()).unwrap();
    let body = request(&collection, "Order three units")["body"]["raw"].as_str().unwrap();
    assert!(body.contains(r#""product_id": {{productId}}"#), "{body}");
    let body = request(&collection, "Create a product")["body"]["raw"].as_str().unwrap();
    assert!(body.contains(r#""sku": "TOUR-{{run}}""#), "{body}");
}

#[test]
fn a_changed_path_is_adopted() {
    let services = changed("/orders/{id}/confirm", "/orders/{id}/confirmation");
    let collection = collection(&services, &steps().unwrap()).unwrap();
    assert_eq!(request(&collection, "Confirm the order")["url"]["path"][2], "confirmation");
}

#[test]
fn a_removed_operation_is_an_error() {
    let error = error(&changed("\"order_cancel\"", "\"order_annul\""));
    assert_eq!(error, "walkthrough step 'Cancel the order': unknown operation id order_cancel");
}

#[test]
fn a_renamed_field_is_an_error() {
    let error = error(&changed("price_cents", "price"));
    assert!(error.starts_with("walkthrough step 'Create a product': the body does not match its schema: "), "{error}");
    for problem in [r#""price" is a required property"#, "'price_cents' was unexpected"] {
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn a_field_of_another_type_is_an_error() {
    let mut services = services();
    let mut orders = services["orders"].value().clone();
    orders["components"]["schemas"]["ProductInput"]["properties"]["price_cents"]["type"] = "string".into();
    services.insert("orders".to_owned(), Readable::from(orders));
    let error = error(&services);
    assert!(error.ends_with(r#": /price_cents: 1250 is not of type "string""#), "{error}");
}

#[test]
fn a_renamed_header_is_an_error() {
    let error = error(&changed("\"X-Idempotency-Key\"", "\"X-Key\""));
    assert_eq!(error, "walkthrough step 'Order three units': unknown header parameter X-Idempotency-Key");
}

#[test]
fn a_missing_response_property_is_an_error() {
    let error = error(&changed("\"confirmed_at\"", "\"settled_at\""));
    assert_eq!(error, "walkthrough step 'Confirm the order': the response has no confirmed_at");
}

#[test]
fn an_undefined_variable_is_an_error() {
    let mut steps = steps().unwrap();
    steps.retain(|step| step.name != "Find a customer");
    let error = format!("{:#}", collection(&services(), &steps).unwrap_err());
    assert_eq!(error, "walkthrough step 'Order three units': the variable {{customerId}} is undefined");
}

#[test]
fn the_environment_has_the_servers_of_the_documents() {
    let environment = environment(&services()).unwrap();
    let values = environment["values"].as_array().unwrap();
    let address = values.iter().find(|value| value["key"] == "ordersUrl").unwrap();
    assert_eq!(address["value"], "http://127.0.0.1:3002");
}
