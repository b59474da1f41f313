//! Routes as they are written, in the settings file and in presets.
//!
//! Sources are text like `header:X-User-ID`, `query:q`, `body:/query`, `path:sku`, `cookie:sid`;
//! pointers are JSON Pointers in which a segment may be `*`. Both are parsed by
//! [`super::build_route`].

use std::collections::BTreeMap;

use super::{Mode, ScoreBetter, UpstreamOrder, Wire};
use crate::yaml::section;

section! {
    /// A table of routes that comes with Leafrank.
    RawPreset {
        /// Its routes, in order.
        routes: Vec<RawRoute> = Vec::new(),
    }
}

section! {
    /// One kind of request; `search`, `event` or `forget` says what it does.
    #[schemars(extend("required" = ["name", "path"]))]
    RawRoute {
        /// Its name in metrics and logs; unique.
        #[schemars(length(min = 1))]
        name: String = String::new(),
        /// Method in capitals; null = any.
        method: Option<String> = None,
        /// Path with `{name}` segments: `/product/{sku}`.
        #[schemars(length(min = 1))]
        path: String = String::new(),
        /// True: the request changes nothing and may be sent twice; null = as the method says.
        read: Option<bool> = None,
        /// False: nothing is learned from it.
        learn: bool = true,
        /// It answers with hits.
        search: Option<RawSearch> = None,
        /// It says what the shopper did.
        event: Option<RawEvent> = None,
        /// Once the shop has taken it, what is known of the shopper is forgotten.
        forget: Option<RawForget> = None,
    }
}

section! {
    /// A request by which the shop forgets a shopper, and so do we.
    RawForget {
        /// Where the user is named; none = as everywhere.
        user: Vec<String> = Vec::new(),
    }
}

section! {
    /// A request that answers with hits.
    #[schemars(extend("required" = ["hits"]))]
    RawSearch {
        /// off, shadow, on, annotate; null = the mode at the top of the settings.
        mode: Option<Mode> = None,
        /// How requests and replies are written: json, or Weaviate's graphql, grpc, rest.
        wire: Wire = Wire::Json,
        /// Hits to ask the shop for where a request asks for fewer: those that taste may lift onto the
        /// page. The reply is cut to what was asked for. 0 = never more than was asked for.
        #[schemars(range(min = 0, max = 10_000))]
        window_size: u64 = 0,
        /// Where a request of JSON names its page's length: a JSON Pointer into its body, or
        /// `query:NAME`; Weaviate's wires have a place of their own. Needed where `window_size` is set.
        limit: Option<String> = None,
        /// Where it names how many hits stand before its page.
        offset: Option<String> = None,
        /// Where it names the page's number, instead.
        page: Option<String> = None,
        /// The number of the first page.
        #[schemars(range(min = 0, max = 1))]
        page_first: u64 = 1,
        /// Hits of a page where the URL names no length; 0 = such a page is asked for as it is.
        #[schemars(range(min = 0, max = 10_000))]
        page_size: u64 = 0,
        /// Properties that Weaviate is asked for beside those that a search asks for: the product's key,
        /// or what taste needs. They are taken out of the reply again.
        ask_also: Vec<String> = Vec::new(),
        /// Where the query is; the first that yields one wins.
        query: Vec<String> = Vec::new(),
        /// Parameters by which a caller chooses an order.
        sort: Vec<RawSort> = Vec::new(),
        /// Is the shop's order a ranking? ranked, unranked.
        upstream: UpstreamOrder = UpstreamOrder::Ranked,
        /// Do scores mean something, and which way? higher, lower, null = no.
        score_better: Option<ScoreBetter> = None,
        /// All of these must hold in the reply, else it passes.
        only_if: Vec<RawCondition> = Vec::new(),
        /// Where the hits are and what their members are called.
        hits: RawHitMap = RawHitMap::default(),
    }
}

section! {
    /// A parameter by which a caller chooses an order.
    #[schemars(extend("required" = ["from"]))]
    RawSort {
        /// Where it is.
        from: String = String::new(),
        /// Values that mean "by relevance".
        neutral: Vec<String> = Vec::new(),
    }
}

section! {
    /// Something that must hold in a reply.
    #[schemars(extend("required" = ["at"]))]
    RawCondition {
        /// JSON Pointer.
        at: String = String::new(),
        /// Text, number, true, false, or null (which also means: not there).
        is: serde_json::Value = serde_json::Value::Null,
    }
}

section! {
    /// Where hits, or one product's facts, are. All but `at` start at the hit.
    RawHitMap {
        /// The array of hits (only where `wire` is json, or the array stands elsewhere than usual);
        /// for facts: the object that holds them.
        at: Option<String> = None,
        /// The stable product key (hits, and facts in a reply whose request names another).
        id: Option<String> = None,
        /// The key where `id` yields none: an object's own id.
        id_or: Option<String> = None,
        /// Name.
        name: Option<String> = None,
        /// Category: text, or a path with `/`.
        category: Option<String> = None,
        /// Brand or supplier.
        brand: Option<String> = None,
        /// Attributes: an array of text, or text.
        attributes: Option<String> = None,
        /// Further search terms: an array of text, or text.
        terms: Option<String> = None,
        /// Price: a number, or numeric text.
        price: Option<String> = None,
        /// The shop's score: a number, or numeric text.
        score: Option<String> = None,
        /// In stock: boolean, or a number (0 = out).
        stock: Option<String> = None,
        /// Sponsored: a true value locks the position.
        sponsored: Option<String> = None,
    }
}

section! {
    /// A request that says what the shopper did.
    #[schemars(extend("required" = ["product"]))]
    RawEvent {
        /// The kind, where every such request is one: `view`, `add_to_cart`, `purchase`.
        kind: Option<String> = None,
        /// Where the request names the kind, else.
        kind_from: Vec<String> = Vec::new(),
        /// Words of this shop for kinds.
        kinds: BTreeMap<String, String> = BTreeMap::new(),
        /// One event for each element that this pointer matches, e.g. `/lines/*`.
        each: Option<String> = None,
        /// Where the product key is; body pointers start at the element where `each` is set.
        product: Vec<String> = Vec::new(),
        /// Where the number of units is.
        quantity: Vec<String> = Vec::new(),
        /// Where the number of units is that the cart then holds, instead: 0 takes the product out.
        cart_quantity: Vec<String> = Vec::new(),
        /// Where a purchase says that it repeats by contract: a word other than false, no and 0.
        subscription: Vec<String> = Vec::new(),
        /// Where the sender's id of the event is.
        event_id: Vec<String> = Vec::new(),
        /// Where the seconds spent on the product are.
        seconds: Vec<String> = Vec::new(),
        /// What the request says of the product.
        facts: Option<RawHitMap> = None,
        /// The same under other names, asked for whatever `facts` does not yield.
        facts_or: Option<RawHitMap> = None,
        /// What the reply says of the product.
        reply_facts: Option<RawHitMap> = None,
    }
}
