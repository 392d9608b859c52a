//! The document and its page from outside. What the page does in a browser is `qa/conformance/browser.mjs`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Read;

use common_server::{Running, Runtime};
use dropshot::ApiDescription;
use flate2::read::GzDecoder;
use reqwest::{Client, Method, Response};

const DOCUMENT: &str = "{\n  \"openapi\": \"3.0.3\",\n  \"info\": {\"title\": \"Café\"},\n  \"paths\": {}\n}\n";

fn server() -> Running<Runtime> {
    let api = common_server::with_docs(ApiDescription::new(), DOCUMENT).unwrap();
    common_server::serve(api, Runtime::default(), "127.0.0.1:0".parse().unwrap()).unwrap()
}

async fn get(server: &Running<Runtime>, path: &str) -> Response {
    reqwest::get(format!("{}{path}", server.base_url())).await.unwrap()
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn the_document_is_served_byte_for_byte() {
    let server = server();
    let answer = get(&server, "/openapi.json").await;
    assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (200, "application/json"));
    assert_eq!(answer.bytes().await.unwrap(), DOCUMENT);
}

#[tokio::test]
async fn the_page_and_all_that_it_names_are_there_with_or_without_a_slash_behind() {
    let server = server();
    let page = get(&server, "/docs").await.text().await.unwrap();
    assert_eq!(get(&server, "/docs/").await.text().await.unwrap(), page);
    let mut named: Vec<_> = page.split('"').filter(|part| part.starts_with('/')).collect();
    named.sort_unstable();
    let files = ["icon.svg", "page.css", "page.js", "swagger-ui-bundle.js", "swagger-ui.css"];
    let files = files.map(|file| format!("/docs/{file}"));
    assert_eq!(named, [&files[..], &["/openapi.json".to_owned()]].concat());
    for path in named {
        let answer = get(&server, path).await;
        assert_eq!(answer.status(), 200, "{path}");
        let kind = match path.rsplit_once('.').unwrap().1 {
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "application/json",
        };
        assert_eq!(header(&answer, "content-type"), kind, "{path}");
    }
}

#[tokio::test]
async fn the_viewer_is_sent_compressed_and_unpacks_to_itself() {
    let server = server();
    for (path, first) in [("/docs/swagger-ui-bundle.js", "/*! For license"), ("/docs/swagger-ui.css", ".swagger-ui{")] {
        let answer = get(&server, path).await;
        assert_eq!(header(&answer, "content-encoding"), "gzip");
        let mut text = String::new();
        GzDecoder::new(&*answer.bytes().await.unwrap()).read_to_string(&mut text).unwrap();
        assert!(text.starts_with(first), "{path} starts with {}", &text[..40]);
    }
}

#[tokio::test]
async fn nothing_of_it_runs_foreign_scripts_or_is_framed_or_taken_for_something_else() {
    let server = server();
    for path in ["/openapi.json", "/docs", "/docs/page.js", "/docs/swagger-ui.css"] {
        let answer = get(&server, path).await;
        let policy = header(&answer, "content-security-policy");
        for directive in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.split("; ").any(|part| part == directive), "{path}: {directive} is not in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&answer, "referrer-policy"), "no-referrer", "{path}");
    }
}

#[tokio::test]
async fn who_has_a_file_already_is_told_so() {
    let server = server();
    for path in ["/openapi.json", "/docs", "/docs/swagger-ui-bundle.js"] {
        let first = get(&server, path).await;
        assert_eq!(header(&first, "cache-control"), "no-cache");
        let etag = header(&first, "etag").to_owned();
        let again = async |tag: &str| {
            let request = Client::new().get(format!("{}{path}", server.base_url())).header("if-none-match", tag);
            request.send().await.unwrap()
        };
        for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()] {
            let answer = again(&known).await;
            assert_eq!((answer.status().as_u16(), header(&answer, "etag")), (304, &*etag), "{path} {known}");
            assert!(answer.bytes().await.unwrap().is_empty());
        }
        assert_eq!(again("\"other\"").await.status(), 200);
    }
    assert_ne!(header(&get(&server, "/docs").await, "etag"), header(&get(&server, "/openapi.json").await, "etag"));
}

#[tokio::test]
async fn head_tells_the_size_without_the_content() {
    let server = server();
    let answer = Client::new().head(format!("{}/openapi.json", server.base_url())).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "content-length")), (200, &*DOCUMENT.len().to_string()));
    assert!(answer.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_file_that_is_not_there_and_a_method_that_makes_no_sense_are_told() {
    let server = server();
    for path in ["/docs/nothing.js", "/docs/..%2fpage.js", "/docs/page.js/more", "/docs/swagger-ui.js"] {
        assert_eq!(get(&server, path).await.status(), 404, "{path}");
    }
    let post = Client::new().request(Method::POST, format!("{}/docs", server.base_url()));
    assert_eq!(post.send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn the_correlation_id_is_echoed_here_too() {
    let server = server();
    let request = Client::new().get(format!("{}/docs", server.base_url())).header("x-correlation-id", "req-789");
    assert_eq!(header(&request.send().await.unwrap(), "x-correlation-id"), "req-789");
}
