//! `POST /rules/preview`: what would an edit of the rules change? Asked before it goes live.
//!
//! In: the text of a rules file. Out: JSON: of the last real searches those whose order would differ,
//! by how much (RBO@10, Jaccard@10), and the products that would move farthest, with what moves
//! them; or 422 with every problem of the text, as `leafrank check` tells them. Changes nothing, names no
//! shopper. One at a time, on a thread that serves nobody else; bounded in bytes and in time.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{Admin, refused};
use crate::border::name_us;
use crate::personalize::{TRIAL_US_MAX, Tried};
use crate::reload;
use crate::replay::against::{Churn, Farthest, Leap, QUERIES_MAX};
use crate::rules::Rules;
use crate::types::problem::Problem;
use crate::yaml::TEXT_BYTES_MAX;

/// Its text must be there within this.
const TEXT_PATIENCE: Duration = Duration::from_secs(10);

/// One at a time: each takes a core for as long as it runs.
static TRYING: Semaphore = Semaphore::const_new(1);

pub(super) async fn preview(State(admin): State<Admin>, body: Body) -> Response {
    let Ok(trying) = TRYING.try_acquire() else {
        return refused(StatusCode::TOO_MANY_REQUESTS, "preview_running");
    };
    let text = match tokio::time::timeout(TEXT_PATIENCE, to_bytes(body, TEXT_BYTES_MAX)).await {
        Err(_) => return refused(StatusCode::REQUEST_TIMEOUT, "rules_late"),
        Ok(Err(_)) => return refused(StatusCode::PAYLOAD_TOO_LARGE, "rules_too_large"),
        Ok(Ok(text)) => text,
    };
    let work = move || {
        let outcome = match std::str::from_utf8(&text) {
            Ok(text) => reload::check_text(&admin.rules_file, text),
            Err(_) => {
                let name = reload::name_of(&admin.rules_file);
                Err(vec![Problem::with_file(&name, "found bytes that are no UTF-8")])
            }
        };
        let reply = match outcome {
            Ok(rules) => Json(summary(&admin, &rules)).into_response(),
            Err(problems) => unusable(&admin, problems),
        };
        // Not before: who goes away does not end it.
        drop(trying);
        reply
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| refused(StatusCode::INTERNAL_SERVER_ERROR, "fault"))
}

/// Rules that cannot be used: what `leafrank check` would say of them.
#[derive(Deserialize, JsonSchema, Serialize)]
#[schemars(rename = "UnusableRules")]
pub struct Unusable {
    /// For programs.
    pub error: Cow<'static, str>,
    /// Always `leafrank`.
    pub from: Cow<'static, str>,
    /// As which the text is named in the problems: the sidecar's rules file.
    pub file: String,
    /// All of them, by line.
    pub problems: Vec<Problem>,
}

/// What an edit of the rules would change in the last searches.
#[derive(Deserialize, JsonSchema, Serialize)]
#[schemars(rename = "RulesPreview")]
pub struct Summary {
    /// Version of the edited rules.
    pub rules: String,
    /// Version of the rules in force.
    pub live: String,
    /// Searches that were ranked under both.
    pub searches: usize,
    /// Searches that were kept, of shoppers or products that are not known any more.
    pub forgotten: usize,
    /// Searches whose order differs.
    pub changed: usize,
    /// Searches whose first hit differs.
    pub first_changed: usize,
    /// Rank-biased overlap of the leading ten, mean over all searches; 1 where nothing changes.
    #[serde(rename = "rbo@10")]
    pub rbo: f64,
    /// What the leading ten have in common, of all that are in either; mean over all searches.
    #[serde(rename = "jaccard@10")]
    pub jaccard: f64,
    /// The queries of which most searches change.
    pub queries: Vec<Query>,
    /// The products that move farthest.
    pub movers: Vec<Mover>,
    /// Why less is told than could be, if so.
    pub off: Option<String>,
}

/// One query.
#[derive(Deserialize, JsonSchema, Serialize)]
#[schemars(rename = "PreviewedQuery")]
pub struct Query {
    /// As typed.
    pub query: String,
    /// Searches for it.
    pub searches: usize,
    /// Those that change.
    pub changed: usize,
}

