//! What a URL of a Weaviate means, and what it may not be.

use std::collections::BTreeMap;

use super::super::{Origin, Settings, SettingsText, WEAVIATE_URL};
use super::*;

fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let environment: BTreeMap<String, String> = variables.iter().map(own).collect();
    let text = SettingsText { file: Some("w.yaml"), text, environment: &environment, flags: &[] };
    let said = |problems: Vec<crate::types::problem::Problem>| {
        problems.iter().map(ToString::to_string).collect()
    };
    Settings::parse(&text).map_err(said)
}

/// `address authority` of both upstreams; `-` where the client's own `Host` stays.
fn meant(url: &str) -> Result<[String; 2], Vec<String>> {
    let weaviate = parse("", &[(WEAVIATE_URL, url)])?.weaviate.expect("a Weaviate");
    Ok([&weaviate.http, &weaviate.grpc].map(|entrance| {
        let Upstream { addresses, tls, authority, .. } = &entrance.upstream;
        assert_eq!(tls.is_some(), authority.is_some());
        if let (Some(tls), UpstreamAddress::Tcp { host, .. }) = (tls, &addresses[0]) {
            assert_eq!((&tls.server_name, &tls.ca), (host, &None));
        }
        format!("{} {}", addresses[0], authority.as_deref().unwrap_or("-"))
    }))
}

#[test]
fn grpc_is_where_weaviates_own_clients_look_for_it() {
    let gcp = "abc.c0.europe-west3.gcp.weaviate.cloud";
    let gcp_http = format!("{gcp}:443 {gcp}");
    let gcp_grpc = format!("grpc-{gcp}:443 grpc-{gcp}");
    let gcp_of = |url: String| (url, gcp_http.as_str(), gcp_grpc.as_str());
    let table = [
        gcp_of(format!("https://{gcp}")),
        gcp_of(format!("https://{gcp}/")),
        gcp_of(format!("  https://{gcp}:443 ")),
        gcp_of(format!("HTTPS://{}", gcp.to_uppercase())),
        gcp_of(gcp.to_owned()),
        gcp_of(format!("{gcp}:443")),
        (
            "https://my-cluster.weaviate.cloud".into(),
            "my-cluster.weaviate.cloud:443 my-cluster.weaviate.cloud",
            "grpc-my-cluster.weaviate.cloud:443 grpc-my-cluster.weaviate.cloud",
        ),
        (
            "https://sandbox.weaviate.network".into(),
            "sandbox.weaviate.network:443 sandbox.weaviate.network",
            "sandbox.grpc.weaviate.network:443 sandbox.grpc.weaviate.network",
        ),
        (
            "search.example.com".into(),
            "search.example.com:443 search.example.com",
            "grpc-search.example.com:443 grpc-search.example.com",
        ),
        ("http://localhost:8090".into(), "localhost:8090 -", "localhost:50051 -"),
        ("http://weaviate:8080/".into(), "weaviate:8080 -", "weaviate:50051 -"),
        ("http://weaviate".into(), "weaviate:80 -", "weaviate:50051 -"),
        ("http://10.0.0.7:8080".into(), "10.0.0.7:8080 -", "10.0.0.7:50051 -"),
        ("http://[fd00::7]:8080".into(), "[fd00::7]:8080 -", "[fd00::7]:50051 -"),
    ];
    for (url, http, grpc) in table {
        let expected = [http.to_owned(), grpc.to_owned()];
        assert_eq!(meant(&url), Ok(expected), "{url}");
    }
}

#[test]
fn a_url_that_cannot_be_meant_is_refused_with_what_was_expected() {
    for (url, said) in [
        ("https://a.weaviate.cloud/v1", "without a path"),
        ("https://key:secret@a.weaviate.cloud", "a URL with a user in it"),
        ("https://a.weaviate.cloud?apiKey=secret", "a URL with a query"),
        ("grpc://a.weaviate.cloud", "found \"grpc://a.weaviate.cloud\""),
        ("unix:/run/weaviate.sock", "found \"unix:/run/weaviate.sock\""),
        ("https://", "found \"https://\""),
        ("https://a b", "found \"https://a b\""),
        ("https://a.weaviate.cloud:port", "expected https://my-cluster"),
        ("localhost:8080", "did you mean \"http://localhost:8080\"?"),
        ("http://a.weaviate.cloud", "did you mean \"https://a.weaviate.cloud\"?"),
    ] {
        let problems = meant(url).expect_err(url);
        assert_eq!(problems.len(), 1, "{url}: {problems:?}");
        assert!(problems[0].starts_with("WEAVIATE_URL: weaviate.url: "), "{}", problems[0]);
        assert!(problems[0].contains(said), "{}", problems[0]);
        assert!(!problems[0].contains("secret"), "{}", problems[0]);
    }
}

