//! TLS by rustls: on the data port, and towards the shop.

use crate::harness::tls::Certificates;
use crate::harness::{Answer, Shop, Sidecar, Wire, get, http2};

#[tokio::test]
async fn the_data_port_speaks_tls_with_http1_and_http2_by_alpn() {
    let directory = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(directory.path(), "shop.test");
    let shop = Shop::start(|asked| Answer::reply("200 OK", &[], asked.path().as_bytes())).await;
    let tls = format!(
        "tls: {{certificate: {:?}, key: {:?}}}",
        certificates.certificate, certificates.key
    );
    let sidecar = Sidecar::before(shop.address).listen(&tls).start().await;
    for offered in [&[][..], &["http/1.1"][..]] {
        let stream = certificates.connect(sidecar.data, "shop.test", offered).await;
        let mut wire = Wire::over(stream);
        for path in ["/one", "/again"] {
            wire.send(format!("GET {path} HTTP/1.1\r\nHost: shop.test\r\n\r\n")).await;
            assert_eq!(wire.reply().await.text(), path);
        }
    }
    let stream = certificates.connect(sidecar.data, "shop.test", &["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let sender = http2::over(stream).await;
    let reply = http2::ask(&sender, http2::get("/two", &[]), b"", None).await.unwrap();
    assert_eq!(reply.body, b"/two");
    for asked in shop.asked() {
        assert_eq!(asked.header("x-forwarded-proto"), Some("https"));
        assert_eq!(asked.header("x-forwarded-for"), Some("127.0.0.1"));
    }
}

async fn before_tls(expected: &str, other_authority: bool) -> (tempfile::TempDir, Shop, Sidecar) {
    let directory = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(directory.path(), "inner.test");
    let shop =
        Shop::start_tls(certificates.acceptor(), |_| Answer::reply("200 OK", &[], b"safe")).await;
    let ca = if other_authority {
        let other = directory.path().join("other");
        std::fs::create_dir(&other).unwrap();
        Certificates::make(&other, "inner.test").ca
    } else {
        certificates.ca
    };
    let sidecar = Sidecar::before(format!("https://{}", shop.address))
        .upstream(&format!("tls: {{server_name: {expected}, ca: {ca:?}}}"))
        .start()
        .await;
    (directory, shop, sidecar)
}

#[tokio::test]
async fn a_shop_behind_tls_is_reached_when_its_name_and_authority_fit() {
    let (_directory, shop, sidecar) = before_tls("inner.test", false).await;
    for _ in 0..2 {
        assert_eq!(get(sidecar.data, "/x").await.text(), "safe");
    }
    assert_eq!(shop.asked()[0].header("host"), Some("shop.test"), "the client's Host is kept");
}

#[tokio::test]
async fn a_shop_of_another_name_or_authority_is_not_talked_to() {
    for (expected, other_authority) in [("another.test", false), ("inner.test", true)] {
        let (_directory, shop, sidecar) = before_tls(expected, other_authority).await;
        let reply = get(sidecar.data, "/x").await;
        assert_eq!(reply.status, 502, "{expected}");
        assert_eq!(reply.outcome(), "error; reason=shop_unreachable", "{expected}");
        assert!(shop.asked().is_empty(), "{expected}");
    }
}