/// A product that would stand elsewhere.
#[derive(Deserialize, JsonSchema, Serialize)]
pub struct Mover {
    /// Its id, as the shop writes it.
    pub product: String,
    /// Its name, as far as it is known.
    pub name: String,
    /// Its rank now, from 1.
    pub from: usize,
    /// Its rank with the edit.
    pub to: usize,
    /// In a search for this.
    pub query: String,
    /// What moves it; `null` where others do.
    pub reason: Option<Reason>,
}

/// What moves a product: a part of its score, or a rule that holds it (1) or does not (0).
#[derive(Deserialize, JsonSchema, Serialize)]
#[schemars(rename = "MoverReason")]
pub struct Reason {
    /// Which.
    pub part: String,
    /// Its value now.
    pub was: f32,
    /// Its value with the edit.
    pub is: f32,
}

fn unusable(admin: &Admin, problems: Vec<Problem>) -> Response {
    let (error, file) = ("rules_unusable", reload::name_of(&admin.rules_file));
    let told = Unusable { error: error.into(), from: "leafrank".into(), file, problems };
    let mut reply = (StatusCode::UNPROCESSABLE_ENTITY, Json(told)).into_response();
    name_us(reply.headers_mut(), error);
    reply
}

/// What is noted while searches are tried.
#[derive(Default)]
struct Notes {
    churn: Churn,
    /// By product and query.
    movers: Farthest<(String, String), Mover>,
    /// By query: searches, and those that change.
    queries: HashMap<String, (usize, usize)>,
}

impl Notes {
    fn note(&mut self, tried: &Tried<'_>) {
        let [one, other] = tried.rankings;
        self.churn.note(&one.order, &other.order);
        let counted = self.queries.entry(tried.query.to_owned()).or_default();
        counted.0 += 1;
        if one.order == other.order {
            return;
        }
        counted.1 += 1;
        let Some(leap) = Leap::of(&one.order, &other.order) else { return };
        let key = (tried.product(leap.old).0.to_owned(), tried.query.to_owned());
        if self.movers.wants(leap.distance(), &key) {
            self.movers.push(leap.distance(), key, mover(tried, leap));
        }
    }
}

fn mover(tried: &Tried<'_>, leap: Leap) -> Mover {
    let (product, name) = tried.product(leap.old);
    let reason = leap.reason(tried.requests, tried.rankings, tried.facet_name);
    Mover {
        product: product.to_owned(),
        name: name.to_owned(),
        from: leap.places.0 + 1,
        to: leap.places.1 + 1,
        query: tried.query.to_owned(),
        reason: reason.map(|(part, was, is)| Reason { part, was, is }),
    }
}

fn summary(admin: &Admin, edited: &Rules) -> Summary {
    let mut notes = Notes::default();
    let trial = admin.personalizer.try_rules(edited, |tried| notes.note(tried));
    let Notes { churn, movers, queries } = notes;
    let queries = queries.into_iter().filter(|(_, (_, changed))| *changed > 0);
    let named = |(query, (searches, changed))| Query { query, searches, changed };
    let mut queries: Vec<Query> = queries.map(named).collect();
    queries.sort_by(|a, b| b.changed.cmp(&a.changed).then_with(|| a.query.cmp(&b.query)));
    queries.truncate(QUERIES_MAX);
    Summary {
        rules: edited.version.to_string(),
        live: admin.rules.load().version.to_string(),
        searches: trial.searches,
        forgotten: trial.forgotten,
        changed: churn.changed,
        first_changed: churn.first_changed,
        rbo: churn.rbo(),
        jaccard: churn.jaccard(),
        queries,
        movers: movers.into_vec(),
        off: off(admin, edited, trial.is_cut_short),
    }
}

/// Why less is told than could be, if so.
fn off(admin: &Admin, edited: &Rules, is_cut_short: bool) -> Option<String> {
    if !admin.personalizer.keeps_searches() {
        return Some(
            "limits.preview_searches_max or limits.preview_bytes_max is 0: no searches are kept"
                .into(),
        );
    }
    if is_cut_short {
        let seconds = TRIAL_US_MAX / 1_000_000;
        return Some(format!("not every kept search was tried within {seconds} s"));
    }
    if !edited.enabled {
        return Some("enabled: false in the edit: every list goes out in the shop's order".into());
    }
    (!admin.personalizer.is_on())
        .then(|| "an operator switched personalisation off: nothing changes before it is on".into())
}
