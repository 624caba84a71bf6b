//! Where a request came from: the peer of its connection, or, behind proxies that the operator named, what they say.
//!
//! A header is believed only as far as the chain of named proxies reaches, from the right: the first hop that is not
//! one of them is the client, and what it wrote itself stands to the left of that and is not looked at.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderName, header};
use sublet_model::Error;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Hops that are looked at; a chain of more proxies than this is not believed further.
const HOPS_MAX: usize = 16;

/// Addresses that start alike: `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                (u32::from(base) ^ u32::from(address)) & mask == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                (u128::from(base) ^ u128::from(address)) & mask == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Network, Error> {
        let wrong = || Error::invalid("trusted_proxies", format!("`{text}` is not a network such as 10.0.0.0/8"));
        let (base, prefix) = text.split_once('/').map_or((text, None), |(base, prefix)| (base, Some(prefix)));
        let base: IpAddr = base.parse().map_err(|_| wrong())?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(given) => given.parse().ok().filter(|prefix| *prefix <= most).ok_or_else(wrong)?,
        };
        Ok(Network { base, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// The connection that a request came over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    pub(crate) is_tls: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) address: IpAddr,
    /// Whether the client spoke TLS, to us or to the proxy.
    pub(crate) is_https: bool,
}

/// `peer`: unknown only where the router is driven without a connection.
pub(crate) fn origin_of(peer: Option<Peer>, headers: &HeaderMap, trusted: &[Network]) -> Origin {
    let Some(peer) = peer else {
        return Origin { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), is_https: false };
    };
    let itself = Origin { address: peer.address.to_canonical(), is_https: peer.is_tls };
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(itself.address) {
        return itself;
    }
    let standard = headers.contains_key(header::FORWARDED).then(|| walk(itself, forwarded(headers), &is_trusted));
    let usual = headers.contains_key(X_FORWARDED_FOR).then(|| walk(itself, x_forwarded(headers), &is_trusted));
    match (standard, usual) {
        (Some(standard), None) => standard,
        (None, Some(usual)) => usual,
        // A proxy writes one of the two and may pass on what the client wrote as the other: two answers are none.
        (Some(standard), Some(usual)) if standard.address != usual.address => itself,
        (Some(standard), Some(_)) => standard,
        (None, None) => Origin { is_https: itself.is_https || proto_of(headers) == Some(true), ..itself },
    }
}

/// One hop as a proxy tells of it; `None` for an address that cannot be read, such as `unknown`.
struct Hop {
    address: Option<IpAddr>,
    is_https: Option<bool>,
}

/// `hops`: the nearest first.
fn walk(peer: Origin, hops: Vec<Hop>, is_trusted: &impl Fn(IpAddr) -> bool) -> Origin {
    let mut origin = peer;
    for hop in hops.into_iter().take(HOPS_MAX) {
        let Some(address) = hop.address else { return origin };
        origin = Origin { address, is_https: hop.is_https.unwrap_or(origin.is_https) };
        if !is_trusted(address) {
            return origin;
        }
    }
    origin
}

fn texts(headers: &HeaderMap, name: HeaderName) -> impl DoubleEndedIterator<Item = &str> {
    // What is not text is a hop that cannot be read.
    headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("")).flat_map(|text| text.split(','))
}

fn forwarded(headers: &HeaderMap) -> Vec<Hop> {
    let hop = |element: &str| {
        let mut hop = Hop { address: None, is_https: None };
        for pair in element.split(';') {
            let Some((name, value)) = pair.trim().split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "for" => hop.address = address_of(value),
                "proto" => hop.is_https = Some(value.eq_ignore_ascii_case("https")),
                _ => {}
            }
        }
        hop
    };
    texts(headers, header::FORWARDED).rev().map(hop).collect()
}

fn x_forwarded(headers: &HeaderMap) -> Vec<Hop> {
    let mut hops: Vec<Hop> = texts(headers, X_FORWARDED_FOR)
        .rev()
        .map(|text| Hop { address: address_of(text.trim()), is_https: None })
        .collect();
    if let Some(nearest) = hops.first_mut() {
        nearest.is_https = proto_of(headers);
    }
    hops
}

