//! The packets that tell a network where an address is now: announcements by ARP (RFC 5227) and unsolicited neighbour
//! advertisements (RFC 4861), and the ARP probe that finds another machine with it. Bytes only; `wire` of the lowest kind.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A hardware address of Ethernet.
pub(super) type Mac = [u8; 6];

const BROADCAST: Mac = [0xff; 6];
const NOBODY: Mac = [0; 6];
const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const ARP_REQUEST: u8 = 1;
const ARP_REPLY: u8 = 2;
/// Shortest frame of Ethernet, without its checksum.
const FRAME_BYTES_MIN: usize = 60;
const ICMPV6: u8 = 58;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// Of a neighbour advertisement: replace what is in the cache.
const OVERRIDE: u8 = 0x20;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: Mac = [0x33, 0x33, 0, 0, 0, 1];

/// Whole frames that say: this address is at this interface. Both forms of ARP, because some machines heed only one.
pub(super) fn announcements(mac: Mac, address: IpAddr) -> Vec<Vec<u8>> {
    match address {
        IpAddr::V4(address) => {
            vec![arp(ARP_REQUEST, mac, address, NOBODY, address), arp(ARP_REPLY, mac, address, BROADCAST, address)]
        }
        IpAddr::V6(address) => vec![advertisement(mac, address)],
    }
}

/// Asks who has it, without claiming it.
pub(super) fn probe(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    arp(ARP_REQUEST, mac, Ipv4Addr::UNSPECIFIED, NOBODY, address)
}

fn arp(operation: u8, mac: Mac, from: Ipv4Addr, to_mac: Mac, to: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(FRAME_BYTES_MIN);
    frame.extend(BROADCAST);
    frame.extend(mac);
    frame.extend(ETHERTYPE_ARP);
    // Ethernet, IPv4, 6 and 4 bytes of address
    frame.extend([0, 1, 8, 0, 6, 4, 0, operation]);
    frame.extend(mac);
    frame.extend(from.octets());
    frame.extend(to_mac);
    frame.extend(to.octets());
    frame.resize(FRAME_BYTES_MIN, 0);
    frame
}

/// From a frame of ARP: who says that it has which address.
pub(super) fn claim(frame: &[u8]) -> Option<(Mac, Ipv4Addr)> {
    let head = [0, 1, 8, 0, 6, 4];
    if frame.get(12..14)? != ETHERTYPE_ARP || frame.get(14..20)? != head {
        return None;
    }
    let mac: Mac = frame.get(22..28)?.try_into().ok()?;
    let address: [u8; 4] = frame.get(28..32)?.try_into().ok()?;
    Some((mac, Ipv4Addr::from(address)))
}

fn advertisement(mac: Mac, address: Ipv6Addr) -> Vec<u8> {
    let mut message = vec![NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, OVERRIDE, 0, 0, 0];
    message.extend(address.octets());
    // target link-layer address, one unit of eight bytes
    message.extend([2, 1]);
    message.extend(mac);
    let sum = checksum(address, ALL_NODES, &message).to_be_bytes();
    message[2..4].copy_from_slice(&sum);

    let mut frame = Vec::with_capacity(86);
    frame.extend(ALL_NODES_MAC);
    frame.extend(mac);
    frame.extend(ETHERTYPE_IPV6);
    frame.extend([0x60, 0, 0, 0]);
    frame.extend(u16::try_from(message.len()).unwrap_or(0).to_be_bytes());
    // 255 hops: proof that it comes from this network
    frame.extend([ICMPV6, 255]);
    frame.extend(address.octets());
    frame.extend(ALL_NODES.octets());
    frame.extend(message);
    frame
}

/// Of ICMPv6, over the pseudo header and the message with a checksum of 0.
fn checksum(from: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).unwrap_or(0);
    let mut bytes = Vec::with_capacity(40 + message.len());
    bytes.extend(from.octets());
    bytes.extend(to.octets());
    bytes.extend(length.to_be_bytes());
    bytes.extend([0, 0, 0, ICMPV6]);
    bytes.extend(message);
    let sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    !u16::try_from(folded).unwrap_or(u16::MAX)
}

/// `02:00:5e:00:00:01`
pub(super) fn mac_text(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = [2, 0, 0x5e, 0, 0, 1];

    /// spec 7.14; RFC 5227 2.3 and 3: sender and target are the address announced, in both forms
    #[test]
    fn announcements_claim_the_address_twice() {
        let frames = announcements(MAC, "192.0.2.10".parse().unwrap());
        assert_eq!(frames.len(), 2);
        for (frame, operation) in frames.iter().zip([1, 2]) {
            assert_eq!(frame.len(), 60);
            assert_eq!((&frame[..6], frame[21]), (&BROADCAST[..], operation));
            assert_eq!((&frame[28..32], &frame[38..42]), (&[192, 0, 2, 10][..], &[192, 0, 2, 10][..]));
            assert_eq!(claim(frame), Some((MAC, "192.0.2.10".parse().unwrap())));
        }
        assert_eq!(claim(&probe(MAC, Ipv4Addr::new(192, 0, 2, 10))), Some((MAC, Ipv4Addr::UNSPECIFIED)));
        assert_eq!(claim(&frames[0][..31]), None);
        assert_eq!(claim(&announcements(MAC, "fd00::1".parse().unwrap())[0]), None);
    }

    /// spec 7.14; RFC 4861 7.2.6: override set, to all nodes, 255 hops, and a checksum that adds up
    #[test]
    fn advertisements_override_what_neighbours_know() {
        let address: Ipv6Addr = "2001:db8::10".parse().unwrap();
        let frame = &announcements(MAC, IpAddr::V6(address))[0];
        assert_eq!(frame.len(), 14 + 40 + 32);
        assert_eq!((frame[20], frame[21], frame[54], frame[58]), (58, 255, 136, 0x20));
        assert_eq!(frame[62..78], address.octets());
        assert_eq!(frame[80..86], MAC);
        assert_eq!(checksum(address, ALL_NODES, &frame[54..]), 0, "with its own checksum the sum is all ones");
    }
}
