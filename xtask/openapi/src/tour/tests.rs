use serde_json::Value;

use super::*;

fn services() -> Services {
    readable(&crate::services().unwrap()).unwrap()
}

/// The orders document after a change of its text, which has to be there.
fn changed(from: &str, to: &str) -> Services {
    let mut services = services();
    let text = services["orders"].value().to_string();
    assert!(text.contains(from), "the document has no {from}");
    services.insert("orders".to_owned(), Readable::parse(&text.replace(from, to)).unwrap());
    services
}

fn refusal(services: &Services) -> String {
    format!("{:#}", collection(services, &steps().unwrap()).unwrap_err())
}

fn request<'a>(collection: &'a Value, name: &str) -> &'a Value {
    let items = collection["item"].as_array().unwrap();
    &items.iter().find(|item| item["name"] == name).unwrap()["request"]
}

#[test]
fn the_tour_keeps_to_the_documents() {
    let collection = collection(&services(), &steps().unwrap()).unwrap();
    assert_eq!(collection["item"].as_array().unwrap().len(), steps().unwrap().len());
    let confirm = request(&collection, "Confirm the order");
    assert_eq!(confirm["url"]["raw"], "{{ordersUrl}}/orders/:id/confirm");
    assert_eq!(confirm["url"]["variable"][0]["value"], "{{orderId}}");
}

#[test]
fn a_number_stands_in_a_body_without_quotes() {
    let collection = collection(&services(), &steps().unwrap()).unwrap();
    let body = request(&collection, "Order three pieces")["body"]["raw"].as_str().unwrap();
    assert!(body.contains(r#""product_id": {{productId}}"#), "{body}");
    let body = request(&collection, "Make a product")["body"]["raw"].as_str().unwrap();
    assert!(body.contains(r#""sku": "TOUR-{{run}}""#), "{body}");
}

#[test]
fn a_changed_path_is_followed() {
    let services = changed("/orders/{id}/confirm", "/orders/{id}/confirmation");
    let collection = collection(&services, &steps().unwrap()).unwrap();
    assert_eq!(request(&collection, "Confirm the order")["url"]["path"][2], "confirmation");
}

#[test]
fn an_operation_that_has_gone_is_an_error() {
    let refusal = refusal(&changed("\"order_cancel\"", "\"order_annul\""));
    assert_eq!(refusal, "the tour's step 'Cancel the order': no operation has the id order_cancel");
}

#[test]
fn a_renamed_field_is_an_error() {
    let refusal = refusal(&changed("price_cents", "price"));
    assert!(refusal.starts_with("the tour's step 'Make a product': the body is not as its schema says: "), "{refusal}");
    for problem in [r#""price" is a required property"#, "'price_cents' was unexpected"] {
        assert!(refusal.contains(problem), "{refusal}");
    }
}

#[test]
fn a_field_of_another_type_is_an_error() {
    let mut services = services();
    let mut orders = services["orders"].value().clone();
    orders["components"]["schemas"]["NewProduct"]["properties"]["price_cents"]["type"] = "string".into();
    services.insert("orders".to_owned(), Readable::from(orders));
    let refusal = refusal(&services);
    assert!(refusal.ends_with(r#": /price_cents: 1250 is not of type "string""#), "{refusal}");
}

#[test]
fn a_renamed_header_is_an_error() {
    let refusal = refusal(&changed("\"X-Idempotency-Key\"", "\"X-Key\""));
    assert_eq!(refusal, "the tour's step 'Order three pieces': there is no header parameter X-Idempotency-Key");
}

#[test]
fn an_answer_that_lacks_what_is_expected_is_an_error() {
    let refusal = refusal(&changed("\"confirmed_at\"", "\"settled_at\""));
    assert_eq!(refusal, "the tour's step 'Confirm the order': the answer has no confirmed_at");
}

#[test]
fn a_variable_that_nothing_gives_a_value_is_an_error() {
    let mut steps = steps().unwrap();
    steps.retain(|step| step.name != "Find a customer");
    let refusal = format!("{:#}", collection(&services(), &steps).unwrap_err());
    assert_eq!(refusal, "the tour's step 'Order three pieces': nothing before it gives {{customerId}} a value");
}

#[test]
fn the_environment_has_the_servers_of_the_documents() {
    let environment = environment(&services()).unwrap();
    let values = environment["values"].as_array().unwrap();
    let address = values.iter().find(|value| value["key"] == "ordersUrl").unwrap();
    assert_eq!(address["value"], "http://127.0.0.1:3002");
}
