//! What is said of the operators' endpoints, for their document.
//!
//! Out: operations, and the types of answers that are written nowhere else. Both ports are in one
//! document: the ops port's operations name their own server.

use schemars::JsonSchema;
use serde::Serialize;

use super::preview::{Summary, Unusable};
use super::status::Status;
use crate::openapi::{About, Body, Operation, Parameter, Scheme, Trouble, examples};
use crate::personalize::Told;
use crate::reload::RulesSource;

/// An error of the admin port's.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "AdminProblem")]
pub(super) struct Problem {
    /// For programs.
    pub(super) error: &'static str,
    /// Always `leafrank`.
    pub(super) from: &'static str,
}

/// The rules in force, and why the last edit was rejected.
#[derive(JsonSchema, Serialize)]
pub(super) struct RulesInForce {
    /// A digest of the table.
    pub(super) version: String,
    /// The model file's version; null: the model built in.
    pub(super) model: Option<String>,
    /// How many tables there were in this process.
    pub(super) generation: u64,
    /// When this one came; milliseconds since 1970.
    pub(super) loaded_at_ms: i64,
    /// Where it came from.
    pub(super) source: RulesSource,
    /// Why it is not the file's, if it is not.
    pub(super) degraded: Option<&'static str>,
    /// Edits that were rejected.
    pub(super) rejected_total: u64,
    /// Everything that is wrong with the last edit, if it was rejected.
    pub(super) last_error: Vec<String>,
    /// `on` or `off`: the kill switch.
    pub(super) personalization: &'static str,
}

/// Where the kill switch stands.
#[derive(JsonSchema, Serialize)]
pub(super) struct Switch {
    /// `on` or `off`.
    pub(super) personalization: &'static str,
}

/// A route that is on again.
#[derive(JsonSchema, Serialize)]
pub(super) struct RouteOn {
    /// Its name.
    pub(super) route: String,
    /// Its faults had switched it off.
    pub(super) was_tripped: bool,
}

/// A listener was slow.
#[derive(JsonSchema, Serialize)]
pub(super) struct Missed {
    /// Searches that it was not told of.
    pub(super) missed: u64,
}

/// A line of the live stream.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "TapLine")]
#[expect(dead_code, reason = "drawn alone: each is written by itself")]
enum Line {
    /// A search, as it ended.
    Search(Told),
    /// The listener was slow.
    Missed(Missed),
}

/// What runs.
#[derive(JsonSchema, Serialize)]
pub(super) struct Version {
    /// Always `leafrank`.
    pub(super) name: &'static str,
    /// Of this program.
    pub(super) version: &'static str,
}

pub(super) const ABOUT: About = About {
    title: "Leafrank for operators",
    description: "The admin port, and the read-only ops port. On loopback reading is free; what \
                  changes something wants an operator's token, and beyond loopback everything on the \
                  admin port does. `Host` must be an address or `localhost`, and an `Origin` our own.",
    server: "http://127.0.0.1:9901",
    tags: &[
        ("admin", "The admin port, `listen.admin`."),
        ("ops", "The ops port, `listen.ops`: what the kubelet and Prometheus ask."),
    ],
    schemes: &[Scheme {
        name: "operatorToken",
        header: None,
        format: None,
        about: "A token of `trust.admin_token_file`, else `admin.token` in `data_dir`.",
    }],
    elsewhere: &[("ops", "http://127.0.0.1:9902")],
};

const FREE: [Trouble; 4] = [
    (401, "operator_token", "no operator's token came along"),
    (403, "foreign_origin", "a page in a browser asks, or the host is a name"),
    (408, "too_slow", "the answer was not made within 30 s"),
    (500, "fault", "a fault of ours"),
];

pub(super) fn admin(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, "admin", summary)
}

/// Free on loopback.
pub(super) fn free(operation: Operation) -> Operation {
    operation.needs(&["", "operatorToken"]).fails::<Problem>(&FREE, Some("error"))
}

/// For operators alone, which may fail in other ways too.
pub(super) fn closed(operation: Operation, others: &[Trouble]) -> Operation {
    let all = [&FREE[..], others].concat();
    operation.needs(&["operatorToken"]).fails::<Problem>(&all, Some("error"))
}

pub(super) fn document() -> Operation {
    free(admin("document", "This document").answers::<Anything>(200, "OpenAPI 3.1."))
}

