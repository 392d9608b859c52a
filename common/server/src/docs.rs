//! API documentation: the OpenAPI document at `/openapi.json`, and a page at `/docs` that displays it.
//!
//! All files are embedded in the program. The build script extracts Swagger UI from its release; the files in `docs/`
//! load it. The paths served here are not API operations, so the document does not list them. The API crates define the
//! document.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use dropshot::{ApiDescription, ApiEndpoint, ApiEndpointVersions, Body, HttpError, RequestContext, ServerContext};
use http::{HeaderMap, Method, Response, StatusCode, header};

use crate::runtime::HasRuntime;
use crate::{Call, RunError};

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Content security policy: allows only resources from the page's own origin, and forbids framing. `data:` allows the
/// icons in Swagger UI's style sheet.
const SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                               connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Adds the document and the documentation page to an API.
///
/// # Errors
///
/// Returns an error if dropshot refuses a path.
pub fn with_docs<C: ServerContext + HasRuntime>(
    mut api: ApiDescription<C>,
    document: &'static str,
) -> Result<ApiDescription<C>, RunError> {
    for file in files(document) {
        let file = Arc::new(file);
        for method in [Method::GET, Method::HEAD] {
            api.register(endpoint(method, &file)).map_err(|error| RunError::Start(Box::new(error)))?;
        }
    }
    Ok(api)
}

fn files(document: &'static str) -> [File; 7] {
    [
        File::plain("/openapi.json", JSON, document),
        File::plain("/docs", HTML, include_str!("docs/page.html")),
        File::plain("/docs/page.css", CSS, include_str!("docs/page.css")),
        File::plain("/docs/page.js", SCRIPT, include_str!("docs/page.js")),
        File::plain("/docs/icon.svg", SVG, include_str!("docs/icon.svg")),
        File::gzip("/docs/swagger-ui.css", CSS, include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css.gz"))),
        File::gzip(
            "/docs/swagger-ui-bundle.js",
            SCRIPT,
            include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js.gz")),
        ),
    ]
}

fn endpoint<C: ServerContext + HasRuntime>(method: Method, file: &Arc<File>) -> ApiEndpoint<C> {
    let embedded = file.clone();
    let handler = move |rqctx: RequestContext<C>| {
        let file = embedded.clone();
        async move {
            let response = file.respond(rqctx.request.headers())?;
            Ok::<_, HttpError>(Call::new(&rqctx).respond(response))
        }
    };
    ApiEndpoint::new("docs_view".to_owned(), handler, method, JSON, file.path, ApiEndpointVersions::All).visible(false)
}

/// File embedded in the program.
struct File {
    path: &'static str,
    content_type: &'static str,
    is_gzip: bool,
    content: &'static [u8],
    etag: String,
}

impl File {
    fn plain(path: &'static str, content_type: &'static str, text: &'static str) -> Self {
        let content = text.as_bytes();
        Self { path, content_type, is_gzip: false, content, etag: etag(content) }
    }

    /// Creates a file that is sent compressed regardless of `Accept-Encoding`, because every browser accepts gzip.
    fn gzip(path: &'static str, content_type: &'static str, content: &'static [u8]) -> Self {
        Self { path, content_type, is_gzip: true, content, etag: etag(content) }
    }

    /// Returns the file, or status 304 if the client's copy is current.
    fn respond(&self, request: &HeaderMap) -> http::Result<Response<Body>> {
        let known = is_known(request, &self.etag);
        let mut response = Response::builder()
            .header(header::ETAG, &self.etag)
            // Clients may store the file but must revalidate it, because the next release may change it.
            .header(header::CACHE_CONTROL, "no-cache")
            .header(header::CONTENT_SECURITY_POLICY, SECURITY_POLICY)
            .header(header::REFERRER_POLICY, "no-referrer")
            .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .header("cross-origin-resource-policy", "same-origin");
        if known {
            return response.status(StatusCode::NOT_MODIFIED).body(Body::empty());
        }
        if self.is_gzip {
            response = response.header(header::CONTENT_ENCODING, "gzip");
        }
        response.header(header::CONTENT_TYPE, self.content_type).body(Body::with_content(self.content))
    }
}

/// Returns a hash of the content. Another build may compute a different hash for the same content, which causes one
/// additional download.
fn etag(content: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

/// Returns whether `If-None-Match` contains this tag. The comparison is weak (RFC 9110, 13.1.2).
fn is_known(request: &HeaderMap, etag: &str) -> bool {
    let values = request.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}
