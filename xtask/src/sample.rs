//! What `up` says at its end: where everything is, and a request to paste.

use std::fmt::Write;

use crate::services::{SERVICES, Settings};

/// The text, with `key` as the idempotency key of the sample request.
pub(crate) fn summary(settings: &Settings, database: &str, key: &str) -> String {
    let mut text = String::from("\nReady.\n\n");
    for service in &SERVICES {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:<13} {}", service.name, settings.base(service));
    }
    let _ = writeln!(text, "  {:<13} {database}", "database");
    let (user, password) = (settings.get("ADMIN_USER"), settings.get("ADMIN_PASSWORD"));
    let _ = writeln!(text, "  {:<13} {user} / {password}", "operator");
    let base = settings.base(&SERVICES[2]);
    let _ = write!(text, "\nTry it:\n\n{}\n", curl(&base, key));
    text
}

fn curl(base: &str, key: &str) -> String {
    let body = format!(
        r#"{{"customer_id": 1, "items": [{{"product_id": 2, "qty": 3}}], "idempotency_key": "{key}", "correlation_id": "req-789"}}"#
    );
    format!(
        "curl -sS '{base}/orchestrator/create-and-confirm-order' \\\n  -H 'content-type: application/json' \\\n  -d '{body}'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_request_is_valid_json_inside_single_quotes() {
        let text = curl("http://127.0.0.1:3003", "up-17");
        let (command, body) = text.split_once("-d '").unwrap();
        assert!(command.starts_with("curl -sS 'http://127.0.0.1:3003/orchestrator/"));
        let body: serde_json::Value = serde_json::from_str(body.strip_suffix('\'').unwrap()).unwrap();
        assert_eq!(body["idempotency_key"], "up-17");
        assert_eq!(body["items"][0]["qty"], 3);
    }
}
