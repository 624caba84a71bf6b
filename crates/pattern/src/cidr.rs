//! Address ranges: `10.0.0.0/24`, `2001:db8::/32`.

use std::fmt;
use std::net::IpAddr;

/// The addresses whose first `bits` bits are those of `network`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cidr {
    network: IpAddr,
    bits: u32,
}

impl Cidr {
    /// Errors: a reason, lowercase. Host bits in the address are ignored. A range of a single address is refused, as
    /// EventBridge does: that is an exact value.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some((address, bits)) = text.split_once('/') else {
            return Err(format!("{text:?} is not an address and a number of bits with a slash between"));
        };
        let Ok(network) = address.parse::<IpAddr>() else {
            return Err(format!("{address:?} is not an IP address"));
        };
        let width = if network.is_ipv4() { 32 } else { 128 };
        // `parse` alone would take "+8".
        let is_plain = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
        match bits.parse::<u32>() {
            Ok(number) if is_plain && number < width => Ok(Self { network, bits: number }),
            _ => Err(format!("the bits of {text:?} must be a number below {width}")),
        }
    }

    /// Text that is no address is in no range; an IPv4 range holds no IPv6 addresses, nor the other way round.
    pub(crate) fn contains(&self, text: &str) -> bool {
        match (self.network, text.parse::<IpAddr>()) {
            (IpAddr::V4(network), Ok(IpAddr::V4(address))) => {
                let differing = u64::from(network.to_bits() ^ address.to_bits());
                differing >> (32 - self.bits) == 0
            }
            (IpAddr::V6(network), Ok(IpAddr::V6(address))) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_their_addresses_and_no_others() {
        for (range, address, expected) in [
            ("10.0.0.0/24", "10.0.0.255", true),
            ("10.0.0.0/24", "10.0.1.0", false),
            ("10.0.0.77/24", "10.0.0.1", true),
            ("0.0.0.0/0", "255.1.2.3", true),
            ("0.0.0.0/0", "::1", false),
            ("10.0.0.0/31", "10.0.0.1", true),
            ("10.0.0.0/24", "10.0.0.256", false),
            ("10.0.0.0/24", "", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("2001:db8::/127", "2001:db8::1", true),
        ] {
            assert_eq!(Cidr::parse(range).unwrap().contains(address), expected, "{address} in {range}");
        }
    }

    #[test]
    fn malformed_ranges_are_refused() {
        for text in
            ["10.0.0.0", "10.0.0.0/", "10.0.0.0/32", "::/128", "10.0.0.0/+8", "10.0.0/8", "xx/8", "10.0.0.0/8/8"]
        {
            assert!(Cidr::parse(text).is_err(), "{text}");
        }
    }
}
