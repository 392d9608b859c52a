//! Tests of the response and the log line for a handler that panics.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io;
use std::sync::{Mutex, PoisonError};

use common_contract::Failure;
use common_http::Answer;
use common_server::{Call, Running, Runtime};
use dropshot::{ApiDescription, ApiEndpoint, ApiEndpointVersions, Body, HttpError, HttpResponseOk, RequestContext};
use http::{Method, Response};
use serde_json::{Value, json};

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn fail(rqctx: RequestContext<Runtime>) -> Result<Response<Body>, HttpError> {
    let operation = async { panic!("a bug, with internal details") };
    let response: Answer<HttpResponseOk<()>> = Call::new(&rqctx).answer::<_, Failure>(operation).await;
    Ok(response.into_response())
}

fn server_with_a_panicking_handler() -> Running<Runtime> {
    let mut api = ApiDescription::new();
    let (json, all) = ("application/json", ApiEndpointVersions::All);
    api.register(ApiEndpoint::new("thing_view".to_owned(), fail, Method::GET, json, "/thing", all)).unwrap();
    common_server::serve(api, Runtime::default(), "127.0.0.1:0".parse().unwrap()).unwrap()
}

// The runtime has one thread, so this thread-local subscriber also receives the log of the server's tasks.
#[tokio::test]
async fn every_panic_is_answered_500_and_logged() {
    let _log = tracing::subscriber::set_default(tracing_subscriber::fmt().json().with_writer(|| Log).finish());
    let (server, client) = (server_with_a_panicking_handler(), reqwest::Client::new());
    for _ in 0..2 {
        let response = client.get(format!("{}/thing", server.base_url())).send().await.unwrap();
        assert_eq!(response.status(), 500);
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        let message = "something went wrong on our side";
        assert_eq!(body, json!({ "request_id": id, "error_code": "internal", "message": message }));
        let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
        let mut lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let line = lines.find(|line| line["span"]["request_id"] == *id).expect("the panic is logged");
        let fields = ["status", "outcome", "cause"].map(|field| line["fields"][field].clone());
        assert_eq!((fields, &line["level"]), ([json!(500), json!("internal"), json!("panicked")], &json!("ERROR")));
    }
}
