//! Fake customers service in which every customer exists, and which fails on demand.

use std::sync::{Arc, Mutex};

use common_contract::{CustomerId, Failure, Health, OperatorId, Page, Readiness};
use common_http::{
    Answer, Conditional, CreatedHeaders, CreatedWith, EntityHeaders, Headers, JsonBody, OkAnswer, OkWith, PathId,
    QueryParams,
};
use common_server::{Call, HasRuntime, Running, Runtime};
use customers_api::{
    Credentials, Customer, CustomerContact, CustomerContactQuery, CustomerInput, CustomerListQuery, CustomersApi,
    Error, OperatorAccount, OperatorInput, OperatorListQuery, OperatorPatch, PasswordChange, Token,
};
use dropshot::{Body, HttpResponse, HttpResponseDeleted, HttpResponseUpdatedNoContent, RequestContext};
use http::HeaderMap;
use tokio::sync::Notify;

/// Behavior of the fake service.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Behavior {
    /// Returns the customer.
    Healthy,
    /// Responds with this status, and a secret in the body.
    Status(u16),
    /// Responds with 503 this many times, then behaves like `Healthy`.
    Failing(u32),
    /// Responds once with 503 and this `Retry-After` in seconds, then behaves like `Healthy`.
    RetryAfter(u64),
    /// Never responds.
    Unresponsive,
    /// Responds with invalid JSON.
    InvalidJson,
    /// Returns the customer, but only after `release` is called.
    Held,
}

#[derive(Clone)]
pub(crate) struct State {
    runtime: Runtime,
    behavior: Arc<Mutex<Behavior>>,
    calls: Arc<Mutex<Vec<HeaderMap>>>,
    arrived: Arc<Notify>,
    release: Arc<Notify>,
}

impl HasRuntime for State {
    fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

/// The running fake service.
pub(crate) struct FakeCustomers {
    server: Running<State>,
    state: State,
}

/// Text in the body of error responses, which must not be returned to clients.
pub(crate) const SECRET: &str = "the-secret-of-the-customers-service";

impl FakeCustomers {
    pub(crate) fn start() -> Self {
        let behavior = Arc::new(Mutex::new(Behavior::Healthy));
        let (arrived, release) = (Arc::default(), Arc::default());
        let state = State { runtime: Runtime::default(), behavior, calls: Arc::default(), arrived, release };
        let api = customers_api::customers_api_mod::api_description::<Fake>().expect("the contract is sound");
        let address = "127.0.0.1:0".parse().expect("an address");
        let server = common_server::serve(api, state.clone(), address).expect("the fake starts");
        Self { server, state }
    }

    pub(crate) fn base_url(&self) -> String {
        self.server.base_url()
    }

    pub(crate) fn set_behavior(&self, behavior: Behavior) {
        *self.state.behavior.lock().unwrap() = behavior;
    }

    /// Waits until the service receives a call whose response it delays.
    pub(crate) async fn wait_for_call(&self) {
        self.state.arrived.notified().await;
    }

    /// Releases the delayed response.
    pub(crate) fn release(&self) {
        self.state.release.notify_one();
    }

    /// Returns the headers of each call received so far.
    pub(crate) fn calls(&self) -> Vec<HeaderMap> {
        self.state.calls.lock().unwrap().clone()
    }
}

impl State {
    /// Records the call and returns the behavior that applies to it.
    fn record_call(&self, headers: &HeaderMap) -> Behavior {
        self.calls.lock().unwrap().push(headers.clone());
        let mut behavior = self.behavior.lock().unwrap();
        let current = *behavior;
        if let Behavior::Failing(times) = current {
            *behavior = if times > 1 { Behavior::Failing(times - 1) } else { Behavior::Healthy };
        }
        if matches!(current, Behavior::RetryAfter(_)) {
            *behavior = Behavior::Healthy;
        }
        current
    }
}

enum Fake {}

impl CustomersApi for Fake {
    type Context = State;

