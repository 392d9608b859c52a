//! Shutdown while requests do not end.

use common_contract::Failure;
use common_http::Answer;
use common_server::{Call, Runtime};
use dropshot::{ApiDescription, ApiEndpoint, ApiEndpointVersions, Body, HttpError, HttpResponseOk, RequestContext};
use http::{Method, Response};
use tokio::sync::Semaphore;

/// One permit per request that has reached the handler.
static STARTED: Semaphore = Semaphore::const_new(0);

async fn hang(rqctx: RequestContext<Runtime>) -> Result<Response<Body>, HttpError> {
    let operation = async {
        STARTED.add_permits(1);
        std::future::pending().await
    };
    let response: Answer<HttpResponseOk<()>> = Call::new(&rqctx).answer::<_, Failure>(operation).await;
    Ok(response.into_response())
}

#[tokio::test]
async fn requests_that_do_not_end_are_cut_off_and_counted() {
    let mut api = ApiDescription::new();
    let (json, all) = ("application/json", ApiEndpointVersions::All);
    api.register(ApiEndpoint::new("thing_view".to_owned(), hang, Method::GET, json, "/thing", all)).unwrap();
    let server = common_server::serve(api, Runtime::default(), "127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("{}/thing", server.base_url());
    let requests = [(); 2].map(|()| tokio::spawn(reqwest::get(url.clone())));
    STARTED.acquire_many(2).await.unwrap().forget();
    // From here on, time passes at once.
    tokio::time::pause();
    assert_eq!(server.close().await, 2);
    assert!(requests.iter().all(|request| !request.is_finished()), "no request got a response");
}
