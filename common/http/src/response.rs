//! Responses that handlers return.

use std::marker::PhantomData;

use common_contract::Failure;
use dropshot::{
    ApiEndpointResponse, Body, HttpCodedResponse, HttpError, HttpResponse, HttpResponseCreated, HttpResponseHeaders,
    HttpResponseOk,
};
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;

/// Complete HTTP response, described as `R` in the OpenAPI document.
///
/// A replayed response must consist of the stored bytes, errors need additional headers, and every response contains
/// the correlation id. dropshot's typed responses support none of this, so handlers return the HTTP response itself,
/// and `R` is used only to document it.
pub struct Answer<R> {
    response: http::Response<Body>,
    documented_as: PhantomData<fn() -> R>,
}

/// Response 200 without additional headers.
pub type OkAnswer<T> = Answer<HttpResponseOk<T>>;
/// Response 201 without additional headers.
pub type CreatedAnswer<T> = Answer<HttpResponseCreated<T>>;
/// Response 200 with the headers `H`.
pub type OkWith<T, H> = Answer<HttpResponseHeaders<HttpResponseOk<T>, H>>;
/// Response 201 with the headers `H`.
pub type CreatedWith<T, H> = Answer<HttpResponseHeaders<HttpResponseCreated<T>, H>>;

impl<R> Answer<R> {
    /// Wraps an HTTP response.
    pub fn new(response: http::Response<Body>) -> Self {
        Self { response, documented_as: PhantomData }
    }

    /// Returns the HTTP response.
    pub fn into_response(self) -> http::Response<Body> {
        self.response
    }
}

impl<R: HttpResponse> Answer<R> {
    /// Creates a response from a value of its documented type.
    ///
    /// # Errors
    ///
    /// Returns an error if the value cannot be serialized as JSON.
    pub fn of(documented: R) -> Result<Self, Failure> {
        documented.to_result().map(Self::new).map_err(Failure::internal)
    }
}

impl<T: Serialize + JsonSchema + Send + Sync + 'static> OkAnswer<T> {
    /// Creates a response with status 200.
    ///
    /// # Errors
    ///
    /// Returns an error if the value cannot be serialized as JSON.
    pub fn ok(body: T) -> Result<Self, Failure> {
        Self::of(HttpResponseOk(body))
    }
}

impl<T: Serialize + JsonSchema + Send + Sync + 'static> CreatedAnswer<T> {
    /// Creates a response with status 201.
    ///
    /// # Errors
    ///
    /// Returns an error if the value cannot be serialized as JSON.
    pub fn created(body: T) -> Result<Self, Failure> {
        Self::of(HttpResponseCreated(body))
    }
}

impl<T, H> Answer<HttpResponseHeaders<T, H>>
where
    T: HttpCodedResponse,
    H: JsonSchema + Serialize + Send + Sync + 'static,
{
    /// Creates a response with the documented status from the body that was stored when the request was first executed.
    ///
    /// # Errors
    ///
    /// Returns an error if a header's value is invalid.
    pub fn stored(json: Vec<u8>, headers: H) -> Result<Self, Failure> {
        let documented = HttpResponseHeaders::new(StoredBody::<T>(json, PhantomData), headers);
        documented.to_result().map(Self::new).map_err(Failure::internal)
    }
}

/// Stored response body, sent with the status of `T`.
struct StoredBody<T>(Vec<u8>, PhantomData<fn() -> T>);

impl<T: HttpCodedResponse> HttpCodedResponse for StoredBody<T> {
    type Body = T::Body;
    const STATUS_CODE: StatusCode = T::STATUS_CODE;
    const DESCRIPTION: &'static str = T::DESCRIPTION;
}

impl<T: HttpCodedResponse> From<StoredBody<T>> for Result<http::Response<Body>, HttpError> {
    fn from(stored: StoredBody<T>) -> Self {
        let json = HeaderValue::from_static("application/json");
        let response = http::Response::builder().status(T::STATUS_CODE).header(header::CONTENT_TYPE, json);
        Ok(response.body(stored.0.into())?)
    }
}

impl<R: HttpResponse> HttpResponse for Answer<R> {
    fn to_result(self) -> Result<http::Response<Body>, HttpError> {
        Ok(self.response)
    }

    fn response_metadata() -> ApiEndpointResponse {
        R::response_metadata()
    }

    fn status_code(&self) -> StatusCode {
        self.response.status()
    }
}

/// Returns the value of the `Idempotent-Replayed` header: `true` for a replayed response, otherwise `None`.
pub fn replayed(replayed: bool) -> Option<String> {
    replayed.then(|| "true".to_owned())
}

/// Headers of a response with a resource.
#[derive(Serialize, JsonSchema)]
pub struct EntityHeaders {
    /// Version of the resource, such as `"v7"`. Send it in the `If-Match` header to change only this version.
    #[serde(rename = "ETag")]
    #[schemars(length(max = 30))]
    pub etag: String,
}

/// Headers of a response with a resource changed under an idempotency key.
#[derive(Serialize, JsonSchema)]
pub struct ChangedHeaders {
    /// Version of the resource, such as `"v7"`. Send it in the `If-Match` header to change only this version.
    #[serde(rename = "ETag")]
    #[schemars(length(max = 30))]
    pub etag: String,
    /// `true` if this is the stored response of an earlier request with the same idempotency key. Absent otherwise.
    #[serde(rename = "Idempotent-Replayed")]
    #[schemars(length(max = 4))]
    pub idempotent_replayed: Option<String>,
}

/// Headers of a response with a created resource.
#[derive(Serialize, JsonSchema)]
pub struct CreatedHeaders {
    /// Path of the new resource.
    #[serde(rename = "Location")]
    #[schemars(length(max = 100))]
    pub location: String,
    /// Version of the new resource: `"v1"`. Send it in the `If-Match` header to change only this version.
    #[serde(rename = "ETag")]
    #[schemars(length(max = 30))]
    pub etag: String,
}

/// Headers of a response with a resource created under an idempotency key.
#[derive(Serialize, JsonSchema)]
pub struct KeyedCreatedHeaders {
    /// Path of the new resource.
    #[serde(rename = "Location")]
    #[schemars(length(max = 100))]
    pub location: String,
    /// Version of the new resource: `"v1"`. Send it in the `If-Match` header to change only this version.
    #[serde(rename = "ETag")]
    #[schemars(length(max = 30))]
    pub etag: String,
    /// `true` if this is the stored response of an earlier request with the same idempotency key. Absent otherwise.
    #[serde(rename = "Idempotent-Replayed")]
    #[schemars(length(max = 4))]
    pub idempotent_replayed: Option<String>,
}
