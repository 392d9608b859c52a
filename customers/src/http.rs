//! Between the contract and the rules: reads the request, asks who is calling, calls the rules once, wraps what they
//! give. The only file of this crate that knows dropshot.

use std::net::IpAddr;

use common_contract::{CustomerId, Failure, Health, OperatorId, Page, Readiness, etag};
use common_http::{
    Answer, Conditional, CreatedHeaders, CreatedWith, EntityHeaders, Headers, JsonBody, OkAnswer, OkWith, PathId,
    QueryParams,
};
use common_server::Call;
use customers_api::{
    Credentials, Customer, CustomerContact, CustomerInput, CustomerListQuery, CustomersApi, Error, NewOperator,
    OperatorAccount, OperatorListQuery, OperatorPatch, PasswordChange, Token,
};
use dropshot::{
    HttpResponseCreated, HttpResponseDeleted, HttpResponseHeaders, HttpResponseOk, HttpResponseUpdatedNoContent,
    RequestContext,
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

    async fn password_update(
        rqctx: RequestContext<Context>,
        body: JsonBody<PasswordChange>,
    ) -> Result<Answer<HttpResponseUpdatedNoContent>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let viewer = context.auth.viewer(&call)?;
            let changed = context.login.change_password(&viewer, client(&rqctx), &body.checked()?).await;
            metrics::login(changed.map_err(Failure::from))?;
            Answer::of(HttpResponseUpdatedNoContent())
        };
        Ok(call.answer(work).await)
    }

    async fn operator_create(
        rqctx: RequestContext<Context>,
        body: JsonBody<NewOperator>,
    ) -> Result<CreatedWith<OperatorAccount, CreatedHeaders>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let admin = context.auth.admin(&call)?;
            let operator = context.operators.create(&admin, &body.checked()?).await?;
            let location = format!("/operators/{}", operator.id);
            let headers = CreatedHeaders { location, etag: etag(operator.version) };
            Answer::of(HttpResponseHeaders::new(HttpResponseCreated(operator), headers))
        };
        Ok(call.answer(work).await)
    }

    async fn operator_view(
        rqctx: RequestContext<Context>,
        id: PathId<OperatorId>,
    ) -> Result<OkWith<OperatorAccount, EntityHeaders>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let admin = context.auth.admin(&call)?;
            shown_operator(context.operators.view(&admin, id.checked()?).await?)
        };
        Ok(call.answer(work).await)
    }

    async fn operator_list(
        rqctx: RequestContext<Context>,
        query: QueryParams<OperatorListQuery>,
    ) -> Result<OkAnswer<Page<OperatorAccount>>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let admin = context.auth.admin(&call)?;
            Answer::ok(context.operators.list(&admin, &query.checked()?).await?)
        };
        Ok(call.answer(work).await)
    }

    async fn operator_update(
        rqctx: RequestContext<Context>,
        id: PathId<OperatorId>,
        headers: Headers<Conditional>,
        body: JsonBody<OperatorPatch>,
    ) -> Result<OkWith<OperatorAccount, EntityHeaders>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let admin = context.auth.admin(&call)?;
            let (id, if_match, patch) = (id.checked()?, headers.checked()?, body.checked()?);
            shown_operator(context.operators.update(&admin, id, if_match.as_ref(), &patch).await?)
        };
        Ok(call.answer(work).await)
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
        Ok(call.answer(work).await)
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
        Ok(call.answer(work).await)
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
        Ok(call.answer(work).await)
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
        Ok(call.answer(work).await)
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
        Ok(call.answer(work).await)
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
        Ok(call.answer(work).await)
    }

    async fn health_view(rqctx: RequestContext<Context>) -> Result<OkAnswer<Health>, Error> {
        let work = async { Answer::ok(Health::ok()) };
        Ok(Call::new(&rqctx).answer(work).await)
    }

    async fn readiness_view(rqctx: RequestContext<Context>) -> Result<OkAnswer<Readiness>, Error> {
        let work = async {
            rqctx.context().runtime.refuse_while_draining()?;
            rqctx.context().customers.ready().await?;
            Answer::ok(Readiness::ready())
        };
        Ok(Call::new(&rqctx).answer(work).await)
    }
}

async fn log_in(rqctx: RequestContext<Context>, body: JsonBody<Credentials>) -> Result<OkAnswer<Token>, Error> {
    let (call, context) = (Call::new(&rqctx), rqctx.context());
    let work = async {
        let token = context.login.token(&body.checked()?, client(&rqctx), context.auth.tokens()).await;
        Answer::ok(metrics::login(token)?)
    };
    Ok(call.answer(work).await)
}

/// The address that the request comes from, proxies aside.
fn client(rqctx: &RequestContext<Context>) -> IpAddr {
    rqctx.context().proxies.client(rqctx.request.remote_addr().ip(), rqctx.request.headers())
}

fn shown_operator(operator: OperatorAccount) -> Result<OkWith<OperatorAccount, EntityHeaders>, Failure> {
    let headers = EntityHeaders { etag: etag(operator.version) };
    Answer::of(HttpResponseHeaders::new(HttpResponseOk(operator), headers))
}

fn shown(customer: Customer) -> Result<OkWith<Customer, EntityHeaders>, Failure> {
    let headers = EntityHeaders { etag: etag(customer.version) };
    Answer::of(HttpResponseHeaders::new(HttpResponseOk(customer), headers))
}
