//! What is kept of each act and of each ranking, as rows of two tables.
//!
//! In: what the read path and the write path know. Out: a row whose columns are declared here, once:
//! the row's JSON, the SQL, the Parquet schema and docs/EVENTS.md all come from the declaration. A row
//! gets its [`EventId`] where it is made and keeps it, however often it is sent.

pub mod column;
pub mod render;

use std::fmt;

use uuid::Uuid;

use self::column::{Cell, Kind, Micros, RawJson, Table, Written, table};
use super::clock::Timestamp;
use super::ids::{SessionId, SubjectKey, UserId};

/// A row's id: a UUID of version 7, so that ids sort by the time at which they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(Uuid);

impl EventId {
    /// An id of this time; `chance` tells it apart from all others of the same millisecond.
    pub fn new(at: Timestamp, chance: &[u8; 10]) -> Self {
        let millis = u64::try_from(at.0).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, chance).into_uuid())
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl Written for EventId {
    const KIND: Kind = Kind::Text;
    const REQUIRED: bool = true;

    fn cell(&self) -> Cell {
        Cell::Text(self.to_string())
    }
}

/// How a row names its shopper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The user; `session:` and the visit where none is named.
    pub user_id: String,
    /// The visit; empty where none is named.
    pub session_id: String,
}

impl Names {
    /// `None` where nobody is named.
    pub fn of(user: Option<&UserId>, session: Option<&SessionId>) -> Option<Self> {
        let session_id = session.map(|session| session.as_str().to_owned()).unwrap_or_default();
        let user_id = match (user, session) {
            (Some(user), _) => user.as_str().to_owned(),
            (None, Some(_)) => format!("session:{session_id}"),
            (None, None) => return None,
        };
        Some(Self { user_id, session_id })
    }
}

table! {
    /// What shoppers did and were shown: one row an act, one row a search.
    Action, ACTIONS = "raw_user_actions" {
        /// UUIDv7, made once where the event came in; the same however often the row is sent.
        event_id: EventId,
        /// When it happened, UTC; the day of it is the partition.
        event_timestamp: Micros,
        /// `search`, or what was done: `click`, `view_details`, `time_on_product`, `add_to_cart`, `quantity_increase`, `save_for_later`, `remove_from_cart`, `purchase`, `return`, `scroll`, `viewed_never_bought`.
        event_type: String,
        /// The shopper as the shop names them; `session:` and the visit where nobody is named.
        user_id: String,
        /// The visit as the shop names it; empty where none is named.
        session_id: String,
        /// The product's key in the shop; none for a search.
        product_id: Option<String>,
        /// The product's category, as far as replies told.
        product_category: Option<String>,
        /// Its other facets: an array of `axis:value`.
        product_attributes: Option<RawJson>,
        /// The sum of the weights of what the act says of its own product.
        interaction_strength: Option<f64>,
        /// An object. Of an act: `source` (`traffic` or `track`), `route`, `quantity`, `seconds`, `signals` with their weights, `query_id` of the list it came from, `client_event_id`. Of a search: `route`, `mode`, `outcome`, `query_id`.
        interaction_context: Option<RawJson>,
        /// The words of a search; an act has those of the search with its `query_id`.
        search_query: Option<String>,
        /// Of a search: an array of the product keys in the order that the shopper saw.
        search_results_shown: Option<RawJson>,
        /// Where the product stood in its list, 0-based.
        result_position: Option<i64>,
        /// What a sender of events sent, word for word; none for what traffic showed.
        raw_event_data: Option<RawJson>,
    }
}

