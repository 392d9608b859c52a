//! Implementation of the API contract. Each handler authenticates the caller, parses the request, calls one operation
//! in `app` and converts its result to a response. This is the only file of the crate that uses dropshot.

use std::net::IpAddr;

use common_contract::{CustomerId, Failure, Health, OperatorId, Page, Readiness, etag};
use common_http::{
    Answer, Conditional, CreatedHeaders, CreatedWith, EntityHeaders, Headers, JsonBody, OkAnswer, OkWith, PathId,
    QueryParams,
};
use common_server::Call;
use customers_api::{
    Credentials, Customer, CustomerContact, CustomerContactQuery, CustomerInput, CustomerListQuery, CustomersApi,
    Error, OperatorAccount, OperatorInput, OperatorListQuery, OperatorPatch, PasswordChange, Token,
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
        let handler = async {
            let viewer = context.auth.viewer(&call)?;
            let changed = context.login.change_password(&viewer, client_address(&rqctx), &body.checked()?).await;
            metrics::count_login(changed.map_err(Failure::from))?;
            Answer::of(HttpResponseUpdatedNoContent())
        };
        Ok(call.answer(handler).await)
    }

    async fn operator_create(
        rqctx: RequestContext<Context>,
        body: JsonBody<OperatorInput>,
    ) -> Result<CreatedWith<OperatorAccount, CreatedHeaders>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let handler = async {
            let admin = context.auth.admin(&call)?;
            let account = context.accounts.create(&admin, &body.checked()?).await?;
            let location = format!("/operators/{}", account.id);
            let headers = CreatedHeaders { location, etag: etag(account.version) };
            Answer::of(HttpResponseHeaders::new(HttpResponseCreated(account), headers))
        };
        Ok(call.answer(handler).await)
    }

    async fn operator_view(
        rqctx: RequestContext<Context>,
        id: PathId<OperatorId>,
    ) -> Result<OkWith<OperatorAccount, EntityHeaders>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let handler = async {
            let admin = context.auth.admin(&call)?;
            account_response(context.accounts.view(&admin, id.checked()?).await?)
        };
        Ok(call.answer(handler).await)
    }

    async fn operator_list(
        rqctx: RequestContext<Context>,
        query: QueryParams<OperatorListQuery>,
    ) -> Result<OkAnswer<Page<OperatorAccount>>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let handler = async {
            let admin = context.auth.admin(&call)?;
            Answer::ok(context.accounts.list(&admin, &query.checked()?).await?)
        };
        Ok(call.answer(handler).await)
    }

    async fn operator_update(
        rqctx: RequestContext<Context>,
        id: PathId<OperatorId>,
        headers: Headers<Conditional>,
        body: JsonBody<OperatorPatch>,
    ) -> Result<OkWith<OperatorAccount, EntityHeaders>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let handler = async {
            let admin = context.auth.admin(&call)?;
            let (id, if_match, patch) = (id.checked()?, headers.checked()?, body.checked()?);
            account_response(context.accounts.update(&admin, id, if_match.as_ref(), &patch).await?)
        };
        Ok(call.answer(handler).await)
    }

    async fn customer_create(
        rqctx: RequestContext<Context>,
        body: JsonBody<CustomerInput>,
    ) -> Result<CreatedWith<Customer, CreatedHeaders>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let handler = async {
            let operator = context.auth.operator(&call)?;
            let customer = context.customers.create(&operator, &body.checked()?).await?;
            let location = format!("/customers/{}", customer.id);
            let headers = CreatedHeaders { location, etag: etag(customer.version) };
            Answer::of(HttpResponseHeaders::new(HttpResponseCreated(customer), headers))
        };
        Ok(call.answer(handler).await)
    }

    async fn customer_view(
        rqctx: RequestContext<Context>,
        id: PathId<CustomerId>,
    ) -> Result<OkWith<Customer, EntityHeaders>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let handler = async {
            let viewer = context.auth.viewer(&call)?;
            customer_response(context.customers.view(&viewer, id.checked()?).await?)
        };
        Ok(call.answer(handler).await)
    }

    async fn customer_list(
        rqctx: RequestContext<Context>,
        query: QueryParams<CustomerListQuery>,
    ) -> Result<OkAnswer<Page<Customer>>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let handler = async {
            let viewer = context.auth.viewer(&call)?;
            Answer::ok(context.customers.list(&viewer, &query.checked()?).await?)
        };
        Ok(call.answer(handler).await)
    }

    async fn customer_update(
        rqctx: RequestContext<Context>,
        id: PathId<CustomerId>,
        headers: Headers<Conditional>,
        body: JsonBody<CustomerInput>,
    ) -> Result<OkWith<Customer, EntityHeaders>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let handler = async {
            let operator = context.auth.operator(&call)?;
            let (id, if_match, input) = (id.checked()?, headers.checked()?, body.checked()?);
            customer_response(context.customers.update(&operator, id, if_match.as_ref(), &input).await?)
        };
        Ok(call.answer(handler).await)
    }

    async fn customer_delete(
        rqctx: RequestContext<Context>,
        id: PathId<CustomerId>,
        headers: Headers<Conditional>,
    ) -> Result<Answer<HttpResponseDeleted>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let handler = async {
            let operator = context.auth.operator(&call)?;
            context.customers.delete(&operator, id.checked()?, headers.checked()?.as_ref()).await?;
            Answer::of(HttpResponseDeleted())
        };
        Ok(call.answer(handler).await)
    }

    async fn internal_customer_view(
        rqctx: RequestContext<Context>,
        id: PathId<CustomerId>,
        query: QueryParams<CustomerContactQuery>,
    ) -> Result<OkAnswer<CustomerContact>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let handler = async {
            let service = context.auth.service(&call)?;
            Answer::ok(context.customers.contact(&service, id.checked()?, &query.checked()?).await?)
        };
        Ok(call.answer(handler).await)
    }

    async fn health_view(rqctx: RequestContext<Context>) -> Result<OkAnswer<Health>, Error> {
        let handler = async { Answer::ok(Health::ok()) };
        Ok(Call::new(&rqctx).answer(handler).await)
    }

    async fn readiness_view(rqctx: RequestContext<Context>) -> Result<OkAnswer<Readiness>, Error> {
        let handler = async {
            rqctx.context().runtime.refuse_while_draining()?;
            rqctx.context().customers.ready().await?;
            Answer::ok(Readiness::ready())
        };
        Ok(Call::new(&rqctx).answer(handler).await)
    }
}

async fn log_in(rqctx: RequestContext<Context>, body: JsonBody<Credentials>) -> Result<OkAnswer<Token>, Error> {
    let (call, context) = (Call::new(&rqctx), rqctx.context());
    let handler = async {
        let token = context.login.token(&body.checked()?, client_address(&rqctx), context.auth.tokens()).await;
        Answer::ok(metrics::count_login(token)?)
    };
    Ok(call.answer(handler).await)
}

/// Returns the client address, as reported by the proxy if the connection comes from a trusted proxy.
fn client_address(rqctx: &RequestContext<Context>) -> IpAddr {
    rqctx.context().proxies.client_address(rqctx.request.remote_addr().ip(), rqctx.request.headers())
}

fn account_response(account: OperatorAccount) -> Result<OkWith<OperatorAccount, EntityHeaders>, Failure> {
    let headers = EntityHeaders { etag: etag(account.version) };
    Answer::of(HttpResponseHeaders::new(HttpResponseOk(account), headers))
}

fn customer_response(customer: Customer) -> Result<OkWith<Customer, EntityHeaders>, Failure> {
    let headers = EntityHeaders { etag: etag(customer.version) };
    Answer::of(HttpResponseHeaders::new(HttpResponseOk(customer), headers))
}
