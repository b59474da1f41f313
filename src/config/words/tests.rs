//! Words of the settings: addresses, sources, path patterns.

use super::*;

#[test]
fn upstream_addresses_come_as_urls_pairs_and_sockets() {
    let tcp = |host: &str, port| UpstreamAddress::Tcp { host: host.into(), port };
    for (text, address, tls) in [
        ("http://127.0.0.1:8000", tcp("127.0.0.1", 8000), Some(false)),
        ("http://shop/", tcp("shop", 80), Some(false)),
        ("https://shop.example", tcp("shop.example", 443), Some(true)),
        ("shop:8000", tcp("shop", 8000), None),
        ("http://[::1]:9", tcp("::1", 9), Some(false)),
        ("http://[::1]", tcp("::1", 80), Some(false)),
        ("unix:/run/shop.sock", UpstreamAddress::Unix("/run/shop.sock".into()), None),
    ] {
        assert_eq!(UpstreamAddress::parse(text), Ok((address, tls)), "{text}");
    }
    for text in [
        "",
        "shop",
        "shop:",
        "shop:0",
        "shop:99999",
        "shop:+80",
        ":80",
        "http://shop:80/path",
        "http://u:p@shop",
        "ftp://shop",
        "unix:relative",
        "http://[::1",
        "http://[::1]x",
        "a b:80",
    ] {
        assert!(UpstreamAddress::parse(text).is_err(), "{text}");
    }
}

#[test]
fn sources_name_their_kind() {
    assert_eq!(
        Source::parse("header:X-User-ID"),
        Ok(Source::Header(http::HeaderName::from_static("x-user-id")))
    );
    assert_eq!(Source::parse("query:q"), Ok(Source::Query("q".into())));
    assert_eq!(
        Source::parse("body:/a~1b/*"),
        Ok(Source::Body(Pointer(vec!["a/b".into(), "*".into()])))
    );
    for text in ["", "q", "header:", "header:a b", "body:a", "body:/a~2", "heeder:x"] {
        assert!(Source::parse(text).is_err(), "{text}");
    }
}

#[test]
fn path_patterns_take_whole_segments() {
    let segment = |text: &str| Segment::Literal(text.into());
    assert_eq!(PathPattern::parse("/"), Ok(PathPattern(Vec::new())));
    assert_eq!(
        PathPattern::parse("/product/{sku}"),
        Ok(PathPattern(vec![segment("product"), Segment::Named("sku".into())]))
    );
    assert_eq!(PathPattern::parse("/a/"), Ok(PathPattern(vec![segment("a"), segment("")])));
    for text in ["", "a", "/a?b", "/a b", "/x{y}", "/{}", "/{a}/{a}", "/a/*", "/{{a}}"] {
        assert!(PathPattern::parse(text).is_err(), "{text}");
    }
}

#[test]
fn any_text_is_a_word_or_a_fault_and_never_a_panic() {
    bolero::check!().with_iterations(3_000).for_each(|bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let _ = (Source::parse(&text), PathPattern::parse(&text), ListenAddress::parse(&text));
        let _ = (UpstreamAddress::parse(&text), method(&text), preset(&text), interaction(&text));
    });
}
