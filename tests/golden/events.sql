CREATE TABLE leafloaf_events.raw_user_actions (
  event_id STRING NOT NULL OPTIONS (description = "UUIDv7, made once where the event came in; the same however often the row is sent."),
  event_timestamp TIMESTAMP NOT NULL OPTIONS (description = "When it happened, UTC; the day of it is the partition."),
  event_type STRING NOT NULL OPTIONS (description = "`search`, or what was done: `click`, `view_details`, `time_on_product`, `add_to_cart`, `quantity_increase`, `save_for_later`, `remove_from_cart`, `purchase`, `return`, `scroll`, `viewed_never_bought`."),
  user_id STRING NOT NULL OPTIONS (description = "The shopper as the shop names them; `session:` and the visit where nobody is named."),
  session_id STRING NOT NULL OPTIONS (description = "The visit as the shop names it; empty where none is named."),
  product_id STRING OPTIONS (description = "The product's key in the shop; none for a search."),
  product_category STRING OPTIONS (description = "The product's category, as far as replies told."),
  product_attributes JSON OPTIONS (description = "Its other facets: an array of `axis:value`."),
  interaction_strength FLOAT64 OPTIONS (description = "The sum of the weights of what the act says of its own product."),
  interaction_context JSON OPTIONS (description = "An object. Of an act: `source` (`traffic` or `track`), `route`, `quantity`, `seconds`, `signals` with their weights, `query_id` of the list it came from, `client_event_id`. Of a search: `route`, `mode`, `outcome`, `query_id`."),
  search_query STRING OPTIONS (description = "The words of a search; an act has those of the search with its `query_id`."),
  search_results_shown JSON OPTIONS (description = "Of a search: an array of the product keys in the order that the shopper saw."),
  result_position INT64 OPTIONS (description = "Where the product stood in its list, 0-based."),
  raw_event_data JSON OPTIONS (description = "What a sender of events sent, word for word; none for what traffic showed.")
)
PARTITION BY DATE(event_timestamp)
CLUSTER BY user_id, event_type;

CREATE TABLE leafloaf_events.ranking_decisions (
  event_id STRING NOT NULL OPTIONS (description = "UUIDv7, made once; the same however often the row is sent."),
  event_timestamp TIMESTAMP NOT NULL OPTIONS (description = "When it was ranked, UTC; the day of it is the partition."),
  user_id STRING NOT NULL OPTIONS (description = "As in `raw_user_actions`."),
  session_id STRING NOT NULL OPTIONS (description = "As in `raw_user_actions`."),
  query_id STRING NOT NULL OPTIONS (description = "The search's name: `query=` of the reply's `X-Leafrank`."),
  route STRING NOT NULL OPTIONS (description = "The search route of the settings."),
  mode STRING NOT NULL OPTIONS (description = "The route's mode: `shadow`, `on` or `annotate`."),
  outcome STRING NOT NULL OPTIONS (description = "`reranked`, or the reason for which the shop's order went out."),
  arm STRING OPTIONS (description = "The arm of an experiment; none while there is none."),
  rules_version STRING NOT NULL OPTIONS (description = "Version of the rules in force."),
  model_version STRING OPTIONS (description = "Version of the model; none where the rules alone rank."),
  search_query STRING OPTIONS (description = "The words of the search."),
  candidates JSON NOT NULL OPTIONS (description = "An array in the shop's order, of objects: `product_id`; `base` and `final`, 0-based positions (`final` is null for what left the page); `score`, the sum of `parts`; `tier` of relevance."),
  hits_moved INT64 NOT NULL OPTIONS (description = "Hits that left their position."),
  rank_us INT64 NOT NULL OPTIONS (description = "Our own computation for all lists of the reply, in microseconds."),
  hold_us INT64 OPTIONS (description = "How long the reply was held back, in microseconds; none where it was not.")
)
PARTITION BY DATE(event_timestamp)
CLUSTER BY user_id;
