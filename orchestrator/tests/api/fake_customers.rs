//! Fake customers service in which only customer 1 exists.

use common_contract::{CustomerId, Failure, Health, OperatorId, Page, Readiness};
use common_http::{
    Answer, Conditional, CreatedHeaders, EntityHeaders, Headers, JsonBody, OkAnswer, PathId, QueryParams,
};
use common_server::auth::Auth;
use common_server::{Call, HasRuntime, Running, Runtime};
use customers_api::{
    CUSTOMER_NOT_FOUND, Credentials, Customer, CustomerContact, CustomerContactQuery, CustomerInput, CustomerListQuery,
    CustomersApi, Error, OperatorAccount, OperatorInput, OperatorListQuery, OperatorPatch, PasswordChange, Token,
};
use dropshot::{
    HttpError, HttpResponseCreated, HttpResponseDeleted, HttpResponseHeaders, HttpResponseOk,
    HttpResponseUpdatedNoContent, RequestContext,
};

pub(crate) struct FakeCustomers {
    runtime: Runtime,
    auth: Auth,
}

impl HasRuntime for FakeCustomers {
    fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

pub(crate) fn start(auth: Auth) -> Running<FakeCustomers> {
    let api = customers_api::customers_api_mod::api_description::<Server>().unwrap();
    let fake = FakeCustomers { runtime: Runtime::default(), auth };
    common_server::serve(api, fake, "127.0.0.1:0".parse().unwrap()).unwrap()
}

enum Server {}

macro_rules! not_faked {
    ($($name:ident($($argument:ty),*) -> $answer:ty;)+) => {
        $(async fn $name(_: RequestContext<FakeCustomers>, $(_: $argument),*) -> Result<Answer<$answer>, Error> {
            Err(HttpError::for_internal_error("not faked".to_owned()).into())
        })+
    };
}

impl CustomersApi for Server {
    type Context = FakeCustomers;

    async fn internal_customer_view(
        rqctx: RequestContext<FakeCustomers>,
        id: PathId<CustomerId>,
        _: QueryParams<CustomerContactQuery>,
    ) -> Result<OkAnswer<CustomerContact>, Error> {
        let call = Call::new(&rqctx);
        let work = async {
            rqctx.context().auth.service(&call)?;
            let id = id.checked()?;
            if id.get() != 1 {
                return Err(Failure::new(CUSTOMER_NOT_FOUND, "customer not found"));
            }
            let (name, email) = ("ACME".to_owned(), "ops@acme.com".to_owned());
            OkAnswer::ok(CustomerContact { id, name, email, phone: None, deleted_at: None })
        };
        Ok(call.answer(work).await)
    }

    async fn readiness_view(rqctx: RequestContext<FakeCustomers>) -> Result<OkAnswer<Readiness>, Error> {
        let work = async { OkAnswer::ok(Readiness::ready()) };
        Ok(Call::new(&rqctx).answer(work).await)
    }

    not_faked! {
        token_create(JsonBody<Credentials>) -> HttpResponseOk<Token>;
        token_create_login(JsonBody<Credentials>) -> HttpResponseOk<Token>;
        password_update(JsonBody<PasswordChange>) -> HttpResponseUpdatedNoContent;
        operator_create(JsonBody<OperatorInput>) -> HttpResponseHeaders<HttpResponseCreated<OperatorAccount>, CreatedHeaders>;
        operator_view(PathId<OperatorId>) -> HttpResponseHeaders<HttpResponseOk<OperatorAccount>, EntityHeaders>;
        operator_list(QueryParams<OperatorListQuery>) -> HttpResponseOk<Page<OperatorAccount>>;
        operator_update(PathId<OperatorId>, Headers<Conditional>, JsonBody<OperatorPatch>)
            -> HttpResponseHeaders<HttpResponseOk<OperatorAccount>, EntityHeaders>;
        customer_create(JsonBody<CustomerInput>) -> HttpResponseHeaders<HttpResponseCreated<Customer>, CreatedHeaders>;
        customer_view(PathId<CustomerId>) -> HttpResponseHeaders<HttpResponseOk<Customer>, EntityHeaders>;
        customer_list(QueryParams<CustomerListQuery>) -> HttpResponseOk<Page<Customer>>;
        customer_update(PathId<CustomerId>, Headers<Conditional>, JsonBody<CustomerInput>)
            -> HttpResponseHeaders<HttpResponseOk<Customer>, EntityHeaders>;
        customer_delete(PathId<CustomerId>, Headers<Conditional>) -> HttpResponseDeleted;
        health_view() -> HttpResponseOk<Health>;
    }
}
