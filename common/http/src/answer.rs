//! What a handler returns.

use std::marker::PhantomData;

use common_contract::Failure;
use dropshot::{
    ApiEndpointResponse, Body, HttpCodedResponse, HttpError, HttpResponse, HttpResponseCreated, HttpResponseHeaders,
    HttpResponseOk,
};
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;

/// A finished HTTP response, documented as `R`.
///
/// A replayed answer has to be the saved bytes, an error needs headers of its own, and every answer carries the
/// correlation id. dropshot's typed responses can do none of the three, so handlers give the response itself and
/// borrow only the description of `R`.
pub struct Answer<R> {
    response: http::Response<Body>,
    documented_as: PhantomData<fn() -> R>,
}

/// An answer with 200 and no headers of its own.
pub type OkAnswer<T> = Answer<HttpResponseOk<T>>;
/// An answer with 201 and no headers of its own.
pub type CreatedAnswer<T> = Answer<HttpResponseCreated<T>>;
/// An answer with 200 and these headers.
pub type OkWith<T, H> = Answer<HttpResponseHeaders<HttpResponseOk<T>, H>>;
/// An answer with 201 and these headers.
pub type CreatedWith<T, H> = Answer<HttpResponseHeaders<HttpResponseCreated<T>, H>>;

impl<R> Answer<R> {
    /// Sends this response.
    pub fn new(response: http::Response<Body>) -> Self {
        Self { response, documented_as: PhantomData }
    }

    /// The response itself.
    pub fn into_response(self) -> http::Response<Body> {
        self.response
    }
}

impl<R: HttpResponse> Answer<R> {
    /// Sends exactly what is documented.
    ///
    /// # Errors
    ///
    /// Where the value cannot be written as JSON.
    pub fn of(documented: R) -> Result<Self, Failure> {
        documented.to_result().map(Self::new).map_err(Failure::internal)
    }
}

impl<T: Serialize + JsonSchema + Send + Sync + 'static> OkAnswer<T> {
    /// Sends this with 200.
    ///
    /// # Errors
    ///
    /// Where the value cannot be written as JSON.
    pub fn ok(body: T) -> Result<Self, Failure> {
        Self::of(HttpResponseOk(body))
    }
}

impl<T: Serialize + JsonSchema + Send + Sync + 'static> CreatedAnswer<T> {
    /// Sends this with 201.
    ///
    /// # Errors
    ///
    /// Where the value cannot be written as JSON.
    pub fn created(body: T) -> Result<Self, Failure> {
        Self::of(HttpResponseCreated(body))
    }
}

impl<T, H> Answer<HttpResponseHeaders<T, H>>
where
    T: HttpCodedResponse,
    H: JsonSchema + Serialize + Send + Sync + 'static,
{
    /// Sends bytes that were saved when the request was first carried out, under the documented status.
    ///
    /// # Errors
    ///
    /// Where a header's value cannot be sent.
    pub fn saved(json: Vec<u8>, headers: H) -> Result<Self, Failure> {
        let documented = HttpResponseHeaders::new(SavedAs::<T>(json, PhantomData), headers);
        documented.to_result().map(Self::new).map_err(Failure::internal)
    }
}

/// Saved bytes under the status of `T`.
struct SavedAs<T>(Vec<u8>, PhantomData<fn() -> T>);

impl<T: HttpCodedResponse> HttpCodedResponse for SavedAs<T> {
    type Body = T::Body;
    const STATUS_CODE: StatusCode = T::STATUS_CODE;
    const DESCRIPTION: &'static str = T::DESCRIPTION;
}

impl<T: HttpCodedResponse> From<SavedAs<T>> for Result<http::Response<Body>, HttpError> {
    fn from(saved: SavedAs<T>) -> Self {
        let json = HeaderValue::from_static("application/json");
        let response = http::Response::builder().status(T::STATUS_CODE).header(header::CONTENT_TYPE, json);
        Ok(response.body(saved.0.into())?)
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

/// `Idempotent-Replayed: true`, or no such header.
pub fn replayed(replayed: bool) -> Option<String> {
    replayed.then(|| "true".to_owned())
}

/// Headers of an answer that shows a resource.
#[derive(Serialize, JsonSchema)]
pub struct EntityHeaders {
    /// Version of the resource, such as `"v7"`, for use in `If-Match`.
    #[serde(rename = "ETag")]
    #[schemars(length(max = 30))]
    pub etag: String,
}

/// Headers of an answer that shows a resource just changed under an idempotency key.
#[derive(Serialize, JsonSchema)]
pub struct ChangedHeaders {
    /// Version of the resource, such as `"v7"`, for use in `If-Match`.
    #[serde(rename = "ETag")]
    #[schemars(length(max = 30))]
    pub etag: String,
    /// `true` if this is the stored response of an earlier request with the same idempotency key, absent otherwise.
    #[serde(rename = "Idempotent-Replayed")]
    #[schemars(length(max = 4))]
    pub idempotent_replayed: Option<String>,
}

/// Headers of an answer that shows a resource just made.
#[derive(Serialize, JsonSchema)]
pub struct CreatedHeaders {
    /// Path of the new resource.
    #[serde(rename = "Location")]
    #[schemars(length(max = 100))]
    pub location: String,
    /// Version of the resource, `"v1"`, for use in `If-Match`.
    #[serde(rename = "ETag")]
    #[schemars(length(max = 30))]
    pub etag: String,
}

/// Headers of an answer that shows a resource just made under an idempotency key.
#[derive(Serialize, JsonSchema)]
pub struct KeyedCreatedHeaders {
    /// Path of the new resource.
    #[serde(rename = "Location")]
    #[schemars(length(max = 100))]
    pub location: String,
    /// Version of the resource, `"v1"`, for use in `If-Match`.
    #[serde(rename = "ETag")]
    #[schemars(length(max = 30))]
    pub etag: String,
    /// `true` if this is the stored response of an earlier request with the same idempotency key, absent otherwise.
    #[serde(rename = "Idempotent-Replayed")]
    #[schemars(length(max = 4))]
    pub idempotent_replayed: Option<String>,
}