#[test]
fn where_grpc_does_not_follow_it_has_to_be_said() {
    for url in ["https://localhost", "https://10.0.0.7", "https://a.example.com:8443"] {
        let problems = meant(url).expect_err(url);
        assert_eq!(problems.len(), 1, "{url}: {problems:?}");
        let said = format!("expected the URL of its gRPC port: it does not follow from {url}");
        assert!(problems[0].contains("weaviate.grpc_url: missing key"), "{}", problems[0]);
        assert!(problems[0].contains(&said), "{}", problems[0]);
    }
    let both = "weaviate: {url: 'https://localhost:8443', grpc_url: 'https://localhost:8444', \
                ca: roots.pem}";
    let weaviate = parse(both, &[]).unwrap().weaviate.unwrap();
    for (entrance, authority) in
        [(weaviate.http, "localhost:8443"), (weaviate.grpc, "localhost:8444")]
    {
        assert_eq!(entrance.upstream.authority.as_deref(), Some(authority));
        let tls = entrance.upstream.tls.unwrap();
        assert_eq!((tls.server_name.as_str(), tls.ca), ("localhost", Some("roots.pem".into())));
    }
    let plain = "weaviate: {url: 'https://a.example.com', grpc_url: 'http://grpc.internal'}";
    let grpc = parse(plain, &[]).unwrap().weaviate.unwrap().grpc.upstream;
    assert_eq!(
        (grpc.addresses[0].to_string().as_str(), grpc.tls.is_none()),
        ("grpc.internal:50051", true)
    );
}

#[test]
fn the_two_listeners_collide_with_nothing() {
    let url = "url: 'http://10.0.0.7:8080'";
    for (text, key) in [
        (format!("weaviate: {{{url}, grpc: '127.0.0.1:8082'}}"), "weaviate.grpc"),
        (format!("weaviate: {{{url}, http: '0.0.0.0:9901'}}"), "listen.admin"),
        (
            format!(
                "weaviate: {{{url}, http: '127.0.0.1:8080'}}\nupstream: {{addresses: ['a:1']}}"
            ),
            "weaviate.http",
        ),
        (format!("weaviate: {{{url}, http: localhost:8082}}"), "weaviate.http"),
        ("weaviate: {url: 'http://127.0.0.1:8082'}".into(), "weaviate.url"),
        ("weaviate: {url: 'http://localhost:8090', grpc: '127.0.0.1:50051'}".into(), "weaviate"),
        (format!("weaviate: {{{url}, ca: roots.pem}}"), "weaviate.ca"),
    ] {
        let problems = parse(&text, &[]).expect_err(&text);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(problems[0].contains(&format!(": {key}")), "{text}: {}", problems[0]);
    }
    let data = format!("weaviate: {{{url}, http: '127.0.0.1:8080'}}");
    assert!(parse(&data, &[]).is_ok(), "without a shop nobody listens on listen.data");
}

fn legs(settings: &Settings) -> Vec<LegName> {
    settings.legs().iter().map(|leg| leg.upstream.leg).collect()
}

#[test]
fn a_weaviate_alone_is_enough_and_stands_beside_a_shop_that_is_named() {
    let ports = [LegName::WeaviateHttp, LegName::WeaviateGrpc];
    let url = (WEAVIATE_URL, "https://a.weaviate.cloud");
    assert_eq!(legs(&parse("", &[url]).unwrap()), ports);
    let shop = "upstream: {addresses: [http://shop:8000]}";
    let both = parse(shop, &[url]).unwrap();
    assert_eq!(legs(&both), [LegName::Shop, ports[0], ports[1]]);
    assert!(both.presets.contains(&"leafloaf".to_owned()));
    assert!(!parse("", &[url]).unwrap().presets.contains(&"leafloaf".to_owned()));
    assert_eq!(parse("presets: [demo]", &[url]).unwrap().presets, ["demo"]);
    for known in preset::PRESETS.iter().filter(|known| known.name == PRESET) {
        assert!(parse(shop, &[url]).unwrap().presets.contains(&known.name.to_owned()));
    }
    assert_eq!(legs(&parse("", &[]).unwrap()), [LegName::Shop]);
    assert_eq!(legs(&parse("", &[(WEAVIATE_URL, " ")]).unwrap()), [LegName::Shop]);
}

#[test]
fn our_own_variable_wins_over_the_one_that_others_read_too() {
    let theirs = (WEAVIATE_URL, "https://a.weaviate.cloud");
    let host = |ours: &str| {
        let settings = parse("", &[theirs, ("LEAFRANK_WEAVIATE__URL", ours)]).unwrap();
        settings.weaviate.map(|weaviate| weaviate.http.upstream.addresses[0].to_string())
    };
    assert_eq!(host("http://weaviate:8080").as_deref(), Some("weaviate:8080"));
    assert_eq!(host("null"), None);
    let settings = parse("weaviate: {url: 'http://filed:8080'}", &[theirs]).unwrap();
    let url = settings.effective.iter().find(|effective| effective.key == "weaviate.url").unwrap();
    assert_eq!((&url.value, url.origin), (&serde_json::json!(theirs.1), Origin::Environment));
}
