//! Every code that an error of ours may name: its status, and when it comes.
//!
//! In: codes that an operation lists. Out: its errors, for the document. The table is the one place
//! that says which code has which status.

use crate::openapi::{Operation, Trouble};

/// Status, code, when.
const TABLE: &[Trouble] = &[
    (400, "bad_action", "none of the actions"),
    (400, "bad_axis", "none of the axes of facets"),
    (400, "bad_debug", "`debug` is none of its words"),
    (400, "bad_event_id", "an event's id that is no text of 256 bytes"),
    (400, "bad_limit", "`limit` is not within 1 to 1000"),
    (400, "bad_path", "a path that is no UTF-8"),
    (400, "bad_position", "a place that is no whole number, or none that a list has"),
    (400, "bad_product_id", "the product's key is missing, too long or no text"),
    (400, "bad_quantity", "units that are not above 0 and up to 10,000"),
    (400, "bad_query", "`query` is missing, blank, too long or holds control characters"),
    (400, "bad_recent_views", "a product's key that cannot be one"),
    (400, "bad_session_id", "a visit's name that cannot be one"),
    (400, "bad_context", "`context` is no object"),
    (400, "bad_time", "a stay that is missing or not within a day"),
    (400, "bad_time_of_day", "none of the parts of a day"),
    (400, "bad_timestamp", "a time that cannot be read"),
    (400, "bad_trace", "a trace that is not 32 hexadecimal digits, or all 0"),
    (
        400,
        "bad_user_id",
        "a user's name that is too long, means nobody or holds control characters",
    ),
    (400, "bad_value", "a facet's value that cannot be one"),
    (400, "bad_view", "none of the views"),
    (400, "body_broken", "the body broke off"),
    (400, "event_too_large", "an event of more than half of `spool.row_bytes_max`"),
    (400, "malformed_choice", "no action, or something beside it"),
    (400, "malformed_consent", "no choice, or one that contradicts itself"),
    (400, "malformed_event", "no JSON, or not in this form"),
    (400, "malformed_joins", "no JSON, or not in this form"),
    (400, "malformed_query", "a query string that cannot be read, or names something twice"),
    (400, "malformed_search", "no JSON, or not in this form"),
    (400, "no_subject", "neither a user nor a visit is named"),
    (400, "no_user_id", "the query parameter `user_id` is missing"),
    (400, "timestamp_out_of_range", "a time too far back or ahead"),
    (400, "unknown_type", "a word for what was done that is not known"),
    (401, "no_api_token", "no API token came along"),
    (401, "not_this_user", "nobody has proven to be this user, or to be an operator"),
    (401, "user_only_claimed", "nobody vouches for the user, and claims do not count here"),
    (403, "opted_out", "nothing may be learned of this user"),
    (403, "sensitive_not_allowed", "the facet tells of religion, health or intimacy"),
    (408, "too_slow", "the body did not come, or the answer was not made, within 30 s"),
    (413, "body_too_large", "a body beyond its limit"),
    (413, "too_many_events", "more events than `limits.track_items_max`"),
    (415, "coded_body", "a compressed body"),
    (415, "not_json", "a body that says to be something else than JSON"),
    (422, "shop_declined", "the shop does not take this query, or so many hits"),
    (426, "not_a_websocket", "no handshake of a WebSocket"),
    (429, "too_many_listeners", "as many listen as may (`store.live_listeners_max`)"),
    (500, "fault", "a fault of ours"),
    (500, "no_answer", "a fault of ours"),
    (500, "not_kept", "in force until the next start, and not on the disk"),
    (501, "no_search_route", "the settings have no search route that can be asked"),
    (502, "shop_hung_up", "the shop broke off"),
    (502, "shop_refused", "the shop answered with an error"),
    (502, "shop_reply_broken", "the shop's reply broke off, or is too long"),
    (502, "shop_reply_encoded", "the shop's reply came in a content coding"),
    (502, "shop_reply_unread", "the shop's reply has no list to rank"),
    (502, "shop_timed_out", "the shop did not answer in time"),
    (502, "shop_unreachable", "the shop accepts no connection"),
    (
        503,
        "not_kept_now",
        "the event log takes nothing at this moment; what was sent may be sent again",
    ),
    (503, "too_many_bodies", "bodies take `limits.track_held_bytes_max` already"),
    (
        507,
        "too_many_choices",
        "as many choices as are kept (`identity.consent.subjects_max`, `store.choices_max`, \
     `choices_per_user_max`)",
    ),
];

/// What any endpoint may answer.
const ANYWHERE: [&str; 2] = ["too_slow", "fault"];

/// What reading events as a whole may end in.
pub(super) const UNREAD: [&str; 8] = [
    "malformed_event",
    "bad_debug",
    "body_broken",
    "body_too_large",
    "too_many_events",
    "coded_body",
    "too_many_bodies",
    "not_kept_now",
];

/// What reading any other body may end in, beside what is malformed.
pub(super) const UNSENT: [&str; 4] = ["body_broken", "body_too_large", "coded_body", "not_json"];

/// Why one event may be refused.
pub(super) const REFUSED: [&str; 13] = [
    "event_too_large",
    "unknown_type",
    "bad_product_id",
    "bad_user_id",
    "bad_session_id",
    "bad_event_id",
    "bad_quantity",
    "bad_timestamp",
    "timestamp_out_of_range",
    "bad_time",
    "bad_position",
    "bad_context",
    "no_subject",
];

/// The rows of these codes, and those that come anywhere.
pub(super) fn rows(codes: &[&str]) -> Vec<Trouble> {
    let wanted = |code: &str| codes.contains(&code) || ANYWHERE.contains(&code);
    TABLE.iter().filter(|(_, code, _)| wanted(code)).copied().collect()
}

/// The operation, failing in our own words with these codes.
pub(super) fn fails(operation: Operation, codes: &[&str]) -> Operation {
    operation.fails::<super::error::Body>(&rows(codes), Some("error"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_of_the_table_is_one_that_an_operation_lists() {
        let document = crate::api::document().to_string();
        for (_, code, _) in TABLE {
            assert!(document.contains(&format!("`{code}`")), "{code} comes nowhere");
        }
    }

    #[test]
    fn each_code_stands_once_in_the_table_in_order_of_its_status() {
        assert!(TABLE.is_sorted_by_key(|row| row.0));
        for (at, (_, code, _)) in TABLE.iter().enumerate() {
            assert!(TABLE[at + 1..].iter().all(|row| row.1 != *code), "{code}");
        }
        for code in UNREAD.iter().chain(&UNSENT).chain(&REFUSED).chain(&ANYWHERE) {
            assert!(TABLE.iter().any(|row| row.1 == *code), "{code}");
        }
    }
}
