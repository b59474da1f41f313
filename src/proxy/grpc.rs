//! What differs for gRPC calls: how a failure of ours is said, that silence is no failure, and that
//! no length is told which the other side did not tell: their libraries would show it as metadata.
//!
//! In: a request's head; an answer of ours. Out: whether it is a gRPC call; the same answer as a
//! gRPC client reads it, trailers alone. Replies of the shop are never touched here.

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderName, Response, StatusCode, Version};

use super::body::ReplyBody;
use super::respond::Ours;
use crate::client::shop::speaks_grpc;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Is this a gRPC call?
pub(super) fn is_call(head: &Parts) -> bool {
    head.version == Version::HTTP_2 && speaks_grpc(&head.headers)
}

/// An answer of ours to a gRPC call: HTTP 200, no body, the failure in `grpc-status`.
pub(super) fn worded(mut reply: Response<ReplyBody>) -> Response<ReplyBody> {
    let Some(Ours { reason }) = reply.extensions().get().copied() else { return reply };
    let code = code_of(reply.status());
    *reply.status_mut() = StatusCode::OK;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from_static(code));
    if let Ok(message) = HeaderValue::try_from(format!("leafrank: {reason}")) {
        headers.insert(GRPC_MESSAGE, message);
    }
    reply.map(|_| ReplyBody::empty())
}

/// gRPC's word for a status of ours. What ran out of time may have been carried out: it is no
/// `UNAVAILABLE`, which clients send again.
fn code_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => "14",
        StatusCode::GATEWAY_TIMEOUT | StatusCode::REQUEST_TIMEOUT => "4",
        StatusCode::PAYLOAD_TOO_LARGE => "8",
        StatusCode::NOT_IMPLEMENTED | StatusCode::METHOD_NOT_ALLOWED => "12",
        _ => "13",
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body;

    use super::super::respond;
    use super::*;

    #[test]
    fn an_answer_of_ours_becomes_trailers_and_the_shops_stays() {
        for (status, code) in [(502, "14"), (503, "14"), (504, "4"), (413, "8"), (500, "13")] {
            let status = StatusCode::from_u16(status).unwrap();
            let reply = worded(respond::error(status, "some_reason"));
            assert_eq!(reply.status(), 200);
            let headers = reply.headers();
            assert_eq!(headers["content-type"], "application/grpc");
            assert_eq!(headers["grpc-status"], code);
            assert_eq!(headers["grpc-message"], "leafrank: some_reason");
            assert_eq!(headers["x-leafrank"], "error; reason=some_reason");
            assert!(reply.body().is_end_stream());
        }
        let shops = || {
            let mut reply = Response::new(ReplyBody::empty());
            *reply.status_mut() = StatusCode::BAD_GATEWAY;
            reply.headers_mut().insert("x-leafrank", HeaderValue::from_static("error; reason=x"));
            reply
        };
        let reply = worded(shops());
        assert_eq!((reply.status(), reply.headers()), (StatusCode::BAD_GATEWAY, shops().headers()));
    }

    #[test]
    fn grpc_over_the_web_is_no_call() {
        let is_one = |version, kind: &str| {
            let request = http::Request::builder().version(version).header("content-type", kind);
            is_call(&request.body(()).unwrap().into_parts().0)
        };
        for kind in ["application/grpc", "application/grpc+proto", "application/grpc;x=1"] {
            assert!(is_one(Version::HTTP_2, kind), "{kind}");
            assert!(!is_one(Version::HTTP_11, kind), "{kind}");
        }
        for kind in ["application/grpc-web", "application/grpc-web+proto", "application/json"] {
            assert!(!is_one(Version::HTTP_2, kind), "{kind}");
        }
    }
}
