//! How far what somebody does may teach: themselves, and others.
//!
//! Not who they are: that is an identity's to say. A network is the part of an address that one
//! household, office or rented machine has for itself: `/24` of IPv4, `/48` of IPv6.

use std::net::IpAddr;

/// How far what a request says may teach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Voice {
    /// Why nothing is to be learned from it, by anybody.
    pub silent: Option<Silent>,
    /// A trusted peer or a token vouches for who it is.
    pub proven: bool,
    /// Where it comes from; `None` where nobody can tell.
    pub network: Option<Network>,
}

/// Why nothing is to be learned from a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silent {
    /// The browser asked ahead; nobody has looked yet.
    Prefetch,
    /// A program that reads the web for others, by its own word.
    Bot,
}

impl Silent {
    /// Its label in the metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Prefetch => "prefetch",
            Self::Bot => "bot",
        }
    }
}

/// The network part of a public address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(pub u64);

impl Network {
    /// `None` for addresses that say nothing of where somebody is: loopback, private, link-local.
    pub fn of(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                let shared = a == 100 && (64..128).contains(&b);
                let inner = v4.is_private() || v4.is_loopback() || v4.is_link_local();
                let outer = !(inner || shared || v4.is_unspecified());
                outer.then(|| Self(u64::from_be_bytes([4, 0, 0, 0, 0, a, b, c])))
            }
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, ..] = v6.octets();
                let inner = v6.is_loopback() || v6.is_unspecified();
                let local = a & 0xfe == 0xfc || (a == 0xfe && b & 0xc0 == 0x80);
                (!inner && !local).then(|| Self(u64::from_be_bytes([6, 0, a, b, c, d, e, f])))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Option<Network> {
        Network::of(text.parse().unwrap())
    }

    #[test]
    fn neighbours_share_a_network_and_others_do_not() {
        assert_eq!(network("203.0.113.7"), network("203.0.113.250"));
        assert_eq!(network("203.0.113.7"), network("::ffff:203.0.113.8"));
        assert_ne!(network("203.0.113.7"), network("203.0.114.7"));
        assert_eq!(network("2001:db8:1:2::7"), network("2001:db8:1:ffff::8"));
        assert_ne!(network("2001:db8:1::7"), network("2001:db8:2::7"));
        assert!(network("203.0.113.7").is_some());
    }

    #[test]
    fn an_inner_address_tells_no_network() {
        for inner in
            ["127.0.0.1", "10.1.2.3", "192.168.0.9", "172.20.0.1", "100.64.0.1", "169.254.1.1"]
        {
            assert_eq!(network(inner), None, "{inner}");
        }
        for inner in ["::1", "fd00::1", "fe80::1", "::"] {
            assert_eq!(network(inner), None, "{inner}");
        }
    }
}
