//! Puts addresses on interfaces and takes them away, through the kernel's routing socket: blocking, some ten microseconds
//! each, and free of a runtime, because the guard does it too.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with};

const NLMSG_ERROR: u16 = 2;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const NLM_F_REQUEST: u16 = 0x01;
const NLM_F_ACK: u16 = 0x04;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_CACHEINFO: u16 = 6;
/// No duplicate address detection: an address under it cannot be used for a second.
const IFA_F_NODAD: u8 = 0x02;
const FOREVER: u32 = u32::MAX;
/// Groups of what changes on interfaces: links, addresses of IPv4, addresses of IPv6.
const CHANGES: u32 = 0x1 | 0x10 | 0x100;
/// Longest answer read; the rest of a longer one is not needed.
const ANSWER_BYTES_MAX: usize = 8 * 1024;

/// Error numbers of the kernel that have a meaning here.
pub(super) const ENODEV: i32 = 19;
pub(super) const EADDRNOTAVAIL: i32 = 99;

/// Puts `address` on the interface with this index. One that is there already is an error.
///
/// An address of IPv6 is *deprecated* from the start: it answers, and is never chosen for connections that go out, so that
/// the link keeps coming from this machine's own address.
pub(super) fn add(index: u32, address: IpAddr, prefix: u8) -> io::Result<()> {
    ask(RTM_NEWADDR, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, index, address, prefix)
}

/// Takes it away. One that is not there is an error ([`EADDRNOTAVAIL`]).
pub(super) fn remove(index: u32, address: IpAddr, prefix: u8) -> io::Result<()> {
    ask(RTM_DELADDR, NLM_F_REQUEST | NLM_F_ACK, index, address, prefix)
}

fn ask(kind: u16, flags: u16, index: u32, address: IpAddr, prefix: u8) -> io::Result<()> {
    let socket = routing_socket()?;
    send(&socket, &request(kind, flags, index, address, prefix), SendFlags::empty())?;
    let mut answer = [0; 512];
    let (count, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    outcome(&answer[..count])
}

/// Protocol 0 of netlink, the default, is routing.
fn routing_socket() -> rustix::io::Result<OwnedFd> {
    socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
}

/// `nlmsghdr`, `ifaddrmsg`, attributes.
fn request(kind: u16, flags: u16, index: u32, address: IpAddr, prefix: u8) -> Vec<u8> {
    let family = match address {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    let bytes = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let is_new_v6 = kind == RTM_NEWADDR && address.is_ipv6();
    let family = u8::try_from(family.as_raw()).unwrap_or(0);
    let mut body = vec![family, prefix, if is_new_v6 { IFA_F_NODAD } else { 0 }, 0];
    body.extend(index.to_ne_bytes());
    attribute(&mut body, IFA_LOCAL, &bytes);
    attribute(&mut body, IFA_ADDRESS, &bytes);
    if is_new_v6 {
        // preferred for 0 s, valid for ever, two stamps that the kernel keeps
        let lifetimes: Vec<u8> = [0, FOREVER, 0, 0].iter().flat_map(|value: &u32| value.to_ne_bytes()).collect();
        attribute(&mut body, IFA_CACHEINFO, &lifetimes);
    }
    let mut message = Vec::with_capacity(16 + body.len());
    let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(1_u32.to_ne_bytes());
    message.extend(0_u32.to_ne_bytes());
    message.extend(body);
    message
}

/// All attributes used here have lengths that are multiples of four, so none is padded.
fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    body.extend(length.to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
}

fn outcome(answer: &[u8]) -> io::Result<()> {
    let nonsense = || io::Error::new(io::ErrorKind::InvalidData, "the kernel answered something unknown");
    let kind: [u8; 2] = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).ok_or_else(nonsense)?;
    let error: [u8; 4] = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).ok_or_else(nonsense)?;
    match (u16::from_ne_bytes(kind), i32::from_ne_bytes(error)) {
        (NLMSG_ERROR, 0) => Ok(()),
        (NLMSG_ERROR, error) => Err(io::Error::from_raw_os_error(error.saturating_neg())),
        _ => Err(nonsense()),
    }
}

/// Tells of every change of interfaces and addresses.
pub(super) struct Changes(OwnedFd);

impl Changes {
    pub(super) fn listen() -> io::Result<Self> {
        let socket = routing_socket()?;
        bind(&socket, &SocketAddrNetlink::new(0, CHANGES))?;
        Ok(Self(socket))
    }

    /// Blocks until something has changed. Too many changes at once are one change.
    pub(super) fn wait(&self) -> io::Result<()> {
        let mut buffer = vec![0; ANSWER_BYTES_MAX];
        match recv(&self.0, &mut buffer[..], RecvFlags::empty()) {
            Ok(_) | Err(rustix::io::Errno::NOBUFS | rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that `ip address add 192.0.2.10/24` sends, but for the broadcast address.
    #[test]
    fn requests_are_what_the_kernel_expects() {
        let bytes = request(RTM_NEWADDR, 0x605, 3, "192.0.2.10".parse().unwrap(), 24);
        assert_eq!(bytes.len(), 40);
        assert_eq!(bytes[..4], 40_u32.to_ne_bytes());
        assert_eq!(bytes[16..24], [&[2, 24, 0, 0][..], &3_u32.to_ne_bytes()].concat());
        assert_eq!(bytes[28..32], [192, 0, 2, 10]);
        let six = request(RTM_NEWADDR, 0x605, 3, "2001:db8::1".parse().unwrap(), 64);
        assert_eq!((six.len(), six[16], six[18]), (84, 10, IFA_F_NODAD));
        assert_eq!(request(RTM_DELADDR, 5, 3, "2001:db8::1".parse().unwrap(), 64).len(), 64);
    }

    #[test]
    fn answers_are_read() {
        let answer = |error: i32| {
            let mut bytes = vec![0; 20];
            bytes[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
            bytes[16..20].copy_from_slice(&error.to_ne_bytes());
            outcome(&bytes)
        };
        assert!(answer(0).is_ok());
        assert_eq!(answer(-ENODEV).unwrap_err().raw_os_error(), Some(ENODEV));
        assert!(outcome(&[0; 10]).is_err() && outcome(&[0; 20]).is_err());
    }
}
