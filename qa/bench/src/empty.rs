//! Server with a single no-op operation: its rate is the upper limit for the rate of any operation.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Result, anyhow};
use dropshot::{
    ApiDescription, ConfigDropshot, HttpError, HttpResponseUpdatedNoContent, RequestContext, ServerBuilder, endpoint,
};
use serde_json::json;

/// Returns 204.
#[endpoint { method = GET, path = "/empty" }]
async fn empty(_: RequestContext<()>) -> Result<HttpResponseUpdatedNoContent, HttpError> {
    Ok(HttpResponseUpdatedNoContent())
}

/// Serves requests on a free port until the process exits. Prints the address in the same format as the services.
pub(crate) async fn serve() -> Result<()> {
    let mut api = ApiDescription::new();
    api.register(empty)?;
    let bind_address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = ConfigDropshot { bind_address, ..ConfigDropshot::default() };
    let silent = slog::Logger::root(slog::Discard, slog::o!());
    let server = ServerBuilder::new(api, (), silent).config(config).start().map_err(|error| anyhow!("{error}"))?;
    println!("{}", json!({ "message": "empty is listening", "address": server.local_addr().to_string() }));
    server.await.map_err(|error| anyhow!(error))
}