/// What the nearest proxy says: the last one's value.
fn proto_of(headers: &HeaderMap) -> Option<bool> {
    texts(headers, X_FORWARDED_PROTO).next_back().map(|text| text.trim().eq_ignore_ascii_case("https"))
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address_of(text: &str) -> Option<IpAddr> {
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        // One colon is a port, more are an IPv6 address.
        None if text.matches(':').count() == 1 => text.split_once(':')?.0,
        None => text,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, headers: &[(&'static str, &str)], trusted: &[&str]) -> (String, bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        let peer = Peer { address: peer.parse().unwrap(), is_tls: false };
        let origin = origin_of(Some(peer), &map, &trusted);
        (origin.address.to_string(), origin.is_https)
    }

    #[test]
    fn headers_of_a_peer_that_is_no_named_proxy_are_not_looked_at() {
        for trusted in [&[][..], &["10.0.0.0/8"]] {
            for header in ["forwarded", "x-forwarded-for"] {
                let value = if header == "forwarded" { "for=203.0.113.9;proto=https" } else { "203.0.113.9" };
                let headers = [(header, value), ("x-forwarded-proto", "https")];
                assert_eq!(seen("192.0.2.7", &headers, trusted), ("192.0.2.7".to_owned(), false));
            }
        }
    }

    #[test]
    fn the_rightmost_hop_that_is_no_named_proxy_is_the_client() {
        let trusted = ["10.0.0.0/8", "2001:db8:f::/48"];
        #[rustfmt::skip]
        let cases = [
            ("x-forwarded-for", "203.0.113.9", "203.0.113.9"),
            ("x-forwarded-for", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
            ("x-forwarded-for", "127.0.0.1, 203.0.113.9, 10.9.9.9", "203.0.113.9"),
            ("x-forwarded-for", "10.1.1.1, 10.9.9.9", "10.1.1.1"),
            ("x-forwarded-for", "203.0.113.9:4711", "203.0.113.9"),
            ("x-forwarded-for", "[2001:db8::9]:4711, 10.2.2.2", "2001:db8::9"),
            ("x-forwarded-for", "::ffff:203.0.113.9", "203.0.113.9"),
            ("x-forwarded-for", "203.0.113.9, unknown", "10.0.0.1"),
            ("x-forwarded-for", "203.0.113.9, ", "10.0.0.1"),
            ("x-forwarded-for", "", "10.0.0.1"),
            ("forwarded", "for=203.0.113.9", "203.0.113.9"),
            ("forwarded", "for=1.1.1.1, For=\"[2001:db8::9]:1\";by=10.0.0.1, for=10.7.7.7", "2001:db8::9"),
            ("forwarded", "for=203.0.113.9, for=_hidden", "10.0.0.1"),
            ("forwarded", "for=203.0.113.9, by=10.0.0.1", "10.0.0.1"),
            ("forwarded", "nonsense", "10.0.0.1"),
        ];
        for (name, value, client) in cases {
            assert_eq!(seen("10.0.0.1", &[(name, value)], &trusted).0, client, "{name}: {value}");
        }
        let two = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "2001:db8:f::1")];
        assert_eq!(seen("::ffff:10.0.0.1", &two, &trusted).0, "203.0.113.9", "headers are one list");
    }

    #[test]
    fn of_two_headers_that_disagree_neither_is_believed() {
        let forged = [("forwarded", "for=127.0.0.1;proto=https"), ("x-forwarded-for", "203.0.113.9")];
        assert_eq!(seen("10.0.0.1", &forged, &["10.0.0.1"]), ("10.0.0.1".to_owned(), false));
        let agreeing = [("forwarded", "for=203.0.113.9;proto=https"), ("x-forwarded-for", "203.0.113.9")];
        assert_eq!(seen("10.0.0.1", &agreeing, &["10.0.0.1"]), ("203.0.113.9".to_owned(), true));
    }

    #[test]
    fn what_the_client_spoke_is_what_the_nearest_named_proxy_says() {
        let trusted = ["10.0.0.0/8"];
        let cases: [(&[(&'static str, &str)], bool); 6] = [
            (&[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https")], true),
            (&[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https, http")], false),
            (&[("x-forwarded-for", "203.0.113.9")], false),
            (&[("x-forwarded-proto", "https")], true),
            (&[("forwarded", "for=203.0.113.9;proto=HTTPS")], true),
            (&[("forwarded", "for=1.1.1.1;proto=https, for=203.0.113.9;proto=http")], false),
        ];
        for (headers, is_https) in cases {
            assert_eq!(seen("10.0.0.1", headers, &trusted).1, is_https, "{headers:?}");
        }
    }

    #[test]
    fn a_network_holds_what_starts_like_it() {
        let holds =
            |network: &str, address: &str| network.parse::<Network>().unwrap().contains(address.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.6"));
        assert!(holds("0.0.0.0/0", "255.255.255.255") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("2001:db8::/33", "2001:db8:7fff::1") && !holds("2001:db8::/33", "2001:db8:8000::1"));
        assert!(holds("::/0", "::1"));
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", "proxy.example", "10.0.0.0/8/8"] {
            let error = bad.parse::<Network>().unwrap_err().to_string();
            assert!(error.contains("is not a network"), "{bad}: {error}");
        }
    }
}
