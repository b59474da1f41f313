//! Finding the hits of GraphQL's replies: a list that came with errors is not whole.
//!
//! In: where hits are and what they are called, compiled once into a [`GraphqlPlan`], and a body.
//! Out: a [`Reply`] as of any JSON. What stands beside `errors` is left alone: of a document the
//! whole body, of a batch the lists of that element. `null` and nothing are no errors.

use crate::wire::doubt::Doubt;
use crate::wire::json::Json;
use crate::wire::map::{Condition, Expected, HitMap};
use crate::wire::plan::{DecodeLimits, HitPlan, Reply, SkippedList};
use crate::wire::pointer::Pointer;

const ERRORS: &str = "errors";

/// A [`HitMap`] and conditions, compiled for reading many replies.
#[derive(Clone, Debug)]
pub struct GraphqlPlan {
    hits: HitPlan,
    errors: Pointer,
}

impl GraphqlPlan {
    /// Compiles where hits are, what they are called, and what must hold beside them.
    pub fn new(map: &HitMap, only_if: &[Condition]) -> Self {
        let errors = Pointer(vec![ERRORS.to_owned()]);
        let whole = Condition { at: errors.clone(), is: Expected::Null };
        Self { hits: HitPlan::new(map, &[&[whole], only_if].concat()), errors }
    }

    /// Finds the hits of `body`, one answer or a batch of them.
    ///
    /// # Errors
    /// The reason to leave the whole body alone. When no list is usable, that is the reason of the
    /// first list, or [`Doubt::NoHits`].
    pub fn decode<'a>(
        &self,
        body: &'a [u8],
        limits: &DecodeLimits<'_>,
    ) -> Result<Reply<'a>, Doubt> {
        self.left(self.hits.decode(body, limits)?, body)
    }

    /// The lists of a batch's answers with errors are left alone.
    fn left<'a>(&self, mut reply: Reply<'a>, body: &'a [u8]) -> Result<Reply<'a>, Doubt> {
        if !body.trim_ascii_start().starts_with(b"[") {
            return Ok(reply);
        }
        for (position, answer) in Json::parse(body)?.elements().into_iter().enumerate() {
            if answer.get(&self.errors)?.is_none_or(Json::is_null) {
                continue;
            }
            let within = format!("/{position}/");
            let torn = reply.lists.extract_if(.., |list| list.at.starts_with(&within));
            reply.skipped.extend(
                torn.map(|list| SkippedList { at: list.at, doubt: Doubt::ConditionFailed }),
            );
        }
        match reply.lists.is_empty() {
            true => Err(reply.skipped.first().map_or(Doubt::NoHits, |list| list.doubt)),
            false => Ok(reply),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(only_if: &[Condition]) -> GraphqlPlan {
        let pointer = |text| Pointer::parse(text).unwrap();
        let of = |at| HitMap { at: pointer(at), id: pointer("/sku"), ..HitMap::default() };
        GraphqlPlan::new(&of("/*/data/Get/*"), only_if)
    }

    type Found = (Vec<String>, Vec<(String, Doubt)>);

    /// The lists that may be touched, and those that may not with the reason.
    fn read(body: &str) -> Result<Found, Doubt> {
        let reply = plan(&[]).decode(body.as_bytes(), &DecodeLimits::default())?;
        let skipped = reply.skipped.into_iter().map(|list| (list.at, list.doubt));
        Ok((reply.lists.into_iter().map(|list| list.at).collect(), skipped.collect()))
    }

    /// An answer with two lists, and `more` beside its data.
    fn answer(more: &str) -> String {
        format!(r#"{{"data":{{"Get":{{"a":[{{"sku":"1"}}],"b":[{{"sku":"2"}}]}}}}{more}}}"#)
    }

    const ERROR: &str = r#","errors":[{"message":"no"}]"#;

    #[test]
    fn of_a_batch_only_the_lists_of_answers_with_errors_are_left() {
        let well = answer("");
        let body = format!(" [{well},{},{}]", answer(ERROR), answer(r#","errors":null"#));
        let (lists, skipped) = read(&body).unwrap();
        let at = |n: u8, key: &str| format!("/{n}/data/Get/{key}");
        assert_eq!(lists, [at(0, "a"), at(0, "b"), at(2, "a"), at(2, "b")]);
        let doubt = Doubt::ConditionFailed;
        assert_eq!(skipped, [(at(1, "a"), doubt), (at(1, "b"), doubt)]);
    }

    #[test]
    fn positions_of_a_batch_are_whole_numbers() {
        let mut answers = vec![answer(""); 12];
        answers[1] = answer(ERROR);
        let (lists, skipped) = read(&format!("[{}]", answers.join(","))).unwrap();
        assert_eq!((lists.len(), skipped.len()), (22, 2));
        assert!(lists.contains(&"/11/data/Get/a".to_owned()));
    }

    #[test]
    fn a_batch_of_nothing_but_errors_is_left_whole() {
        let body = format!("[{},{}]", answer(ERROR), answer(r#","errors":[]"#));
        assert_eq!(read(&body), Err(Doubt::ConditionFailed));
        let twice = format!("[{},{}]", answer(""), answer(&ERROR.repeat(2)));
        assert_eq!(read(&twice), Err(Doubt::DuplicateKey));
        assert_eq!(read("[7,null,{\"errors\":[]}]"), Err(Doubt::NoHits));
    }

    #[test]
    fn a_document_with_errors_is_left_whole() {
        let pointer = |text| Pointer::parse(text).unwrap();
        let map = HitMap { at: pointer("/data/Get/*"), id: pointer("/sku"), ..HitMap::default() };
        let plan = GraphqlPlan::new(&map, &[]);
        let lists = |body: String| {
            plan.decode(body.as_bytes(), &DecodeLimits::default()).map(|reply| reply.lists.len())
        };
        assert_eq!(lists(answer("")), Ok(2));
        assert_eq!(lists(answer(r#","errors":null"#)), Ok(2));
        assert_eq!(lists(answer(ERROR)), Err(Doubt::ConditionFailed));
    }

    #[test]
    fn a_condition_of_the_route_still_counts() {
        let done = Condition { at: Pointer::parse("/*/done").unwrap(), is: Expected::Null };
        let body = format!("[{},{}]", answer(""), answer(r#","done":1"#));
        let read = plan(&[done]).decode(body.as_bytes(), &DecodeLimits::default());
        assert_eq!(read.err(), Some(Doubt::ConditionFailed));
    }
}
