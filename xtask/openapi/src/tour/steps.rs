//! What the tour does, step by step, in the words of the documents. Nothing here knows a method, a path or a status.

use serde_json::{Value, json};

/// Names and values. `{{name}}` in a value stands for a variable.
pub(super) type Pairs = &'static [(&'static str, &'static str)];

/// A request, and what its answer has to be.
#[derive(Default)]
pub(super) struct Step {
    pub(super) name: &'static str,
    /// What a reader should notice.
    pub(super) note: &'static str,
    /// The document, as in `specs/`.
    pub(super) service: &'static str,
    /// The operation's id there.
    pub(super) operation: &'static str,
    pub(super) path: Pairs,
    pub(super) query: Pairs,
    pub(super) headers: Pairs,
    pub(super) body: Option<Value>,
    /// Where in the answer, and which value.
    pub(super) answer: Vec<(&'static str, Value)>,
    pub(super) answer_headers: Pairs,
    /// Variables for later steps, and where in the answer they come from.
    pub(super) keeps: Pairs,
}

impl Step {
    /// The variables that it needs.
    pub(super) fn uses(&self) -> Vec<String> {
        let pairs = [self.path, self.query, self.headers, self.answer_headers].concat();
        let mut texts = Vec::from_iter(pairs.iter().map(|(_, value)| (*value).to_owned()));
        texts.extend(self.body.iter().map(Value::to_string));
        texts.extend(self.answer.iter().map(|(_, value)| value.to_string()));
        texts.iter().flat_map(|text| variables(text)).collect()
    }
}

/// The names between double braces.
fn variables(text: &str) -> Vec<String> {
    let starts = text.split("{{").skip(1);
    starts.filter_map(|rest| rest.split_once("}}")).map(|(name, _)| name.to_owned()).collect()
}

pub(super) fn steps() -> Vec<Step> {
    vec![
        log_in(),
        find_customer(),
        make_product(),
        create_order(),
        confirm(),
        confirm_again(),
        cancel(),
        see_ledger(),
        orchestrate(),
        orchestrate_again(),
    ]
}

fn log_in() -> Step {
    Step {
        name: "Log in",
        note: "Keeps the token in the variable bearerToken, which authenticates everything below.",
        service: "customers",
        operation: "token_create",
        body: Some(json!({ "username": "{{username}}", "password": "{{password}}" })),
        answer: vec![("token_type", json!("Bearer"))],
        keeps: &[("bearerToken", "access_token")],
        ..Step::default()
    }
}

fn find_customer() -> Step {
    Step {
        name: "Find a customer",
        note: "By the beginning of any word of its name or its email address.",
        service: "customers",
        operation: "customer_list",
        query: &[("search", "acme"), ("limit", "1")],
        keeps: &[("customerId", "data[0].id")],
        ..Step::default()
    }
}

fn make_product() -> Step {
    let product = json!({ "sku": "TOUR-{{run}}", "name": "Tour product", "price_cents": 1250, "stock": 10 });
    Step {
        name: "Make a product",
        note: "With ten pieces in stock.",
        service: "orders",
        operation: "product_create",
        body: Some(product),
        answer: vec![("sku", json!("TOUR-{{run}}")), ("stock", json!(10))],
        keeps: &[("productId", "id")],
        ..Step::default()
    }
}

fn create_order() -> Step {
    let items = json!([{ "product_id": "{{productId}}", "qty": 3 }]);
    Step {
        name: "Order three pieces",
        note: "The order takes its stock now: seven pieces are left.",
        service: "orders",
        operation: "order_create",
        headers: &[("X-Idempotency-Key", "create-{{run}}")],
        body: Some(json!({ "customer_id": "{{customerId}}", "items": items })),
        answer: vec![("status", json!("CREATED")), ("total_cents", json!(3750))],
        keeps: &[("orderId", "id")],
        ..Step::default()
    }
}

fn confirm() -> Step {
    Step {
        name: "Confirm the order",
        note: "Under a key of its own.",
        service: "orders",
        operation: "order_confirm",
        path: &[("id", "{{orderId}}")],
        headers: &[("X-Idempotency-Key", "confirm-{{run}}")],
        answer: vec![("id", json!("{{orderId}}")), ("status", json!("CONFIRMED"))],
        keeps: &[("confirmedAt", "confirmed_at")],
        ..Step::default()
    }
}

fn confirm_again() -> Step {
    Step {
        name: "Confirm it again under the same key",
        note: "Nothing happens twice: the answer is the saved one, and a header says so.",
        answer: vec![("id", json!("{{orderId}}")), ("confirmed_at", json!("{{confirmedAt}}"))],
        answer_headers: &[("Idempotent-Replayed", "true")],
        keeps: &[],
        ..confirm()
    }
}

fn cancel() -> Step {
    Step {
        name: "Cancel the order",
        note: "Possible for ten minutes after its confirmation. The stock is ten again.",
        service: "orders",
        operation: "order_cancel",
        path: &[("id", "{{orderId}}")],
        headers: &[("X-Idempotency-Key", "cancel-{{run}}")],
        answer: vec![("id", json!("{{orderId}}")), ("status", json!("CANCELED"))],
        ..Step::default()
    }
}

fn see_ledger() -> Step {
    let deltas = [("data[0].delta", json!(3)), ("data[1].delta", json!(-3)), ("data[2].delta", json!(10))];
    Step {
        name: "See the ledger",
        note: "Every change of the stock and its reason, newest first.",
        service: "orders",
        operation: "stock_adjustment_list",
        path: &[("id", "{{productId}}")],
        answer: [vec![("data[0].order_id", json!("{{orderId}}"))], deltas.into()].concat(),
        ..Step::default()
    }
}

fn orchestrate() -> Step {
    let items = json!([{ "product_id": "{{productId}}", "qty": 3 }]);
    let order = json!({
        "customer_id": "{{customerId}}",
        "items": items,
        "idempotency_key": "tour-{{run}}",
        "correlation_id": "tour-{{run}}",
    });
    Step {
        name: "Create and confirm in one call",
        note: "What other systems use.",
        service: "orchestrator",
        operation: "order_create_and_confirm",
        body: Some(order),
        answer: vec![("success", json!(true)), ("data.order.status", json!("CONFIRMED"))],
        keeps: &[("secondOrderId", "data.order.id")],
        ..Step::default()
    }
}

fn orchestrate_again() -> Step {
    Step {
        name: "Do that again under the same key",
        note: "It is the same order, not another one.",
        answer: vec![("success", json!(true)), ("data.order.id", json!("{{secondOrderId}}"))],
        keeps: &[],
        ..orchestrate()
    }
}
