//! A route has its description, and an answer that the description does not know is found.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tower_service::Service;

use super::*;

const ABOUT: About =
    About { title: "t", description: "d", server: "s", tags: &[], schemes: &[], elsewhere: &[] };

fn endpoints() -> Endpoints<()> {
    let operation =
        Operation::new("one", "tag", "summary").answers::<String>(200, "Well.").fails::<String>(
            &[(400, "bad", "it is bad"), (400, "worse", "it is worse")],
            Some("error"),
        );
    async fn answer(request: axum::extract::Request) -> Response {
        match request.uri().query() {
            Some("teapot") => StatusCode::IM_A_TEAPOT.into_response(),
            Some(code) => {
                let says = format!("error; reason={code}");
                (StatusCode::BAD_REQUEST, [("x-leafrank", says)]).into_response()
            }
            None => "well".into_response(),
        }
    }
    Endpoints::default().get("/one", answer, operation)
}

#[test]
fn a_documents_answers_are_listed_by_status_with_their_codes() {
    let document = endpoints().document(&ABOUT);
    let answers = &document["paths"]["/one"]["get"]["responses"];
    assert_eq!(answers["400"]["description"], "- `bad`: it is bad\n- `worse`: it is worse");
    let codes = &answers["400"]["content"]["application/json"]["schema"]["allOf"][1]["properties"];
    assert_eq!(codes["error"]["enum"], json!(["bad", "worse"]));
    assert_eq!(answers["200"]["content"]["application/json"]["schema"], json!({"type": "string"}));
}

async fn asked(target: &str) -> Result<StatusCode, ()> {
    let request = axum::http::Request::get(target).body(axum::body::Body::empty()).unwrap();
    let mut router = endpoints().router();
    let asked = tokio::spawn(async move { router.call(request).await.unwrap().status() });
    asked.await.map_err(drop)
}

#[tokio::test]
async fn an_answer_that_the_description_does_not_know_is_a_panic_where_tests_run() {
    assert_eq!(asked("/one").await, Ok(StatusCode::OK));
    assert_eq!(asked("/one?worse").await, Ok(StatusCode::BAD_REQUEST));
    assert_eq!(asked("/one?teapot").await, Err(()));
    assert_eq!(asked("/one?unheard_of").await, Err(()));
}