/// Any JSON.
#[derive(JsonSchema)]
#[schemars(transparent)]
struct Anything(
    #[expect(dead_code, reason = "drawn alone")] serde_json::Map<String, serde_json::Value>,
);

pub(super) fn rules() -> Operation {
    const SHOWN: &str = r#"{"degraded":null,"generation":1,"last_error":[],
        "loaded_at_ms":1795403798811,"model":null,"personalization":"on","rejected_total":0,"source":"file",
        "version":"a2eacbe1"}"#;
    let rules = admin("rules", "The rules in force, and why the last edit was rejected");
    free(rules.answers::<RulesInForce>(200, "The rules.").shown(examples(&[("live", SHOWN)])))
}

pub(super) fn status() -> Operation {
    let status = admin("status", "Each search route's funnel, and its biggest leak");
    free(status.answers::<Status>(200, "Counted since the start of this process."))
}

pub(super) fn preview() -> Operation {
    const ASKED: &str = "ranking:\n  impact: 80\n";
    let text = Body::optional("The text of a rules file, at most 1 MiB; none means the defaults.")
        .kind::<String>("application/yaml", examples(&[("one weight", ASKED)]));
    let preview = admin("previewRules", "What an edit of the rules would change")
        .about(
            "The last real searches are ranked under the rules in force and under these. Nothing is \
             changed.",
        )
        .takes(text)
        .answers::<Summary>(200, "What would come out otherwise.");
    const LATE: &str = "the text was not there within 10 s";
    let others = [
        (408, "rules_late", LATE),
        (413, "rules_too_large", "more than 1 MiB"),
        (429, "preview_running", "another runs: one at a time"),
    ];
    let unusable = [(422, "rules_unusable", "with every problem, as `leafrank check` tells them")];
    closed(preview, &others).fails::<Unusable>(&unusable, Some("error"))
}

pub(super) fn tap() -> Operation {
    let tap = admin("tap", "Searches as they end, one JSON object a line")
        .about("Without an end. A listener that is slow misses searches, and is told how many.")
        .answers_as::<Line>(200, "application/x-ndjson", "Each line is one such object.");
    closed(tap, &[(429, "too_many_listeners", "as many listen as may")])
}

/// A search's name.
#[derive(JsonSchema)]
#[schemars(transparent)]
#[expect(dead_code, reason = "drawn alone: it is parsed by hand")]
struct QueryName(#[schemars(regex(pattern = "^[0-9A-Fa-f]{16}$"))] String);

pub(super) fn explain() -> Operation {
    let query = Parameter::path::<QueryName>("query", "The search's name, from `X-Leafrank`.");
    let explain = admin("explain", "One search, with every part of every score")
        .about("One that a trusted peer sent with `X-Leafrank-Explain: 1`; the last 512 are kept.")
        .parameter(query)
        .answers::<Told>(200, "The parts of a hit add up to its score.");
    closed(
        explain,
        &[
            (400, "malformed_query_id", "no name of a search"),
            (404, "not_explained", "nobody wanted it explained, or it was long ago"),
        ],
    )
}

pub(super) fn switch(id: &'static str, summary: &'static str) -> Operation {
    closed(admin(id, summary).answers::<Switch>(200, "Where it stands now."), &[])
}

pub(super) fn route_on() -> Operation {
    let name = Parameter::path::<String>("name", "A search route of the settings.");
    let on = admin("routeOn", "A route that its faults switched off, on again")
        .parameter(name)
        .answers::<RouteOn>(200, "It is on.");
    closed(on, &[(404, "no_such_route", "the settings have no search route of this name")])
}

fn ops(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, "ops", summary)
}

pub(super) fn alive(id: &'static str, summary: &'static str) -> Operation {
    ops(id, summary).answers_as::<String>(200, "text/plain; charset=utf-8", "`ok`.")
}

pub(super) fn ready() -> Operation {
    alive("readyz", "It takes traffic").answers_as::<String>(
        503,
        "text/plain; charset=utf-8",
        "Draining, or the shop accepts no connection.",
    )
}

pub(super) fn metrics() -> Operation {
    let text = "text/plain; version=0.0.4";
    ops("metrics", "Counts").answers_as::<String>(200, text, "Prometheus' text format.")
}

pub(super) fn version() -> Operation {
    ops("version", "Name and version").answers::<Version>(200, "What runs.")
}
