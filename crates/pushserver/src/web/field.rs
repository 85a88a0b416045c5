//! Names of header fields that the standard list does not have; made once, because making one is work for each request.

use http::HeaderName;

pub(crate) static API_KEY: HeaderName = HeaderName::from_static("x-api-key");
pub(crate) static FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
pub(crate) static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) static FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(crate) static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(crate) static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
pub(crate) static REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
