//! What a request's head tells of who is behind it: somebody who looks, a browser that asks ahead, a
//! program.
//!
//! In: headers, the peer's address, the rules' words for bots. Out: a [`Voice`]. The address is the
//! peer's, or, where that is an inner one (an ingress, a sidecar), the last outer one that
//! `X-Forwarded-For` names: what stands before it there is anybody's word.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName};

use crate::types::voice::{Network, Silent, Voice};

const PURPOSE: [HeaderName; 3] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-moz"),
];
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Addresses of one chain that are looked at.
const CHAIN_MAX: usize = 16;

/// Reads a request's head; `proven`: somebody whose word counts says who asks.
pub fn voice(
    headers: &HeaderMap,
    peer: Option<IpAddr>,
    proven: bool,
    bot_agents: &[Box<str>],
) -> Voice {
    let silent = match () {
        () if is_prefetch(headers) => Some(Silent::Prefetch),
        () if is_bot(headers, bot_agents) => Some(Silent::Bot),
        () => None,
    };
    Voice { silent, proven, network: network(headers, peer) }
}

/// `Purpose`, `Sec-Purpose` (with parameters) or `X-Moz` say `prefetch`.
fn is_prefetch(headers: &HeaderMap) -> bool {
    PURPOSE.iter().filter_map(|name| headers.get(name)?.to_str().ok()).any(|value| {
        let word = value.split([';', ',']).next().unwrap_or_default().trim();
        word.eq_ignore_ascii_case("prefetch") || word.eq_ignore_ascii_case("prerender")
    })
}

/// One of the words stands at the start or end of a word of `User-Agent`.
///
/// Cubot makes phones: a word of their name is none of a program's.
fn is_bot(headers: &HeaderMap, words: &[Box<str>]) -> bool {
    let Some(agent) = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let agent = agent.to_ascii_lowercase();
    let is_letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphabetic);
    words.iter().filter(|word| !word.is_empty()).any(|word| {
        agent.match_indices(&**word).any(|(at, found)| {
            let (before, after) = agent.as_bytes().split_at(at);
            let at_edge = !is_letter(before.last()) || !is_letter(after.get(found.len()));
            at_edge && !agent.get(..at).is_some_and(|before| before.ends_with("cu"))
        })
    })
}

fn network(headers: &HeaderMap, peer: Option<IpAddr>) -> Option<Network> {
    if let Some(network) = peer.and_then(Network::of) {
        return Some(network);
    }
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let chain = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.rsplit(','));
    for word in chain.take(CHAIN_MAX) {
        // what is no address was written by somebody else than the proxies we know
        let address = address(word.trim())?;
        if let Some(network) = Network::of(address) {
            return Some(network);
        }
    }
    None
}

/// An address, with or without brackets and port.
fn address(word: &str) -> Option<IpAddr> {
    if let Ok(address) = word.parse() {
        return Some(address);
    }
    if let Ok(with_port) = word.parse::<std::net::SocketAddr>() {
        return Some(with_port.ip());
    }
    word.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn heard(lines: &[(&'static str, &str)], peer: &str) -> Voice {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let value = HeaderValue::from_str(value).unwrap();
            headers.append(HeaderName::from_static(name), value);
        }
        let words = ["bot", "spider", "slurp"].map(Box::from);
        voice(&headers, peer.parse().ok(), false, &words)
    }

    #[test]
    fn what_a_browser_asks_ahead_for_nobody_has_seen() {
        for line in [
            ("purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("sec-purpose", "Prefetch"),
            ("x-moz", "prefetch"),
        ] {
            assert_eq!(heard(&[line], "").silent, Some(Silent::Prefetch), "{line:?}");
        }
        assert_eq!(heard(&[("purpose", "view")], "").silent, None);
    }

    #[test]
    fn bots_that_say_so_are_bots_and_phones_are_not() {
        for agent in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (compatible; bingbot/2.0)",
            "Mozilla/5.0 (compatible; Baiduspider/2.0)",
            "AdsBot-Google",
            "Mozilla/5.0 (compatible; Yahoo! Slurp)",
        ] {
            assert_eq!(heard(&[("user-agent", agent)], "").silent, Some(Silent::Bot), "{agent}");
        }
        for agent in [
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/126.0",
            "Mozilla/5.0 (Linux; Android 9; CUBOT X19) Mobile Safari/537.36",
            "curl/8.5.0",
            "Abbotsford/1.0",
        ] {
            assert_eq!(heard(&[("user-agent", agent)], "").silent, None, "{agent}");
        }
    }

    #[test]
    fn the_network_is_the_last_outer_address_and_nothing_before_it_counts() {
        let of = |address: &str| Network::of(address.parse().unwrap());
        let behind = |chain| heard(&[("x-forwarded-for", chain)], "10.0.0.3").network;
        assert_eq!(
            heard(&[("x-forwarded-for", "9.9.9.9")], "203.0.113.9").network,
            of("203.0.113.9")
        );
        assert_eq!(behind("1.2.3.4, 203.0.113.9, 10.0.0.2"), of("203.0.113.9"));
        assert_eq!(behind("[2001:db8::1]:443"), of("2001:db8::1"));
        assert_eq!(behind("203.0.113.9:4711"), of("203.0.113.9"));
        assert_eq!(behind("203.0.113.9, unknown"), None);
        assert_eq!(heard(&[], "127.0.0.1").network, None);
    }
}
