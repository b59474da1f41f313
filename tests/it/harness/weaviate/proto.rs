//! The messages of `weaviate.v1` as far as the small Weaviate and its stories need them; written by
//! hand, so that no compiler of schemas is needed.

use std::collections::BTreeMap;

#[derive(Clone, PartialEq, prost::Message)]
pub struct SearchRequest {
    #[prost(string, tag = "1")]
    pub collection: String,
    #[prost(message, optional, tag = "20")]
    pub properties: Option<PropertiesRequest>,
    #[prost(message, optional, tag = "21")]
    pub metadata: Option<MetadataRequest>,
    #[prost(uint32, tag = "30")]
    pub limit: u32,
    #[prost(uint32, tag = "31")]
    pub offset: u32,
    #[prost(string, tag = "33")]
    pub after: String,
    #[prost(message, optional, tag = "40")]
    pub filters: Option<Filters>,
    #[prost(message, optional, tag = "41")]
    pub hybrid: Option<Words>,
    #[prost(message, optional, tag = "42")]
    pub bm25: Option<Words>,
    #[prost(message, optional, tag = "45")]
    pub near_text: Option<Concepts>,
    #[prost(bool, tag = "100")]
    pub uses_123_api: bool,
    #[prost(bool, tag = "101")]
    pub uses_125_api: bool,
    #[prost(bool, tag = "102")]
    pub uses_127_api: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct PropertiesRequest {
    #[prost(string, repeated, tag = "1")]
    pub non_ref_properties: Vec<String>,
    #[prost(bool, tag = "11")]
    pub return_all_nonref_properties: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct MetadataRequest {
    #[prost(bool, tag = "1")]
    pub uuid: bool,
    #[prost(bool, tag = "3")]
    pub creation_time: bool,
    #[prost(bool, tag = "4")]
    pub last_update_time: bool,
    #[prost(bool, tag = "7")]
    pub score: bool,
}

/// One condition; of those that are made of others, nothing is known here.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Filters {
    #[prost(int32, tag = "1")]
    pub operator: i32,
    #[prost(string, optional, tag = "4")]
    pub value_text: Option<String>,
    #[prost(message, optional, tag = "20")]
    pub target: Option<FilterTarget>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct FilterTarget {
    #[prost(string, tag = "1")]
    pub property: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Words {
    #[prost(string, tag = "1")]
    pub query: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Concepts {
    #[prost(string, repeated, tag = "1")]
    pub query: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct SearchReply {
    #[prost(float, tag = "1")]
    pub took: f32,
    #[prost(message, repeated, tag = "2")]
    pub results: Vec<SearchResult>,
    #[prost(string, optional, tag = "3")]
    pub generative_grouped_result: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct SearchResult {
    #[prost(message, optional, tag = "1")]
    pub properties: Option<PropertiesResult>,
    #[prost(message, optional, tag = "2")]
    pub metadata: Option<MetadataResult>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct PropertiesResult {
    #[prost(string, tag = "3")]
    pub target_collection: String,
    #[prost(message, optional, tag = "11")]
    pub non_ref_props: Option<Properties>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct MetadataResult {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(int64, tag = "3")]
    pub creation_time: i64,
    #[prost(bool, tag = "4")]
    pub creation_time_present: bool,
    #[prost(int64, tag = "5")]
    pub last_update_time: i64,
    #[prost(bool, tag = "6")]
    pub last_update_time_present: bool,
    #[prost(float, tag = "11")]
    pub score: f32,
    #[prost(bool, tag = "12")]
    pub score_present: bool,
    #[prost(bytes = "vec", tag = "20")]
    pub id_as_bytes: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Properties {
    #[prost(btree_map = "string, message", tag = "1")]
    pub fields: BTreeMap<String, Value>,
}

/// One of these is there.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Value {
    #[prost(double, optional, tag = "1")]
    pub number: Option<f64>,
    #[prost(bool, optional, tag = "3")]
    pub boolean: Option<bool>,
    #[prost(message, optional, tag = "5")]
    pub list: Option<List>,
    #[prost(string, optional, tag = "13")]
    pub text: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct List {
    #[prost(message, optional, tag = "8")]
    pub texts: Option<Texts>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Texts {
    #[prost(string, repeated, tag = "1")]
    pub values: Vec<String>,
}
