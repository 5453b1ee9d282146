//! The machine's interfaces, as virtual addresses need them; a trait, so that the rules beside it are tested without any.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike, SockaddrStorage, bind, send,
    sendto, socket,
};
use rustix::net::sockopt::{Timeout, set_socket_timeout};

use super::netlink;
use super::packets::{Mac, announcements, claim, probe};

/// Longest frame of ARP read.
const FRAME_BYTES_MAX: usize = 256;

/// One interface.
#[derive(Clone, Debug, Default)]
pub(super) struct Interface {
    pub(super) index: u32,
    pub(super) is_up: bool,
    /// None: nothing is announced there (loopback, a tunnel).
    pub(super) mac: Option<Mac>,
    pub(super) link: Option<LinkAddr>,
    pub(super) addresses: Vec<IpAddr>,
}

/// What rules need of a machine.
pub(super) trait Network: Send + Sync {
    /// Every interface by its name.
    fn interfaces(&self) -> io::Result<BTreeMap<String, Interface>>;
    /// Puts it there.
    fn add(&self, interface: &Interface, address: IpAddr, prefix: u8) -> io::Result<()>;
    /// Takes it away.
    fn remove(&self, interface: &Interface, address: IpAddr, prefix: u8) -> io::Result<()>;
    /// Tells the network once.
    fn announce(&self, interface: &Interface, address: IpAddr) -> io::Result<()>;
    /// Another machine that answers for it within `wait`.
    fn other_holder(&self, interface: &Interface, address: IpAddr, wait: Duration) -> io::Result<Option<Mac>>;
}

/// The real one.
pub(super) struct Kernel;

impl Network for Kernel {
    fn interfaces(&self) -> io::Result<BTreeMap<String, Interface>> {
        let mut found: BTreeMap<String, Interface> = BTreeMap::new();
        for entry in getifaddrs()? {
            let interface = found.entry(entry.interface_name).or_default();
            interface.is_up |= entry.flags.contains(InterfaceFlags::IFF_UP);
            let Some(address) = entry.address else { continue };
            if let Some(link) = address.as_link_addr() {
                interface.index = u32::try_from(link.ifindex()).unwrap_or(0);
                let is_quiet = entry.flags.intersects(InterfaceFlags::IFF_LOOPBACK | InterfaceFlags::IFF_NOARP);
                interface.mac = link.addr().filter(|mac| !is_quiet && *mac != [0; 6]);
                interface.link = Some(*link);
            } else if let Some(address) = ip_of(&address) {
                interface.addresses.push(address);
            }
        }
        Ok(found)
    }

    fn add(&self, interface: &Interface, address: IpAddr, prefix: u8) -> io::Result<()> {
        netlink::add(interface.index, address, prefix)
    }

    fn remove(&self, interface: &Interface, address: IpAddr, prefix: u8) -> io::Result<()> {
        netlink::remove(interface.index, address, prefix)
    }

    fn announce(&self, interface: &Interface, address: IpAddr) -> io::Result<()> {
        let (Some(link), Some(mac)) = (&interface.link, interface.mac) else { return Ok(()) };
        let socket = announcer()?;
        for frame in announcements(mac, address) {
            sendto(socket, &frame, link, MsgFlags::empty())?;
        }
        Ok(())
    }

    fn other_holder(&self, interface: &Interface, address: IpAddr, wait: Duration) -> io::Result<Option<Mac>> {
        let (Some(link), Some(mac), IpAddr::V4(address)) = (&interface.link, interface.mac, address) else {
            return Ok(None);
        };
        let socket = arp_socket(link)?;
        send(socket.as_raw_fd(), &probe(mac, address), MsgFlags::empty())?;
        let end = Instant::now() + wait;
        let mut frame = [0; FRAME_BYTES_MAX];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            set_socket_timeout(&socket, Timeout::Recv, Some(left.max(Duration::from_millis(1))))?;
            match rustix::net::recv(&socket, &mut frame[..], rustix::net::RecvFlags::empty()) {
                Ok((count, _)) => {
                    let theirs = claim(&frame[..count]).filter(|(other, claimed)| *other != mac && *claimed == address);
                    if let Some((other, _)) = theirs {
                        return Ok(Some(other));
                    }
                }
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// What announcements go out through, opened once and never closed: the kernel takes up to twenty milliseconds to close a
/// socket of this kind, and the service waits for the addresses. It has no protocol, so it hears nothing.
fn announcer() -> io::Result<RawFd> {
    static ANNOUNCER: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(socket) = ANNOUNCER.get() {
        return Ok(socket.as_raw_fd());
    }
    let new = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None::<SockProtocol>)?;
    Ok(ANNOUNCER.get_or_init(|| new).as_raw_fd())
}

/// Hears ARP of one interface.
fn arp_socket(link: &LinkAddr) -> io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::PACKET,
        rustix::net::SocketType::RAW,
        rustix::net::SocketFlags::CLOEXEC,
        Some(rustix::net::eth::ARP),
    )?;
    bind(socket.as_raw_fd(), link)?;
    Ok(socket)
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    match address.family()? {
        AddressFamily::Inet => address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip())),
        AddressFamily::Inet6 => address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())),
        _ => None,
    }
}
