//! Between the contract and the rules: reads the request, asks who is calling, calls the rules once, wraps what they
//! give. The only file of this crate that knows dropshot.

use customers_api::{
    Credentials, Customer, CustomerContact, CustomerInput, CustomerListQuery, CustomersApi, Error, Token,
};
use dropshot::{HttpResponseCreated, HttpResponseDeleted, HttpResponseHeaders, HttpResponseOk, RequestContext};
use service::Call;
use service_api::{
    Answer, Conditional, CreatedHeaders, CreatedWith, CustomerId, EntityHeaders, Headers, Health, JsonBody, OkAnswer,
    OkWith, Page, PathId, QueryParams, Readiness, etag,
};

use crate::{Context, metrics};

pub(crate) enum CustomersServer {}

impl CustomersApi for CustomersServer {
    type Context = Context;

    async fn token_create(
        rqctx: RequestContext<Context>,
        body: JsonBody<Credentials>,
    ) -> Result<OkAnswer<Token>, Error> {
        log_in(rqctx, body).await
    }

    async fn token_create_login(
        rqctx: RequestContext<Context>,
        body: JsonBody<Credentials>,
    ) -> Result<OkAnswer<Token>, Error> {
        log_in(rqctx, body).await
    }

    async fn customer_create(
        rqctx: RequestContext<Context>,
        body: JsonBody<CustomerInput>,
    ) -> Result<CreatedWith<Customer, CreatedHeaders>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let operator = context.auth.operator(&call)?;
            let customer = context.customers.create(&operator, &body.checked()?).await?;
            let location = format!("/customers/{}", customer.id);
            let headers = CreatedHeaders { location, etag: etag(customer.version) };
            Answer::of(HttpResponseHeaders::new(HttpResponseCreated(customer), headers))
        };
        call.answer(work).await
    }

    async fn customer_view(
        rqctx: RequestContext<Context>,
        id: PathId<CustomerId>,
    ) -> Result<OkWith<Customer, EntityHeaders>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let viewer = context.auth.viewer(&call)?;
            shown(context.customers.view(&viewer, id.checked()?).await?)
        };
        call.answer(work).await
    }

    async fn customer_list(
        rqctx: RequestContext<Context>,
        query: QueryParams<CustomerListQuery>,
    ) -> Result<OkAnswer<Page<Customer>>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let viewer = context.auth.viewer(&call)?;
            Answer::ok(context.customers.list(&viewer, &query.checked()?).await?)
        };
        call.answer(work).await
    }

    async fn customer_update(
        rqctx: RequestContext<Context>,
        id: PathId<CustomerId>,
        headers: Headers<Conditional>,
        body: JsonBody<CustomerInput>,
    ) -> Result<OkWith<Customer, EntityHeaders>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let operator = context.auth.operator(&call)?;
            let (id, if_match, input) = (id.checked()?, headers.checked()?, body.checked()?);
            shown(context.customers.update(&operator, id, if_match.as_ref(), &input).await?)
        };
        call.answer(work).await
    }

    async fn customer_delete(
        rqctx: RequestContext<Context>,
        id: PathId<CustomerId>,
        headers: Headers<Conditional>,
    ) -> Result<Answer<HttpResponseDeleted>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let operator = context.auth.operator(&call)?;
            context.customers.delete(&operator, id.checked()?, headers.checked()?.as_ref()).await?;
            Answer::of(HttpResponseDeleted())
        };
        call.answer(work).await
    }

    async fn internal_customer_view(
        rqctx: RequestContext<Context>,
        id: PathId<CustomerId>,
    ) -> Result<OkAnswer<CustomerContact>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let service = context.auth.service(&call)?;
            Answer::ok(context.customers.contact(&service, id.checked()?).await?)
        };
        call.answer(work).await
    }

    async fn health_view(rqctx: RequestContext<Context>) -> Result<OkAnswer<Health>, Error> {
        let work = async { Answer::ok(Health::ok()) };
        Call::new(&rqctx).answer(work).await
    }

    async fn readiness_view(rqctx: RequestContext<Context>) -> Result<OkAnswer<Readiness>, Error> {
        let work = async {
            service::not_stopping()?;
            rqctx.context().customers.ready().await?;
            Answer::ok(Readiness::ready())
        };
        Call::new(&rqctx).answer(work).await
    }
}

async fn log_in(rqctx: RequestContext<Context>, body: JsonBody<Credentials>) -> Result<OkAnswer<Token>, Error> {
    let (call, context) = (Call::new(&rqctx), rqctx.context());
    let work = async { Answer::ok(metrics::login(context.login.token(&body.checked()?, context.auth.tokens()))?) };
    call.answer(work).await
}

fn shown(customer: Customer) -> Result<OkWith<Customer, EntityHeaders>, service_api::Failure> {
    let headers = EntityHeaders { etag: etag(customer.version) };
    Answer::of(HttpResponseHeaders::new(HttpResponseOk(customer), headers))
}