table! {
    /// How lists were ranked: one row a list that our order was made for, with what made it.
    Decision, DECISIONS = "ranking_decisions" {
        /// UUIDv7, made once; the same however often the row is sent.
        event_id: EventId,
        /// When it was ranked, UTC; the day of it is the partition.
        event_timestamp: Micros,
        /// As in `raw_user_actions`.
        user_id: String,
        /// As in `raw_user_actions`.
        session_id: String,
        /// The search's name: `query=` of the reply's `X-Leafrank`.
        query_id: String,
        /// The search route of the settings.
        route: String,
        /// The route's mode: `shadow`, `on` or `annotate`.
        mode: String,
        /// `reranked`, or the reason for which the shop's order went out.
        outcome: String,
        /// The arm of an experiment; none while there is none.
        arm: Option<String>,
        /// Version of the rules in force.
        rules_version: String,
        /// Version of the model; none where the rules alone rank.
        model_version: Option<String>,
        /// The words of the search.
        search_query: Option<String>,
        /// An array in the shop's order, of objects: `product_id`; `base` and `final`, 0-based positions (`final` is null for what left the page); `score`, the sum of `parts`; `tier` of relevance.
        candidates: Candidates,
        /// Hits that left their position.
        hits_moved: i64,
        /// Our own computation for all lists of the reply, in microseconds.
        rank_us: i64,
        /// How long the reply was held back, in microseconds; none where it was not.
        hold_us: Option<i64>,
    }
}

/// Every table, in the order of [`Row::table`].
pub const TABLES: [&Table; 2] = [&ACTIONS, &DECISIONS];

/// One hit of a ranked list.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct RankedHit {
    /// Its key in the shop.
    pub product_id: Box<str>,
    /// 0-based position in the upstream's order.
    pub base: u32,
    /// 0-based position as it went out, or would have.
    #[serde(rename = "final")]
    pub placed: Option<u32>,
    /// Sum of the parts.
    pub score: f32,
    /// What the score is made of; parts of 0 are left out.
    pub parts: Parts,
    /// Its tier of relevance; 0 is the most relevant.
    pub tier: u8,
}

/// Named parts of a score; at most so many are ever there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts(pub Vec<(&'static str, f32)>);

impl serde::Serialize for Parts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// The hits of a ranked list; written as JSON on the thread that writes rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidates(pub Vec<RankedHit>);

impl Written for Candidates {
    const KIND: Kind = Kind::Json;
    const REQUIRED: bool = true;

    fn cell(&self) -> Cell {
        RawJson::of(&self.0).cell()
    }
}

/// What a row says.
#[derive(Clone, Debug)]
pub enum Body {
    /// A row of [`ACTIONS`].
    Action(Box<Action>),
    /// A row of [`DECISIONS`].
    Decision(Box<Decision>),
}

/// One row, with whom it is about.
#[derive(Clone, Debug)]
pub struct Row {
    /// Whom it is about: rows of a subject who is forgotten are not sent.
    pub subject: SubjectKey,
    /// What it says.
    pub body: Body,
}

impl Row {
    /// The same with what its sender sent.
    pub fn as_sent(self, raw: Option<RawJson>) -> Self {
        let body = match self.body {
            Body::Action(action) => {
                Body::Action(Box::new(Action { raw_event_data: raw, ..*action }))
            }
            decision @ Body::Decision(_) => decision,
        };
        Self { body, ..self }
    }

    /// Its table.
    pub fn table(&self) -> &'static Table {
        match self.body {
            Body::Action(_) => &ACTIONS,
            Body::Decision(_) => &DECISIONS,
        }
    }

    /// Its JSON object: one member a column that is not null, in the table's order.
    pub fn json(&self) -> String {
        let cells = match &self.body {
            Body::Action(action) => action.cells(),
            Body::Decision(decision) => decision.cells(),
        };
        self.table().json(&cells)
    }

    /// About how many bytes it takes in memory.
    pub fn bytes(&self) -> usize {
        const ROW: usize = 512;
        match &self.body {
            Body::Action(action) => {
                let json = |raw: &Option<RawJson>| raw.as_ref().map_or(0, |raw| raw.0.len());
                ROW + json(&action.raw_event_data) + json(&action.search_results_shown)
            }
            Body::Decision(decision) => {
                let hit = |hit: &RankedHit| 256 + hit.product_id.len();
                ROW + decision.candidates.0.iter().map(hit).sum::<usize>()
            }
        }
    }
}

#[cfg(test)]
mod tests;
