//! Which addresses belong to the internet at large: what webhooks and tenants' own requests may reach.
//!
//! Checked after a name is resolved, on the address that is connected to. Whatever carries another address inside
//! (IPv4-mapped, NAT64, 6to4, Teredo, ISATAP) is refused, whichever it carries: what it reaches is not for us to know.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where Azure's guests find their host's services; in no registry, though public in form.
const AZURE_HOST: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// Whether an address belongs to the internet at large.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// IANA's special-purpose registry, and 192.0.0.192, 169.254.169.254, 100.100.100.200 (metadata) within it.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0
        || a == 10
        || a == 127
        || (a == 100 && (64..128).contains(&b))
        || (a == 169 && b == 254)
        || (a == 172 && (16..32).contains(&b))
        || (a == 192 && b == 0 && (c == 0 || c == 2))
        || (a == 192 && b == 88 && c == 99)
        || (a == 192 && b == 168)
        || (a == 198 && (b == 18 || b == 19))
        || (a == 198 && b == 51 && c == 100)
        || (a == 203 && b == 0 && c == 113)
        || a >= 224
        || address == AZURE_HOST)
}

/// Only global unicast (2000::/3), without the ranges in it that carry an IPv4 address or go nowhere. Outside it lie the
/// IPv4-mapped and -compatible forms, both prefixes of NAT64, unique local, link-local and multicast addresses.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let is_global_unicast = segments[0] & 0xe000 == 0x2000;
    // 2001::/23 holds Teredo, ORCHID, benchmarking and their like; 2002::/16 is 6to4.
    let is_special = match segments[0] {
        0x2001 => segments[1] < 0x200 || segments[1] == 0xdb8,
        0x2002 => true,
        0x3fff => segments[1] < 0x1000,
        _ => false,
    };
    // ISATAP: any prefix, with an IPv4 address in the last 32 bits.
    let is_isatap = segments[4] & 0xfdff == 0 && segments[5] == 0x5efe;
    is_global_unicast && !is_special && !is_isatap
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_not_the_internets_or_carries_another_is_not_public() {
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.0.0.53",
            "168.63.129.16",
            "169.254.169.254",
            "172.31.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:93.184.216.34",
            "64:ff9b::7f00:1",
            "64:ff9b::5db8:d822",
            "64:ff9b:1::5db8:d822",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:5db8:d822::",
            "2600::5efe:7f00:1",
            "2600::200:5efe:5db8:d822",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["1.1.1.1", "93.184.216.34", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "2a00:1450::5efe"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
