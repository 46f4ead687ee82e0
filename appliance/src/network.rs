//! A network, as an address and the length of its prefix (RFC 4632 §3.1, RFC 4291 §2.3): `10.20.0.0/16`.

use serde::Deserialize;
use serde::Deserializer;
use std::net::IpAddr;
use std::str::FromStr;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    prefix_bits: u32,
}

/// The text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotANetwork {
    /// Its form is another.
    #[error("write address/bits, for example 10.20.0.0/16 or fd00:20::/32")]
    Form,
    /// What was meant, an address or its network, cannot be told.
    #[error("the address has bits beyond the prefix")]
    HostBits,
}

impl Network {
    /// Whether `address` is in it. An IPv4 address that came over an IPv6 socket is itself.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                cut_v4(address.to_bits(), self.prefix_bits) == first.to_bits()
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                cut_v6(address.to_bits(), self.prefix_bits) == first.to_bits()
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (first, bits) = text.split_once('/').ok_or(NotANetwork::Form)?;
        let first: IpAddr = first.parse().map_err(|_| NotANetwork::Form)?;
        let prefix_bits: u32 = bits.parse().map_err(|_| NotANetwork::Form)?;
        let (longest, has_host_bits) = match first {
            IpAddr::V4(first) => (32, cut_v4(first.to_bits(), prefix_bits) != first.to_bits()),
            IpAddr::V6(first) => (128, cut_v6(first.to_bits(), prefix_bits) != first.to_bits()),
        };
        match (prefix_bits <= longest, has_host_bits) {
            (false, _) => Err(NotANetwork::Form),
            (true, true) => Err(NotANetwork::HostBits),
            (true, false) => Ok(Self { first, prefix_bits }),
        }
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|fault| serde::de::Error::custom(format!("{text:?} is no network: {fault}")))
    }
}

/// The first `prefix_bits` bits, then nothing.
fn cut_v4(address: u32, prefix_bits: u32) -> u32 {
    address & u32::MAX.checked_shl(32_u32.saturating_sub(prefix_bits)).unwrap_or(0)
}

fn cut_v6(address: u128, prefix_bits: u32) -> u128 {
    address & u128::MAX.checked_shl(128_u32.saturating_sub(prefix_bits)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_in_a_network_to_its_edges_and_not_past_them() {
        for (network, inside, outside) in [
            ("10.20.0.0/16", ["10.20.0.0", "10.20.255.255"], ["10.19.255.255", "10.21.0.0"]),
            ("10.20.0.4/31", ["10.20.0.4", "10.20.0.5"], ["10.20.0.3", "10.20.0.6"]),
            ("10.20.0.4/32", ["10.20.0.4", "::ffff:10.20.0.4"], ["10.20.0.3", "10.20.0.5"]),
            ("0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], ["::1", "fd00::1"]),
            (
                "fd00:20::/32",
                ["fd00:20::", "fd00:20:ffff:ffff:ffff:ffff:ffff:ffff"],
                ["fd00:1f::1", "fd00:21::"],
            ),
            ("::1/128", ["::1", "::1"], ["::2", "127.0.0.1"]),
            ("::/0", ["::1", "fd00::1"], ["10.20.0.4", "::ffff:10.20.0.4"]),
        ] {
            let of: Network = network.parse().unwrap();
            for (addresses, is_in) in [(inside, true), (outside, false)] {
                for address in addresses {
                    assert_eq!(of.contains(address.parse().unwrap()), is_in, "{address} {network}");
                }
            }
        }
    }

    #[test]
    fn text_that_is_no_network_is_refused() {
        for text in [
            "",
            "10.20.0.0",
            "10.20.0.0/",
            "10.20/16",
            "10.20.0.0/33",
            "::/129",
            "10.20.0.0/-1",
            "x/8",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork::Form), "{text}");
        }
        for text in ["10.20.0.1/16", "fd00:20::1/32", "10.20.0.0/0"] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork::HostBits), "{text}");
        }
    }
}
