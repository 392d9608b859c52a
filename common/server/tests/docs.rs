//! HTTP tests of the OpenAPI document and the documentation page. `qa/conformance/browser.mjs` tests the page in a
//! browser.

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
async fn the_document_is_served_unchanged() {
    let server = server();
    let response = get(&server, "/openapi.json").await;
    assert_eq!((response.status().as_u16(), header(&response, "content-type")), (200, "application/json"));
    assert_eq!(response.bytes().await.unwrap(), DOCUMENT);
}

#[tokio::test]
async fn the_page_and_its_links_are_served_with_or_without_a_trailing_slash() {
    let server = server();
    let page = get(&server, "/docs").await.text().await.unwrap();
    assert_eq!(get(&server, "/docs/").await.text().await.unwrap(), page);
    let mut links: Vec<_> = page.split('"').filter(|part| part.starts_with('/')).collect();
    links.sort_unstable();
    let files = ["icon.svg", "page.css", "page.js", "swagger-ui-bundle.js", "swagger-ui.css"];
    let files = files.map(|file| format!("/docs/{file}"));
    assert_eq!(links, [&files[..], &["/openapi.json".to_owned()]].concat());
    for path in links {
        let response = get(&server, path).await;
        assert_eq!(response.status(), 200, "{path}");
        let kind = match path.rsplit_once('.').unwrap().1 {
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "application/json",
        };
        assert_eq!(header(&response, "content-type"), kind, "{path}");
    }
}

#[tokio::test]
async fn swagger_ui_is_sent_compressed_and_decompresses_to_its_source() {
    let server = server();
    for (path, first) in [("/docs/swagger-ui-bundle.js", "/*! For license"), ("/docs/swagger-ui.css", ".swagger-ui{")] {
        let response = get(&server, path).await;
        assert_eq!(header(&response, "content-encoding"), "gzip");
        let mut text = String::new();
        GzDecoder::new(&*response.bytes().await.unwrap()).read_to_string(&mut text).unwrap();
        assert!(text.starts_with(first), "{path} starts with {}", &text[..40]);
    }
}

#[tokio::test]
async fn security_headers_forbid_foreign_scripts_framing_and_content_sniffing() {
    let server = server();
    for path in ["/openapi.json", "/docs", "/docs/page.js", "/docs/swagger-ui.css"] {
        let response = get(&server, path).await;
        let policy = header(&response, "content-security-policy");
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
        assert_eq!(header(&response, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&response, "referrer-policy"), "no-referrer", "{path}");
    }
}

#[tokio::test]
async fn a_matching_etag_returns_304() {
    let server = server();
    for path in ["/openapi.json", "/docs", "/docs/swagger-ui-bundle.js"] {
        let first = get(&server, path).await;
        assert_eq!(header(&first, "cache-control"), "no-cache");
        let etag = header(&first, "etag").to_owned();
        let revalidate = async |tag: &str| {
            let request = Client::new().get(format!("{}{path}", server.base_url())).header("if-none-match", tag);
            request.send().await.unwrap()
        };
        for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()] {
            let response = revalidate(&known).await;
            assert_eq!((response.status().as_u16(), header(&response, "etag")), (304, &*etag), "{path} {known}");
            assert!(response.bytes().await.unwrap().is_empty());
        }
        assert_eq!(revalidate("\"other\"").await.status(), 200);
    }
    assert_ne!(header(&get(&server, "/docs").await, "etag"), header(&get(&server, "/openapi.json").await, "etag"));
}

#[tokio::test]
async fn head_returns_the_size_without_the_content() {
    let server = server();
    let response = Client::new().head(format!("{}/openapi.json", server.base_url())).send().await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "content-length")), (200, &*DOCUMENT.len().to_string()));
    assert!(response.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_unknown_file_returns_404_and_an_unknown_method_405() {
    let server = server();
    for path in ["/docs/nothing.js", "/docs/..%2fpage.js", "/docs/page.js/more", "/docs/swagger-ui.js"] {
        assert_eq!(get(&server, path).await.status(), 404, "{path}");
    }
    let post = Client::new().request(Method::POST, format!("{}/docs", server.base_url()));
    assert_eq!(post.send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn the_correlation_id_is_echoed() {
    let server = server();
    let request = Client::new().get(format!("{}/docs", server.base_url())).header("x-correlation-id", "req-789");
    assert_eq!(header(&request.send().await.unwrap(), "x-correlation-id"), "req-789");
}