    async fn internal_customer_view(
        rqctx: RequestContext<State>,
        id: PathId<CustomerId>,
        _: QueryParams<CustomerContactQuery>,
    ) -> Result<OkAnswer<CustomerContact>, Error> {
        let work = async {
            let id = id.checked()?;
            match rqctx.context().record_call(rqctx.request.headers()) {
                Behavior::Healthy => Answer::ok(contact(id)),
                Behavior::Status(status) => Ok(Answer::new(response(status, &format!(r#"{{"message":"{SECRET}"}}"#)))),
                Behavior::Failing(_) => Ok(Answer::new(response(503, SECRET))),
                Behavior::RetryAfter(seconds) => {
                    let mut answer = response(503, SECRET);
                    answer.headers_mut().insert("retry-after", seconds.into());
                    Ok(Answer::new(answer))
                }
                Behavior::Unresponsive => std::future::pending().await,
                Behavior::Held => {
                    rqctx.context().arrived.notify_one();
                    rqctx.context().release.notified().await;
                    Answer::ok(contact(id))
                }
                Behavior::InvalidJson => Ok(Answer::new(response(200, SECRET))),
            }
        };
        Ok(Call::new(&rqctx).answer(work).await)
    }

    async fn token_create(rqctx: RequestContext<State>, _: JsonBody<Credentials>) -> Result<OkAnswer<Token>, Error> {
        not_faked(&rqctx).await
    }

    async fn token_create_login(
        rqctx: RequestContext<State>,
        _: JsonBody<Credentials>,
    ) -> Result<OkAnswer<Token>, Error> {
        not_faked(&rqctx).await
    }

    async fn password_update(
        rqctx: RequestContext<State>,
        _: JsonBody<PasswordChange>,
    ) -> Result<Answer<HttpResponseUpdatedNoContent>, Error> {
        not_faked(&rqctx).await
    }

    async fn operator_create(
        rqctx: RequestContext<State>,
        _: JsonBody<OperatorInput>,
    ) -> Result<CreatedWith<OperatorAccount, CreatedHeaders>, Error> {
        not_faked(&rqctx).await
    }

    async fn operator_view(
        rqctx: RequestContext<State>,
        _: PathId<OperatorId>,
    ) -> Result<OkWith<OperatorAccount, EntityHeaders>, Error> {
        not_faked(&rqctx).await
    }

    async fn operator_list(
        rqctx: RequestContext<State>,
        _: QueryParams<OperatorListQuery>,
    ) -> Result<OkAnswer<Page<OperatorAccount>>, Error> {
        not_faked(&rqctx).await
    }

    async fn operator_update(
        rqctx: RequestContext<State>,
        _: PathId<OperatorId>,
        _: Headers<Conditional>,
        _: JsonBody<OperatorPatch>,
    ) -> Result<OkWith<OperatorAccount, EntityHeaders>, Error> {
        not_faked(&rqctx).await
    }

    async fn customer_create(
        rqctx: RequestContext<State>,
        _: JsonBody<CustomerInput>,
    ) -> Result<CreatedWith<Customer, CreatedHeaders>, Error> {
        not_faked(&rqctx).await
    }

    async fn customer_view(
        rqctx: RequestContext<State>,
        _: PathId<CustomerId>,
    ) -> Result<OkWith<Customer, EntityHeaders>, Error> {
        not_faked(&rqctx).await
    }

    async fn customer_list(
        rqctx: RequestContext<State>,
        _: QueryParams<CustomerListQuery>,
    ) -> Result<OkAnswer<Page<Customer>>, Error> {
        not_faked(&rqctx).await
    }

    async fn customer_update(
        rqctx: RequestContext<State>,
        _: PathId<CustomerId>,
        _: Headers<Conditional>,
        _: JsonBody<CustomerInput>,
    ) -> Result<OkWith<Customer, EntityHeaders>, Error> {
        not_faked(&rqctx).await
    }

    async fn customer_delete(
        rqctx: RequestContext<State>,
        _: PathId<CustomerId>,
        _: Headers<Conditional>,
    ) -> Result<Answer<HttpResponseDeleted>, Error> {
        not_faked(&rqctx).await
    }

    async fn health_view(rqctx: RequestContext<State>) -> Result<OkAnswer<Health>, Error> {
        not_faked(&rqctx).await
    }

    async fn readiness_view(rqctx: RequestContext<State>) -> Result<OkAnswer<Readiness>, Error> {
        not_faked(&rqctx).await
    }
}

async fn not_faked<R: HttpResponse>(rqctx: &RequestContext<State>) -> Result<Answer<R>, Error> {
    Ok(Call::new(rqctx).answer(async { Err(Failure::internal("not implemented by the fake")) }).await)
}

fn contact(id: CustomerId) -> CustomerContact {
    CustomerContact { id, name: "ACME".to_owned(), email: "ops@acme.com".to_owned(), phone: None, deleted_at: None }
}

fn response(status: u16, body: &str) -> http::Response<Body> {
    let mut response = http::Response::new(Body::from(body.to_owned()));
    *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
    response.headers_mut().insert("content-type", "application/json".parse().expect("a content type"));
    response
}
