//! Sockets that listen, or receive datagrams: made, bound, named, and what to tell the user when
//! that fails.
//!
//! Every address that was asked for is bound, or the start fails with one line that says what, why,
//! and what to try. Another port is never taken instead.
//!
//! Socket options, and why: `SO_REUSEADDR`, or a restart within a minute would find its port taken
//! by connections of the past; `IPV6_V6ONLY`, so that an address means the same on every machine,
//! and `0.0.0.0` and `::` can be bound together; `TCP_NODELAY`, set here because accepted
//! connections inherit it, which saves a call for each of them; `TCP_NOTSENT_LOWAT` likewise, or
//! the kernel would hold megabytes for each reader that does not read; `SO_REUSEPORT` only when
//! asked for.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::io::Errno;
use socket2::{SockAddr, SockRef, Socket, Type};

use crate::http::url::BindAddress;
use crate::limits::{LISTEN_BACKLOG, PORT_ATTEMPTS_MAX, UNSENT_BYTES_MIN};

/// What sockets are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketKind {
    /// They listen. With `reuse_port`, other processes may listen at the same port.
    Stream {
        /// `SO_REUSEPORT`
        reuse_port: bool,
    },
    /// They receive datagrams.
    Datagram,
}

/// A socket in its place: non-blocking and close-on-exec.
#[derive(Debug)]
pub struct BoundSocket {
    pub(crate) socket: OwnedFd,
    /// Where it is bound: the kernel was asked.
    pub address: Address,
}

/// Where a socket is bound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// Address and port.
    Ip(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// Binds all of `addresses`, or `localhost` if there are none. Those without a port of their own
/// share `port`, and come first. Port 0 is any port that is free on all that share it.
///
/// # Errors
/// One line for the user about the first address that cannot be bound. What was opened before it is
/// closed again.
pub fn bind(
    addresses: &[BindAddress],
    port: u16,
    kind: SocketKind,
) -> Result<Vec<BoundSocket>, String> {
    if addresses.is_empty() {
        return bind(&[BindAddress::Localhost { port: None }], port, kind);
    }
    let (own, sharing): (Vec<_>, Vec<_>) = addresses.iter().partition(|a| own_port(a).is_some());
    let mut all = bind_group(&sharing, port, kind)?;
    for address in own {
        let port = own_port(address).unwrap_or(port);
        all.extend(bind_group(&[address], port, kind)?);
    }
    Ok(all)
}

fn own_port(address: &BindAddress) -> Option<u16> {
    match address {
        BindAddress::Ip { port, .. } | BindAddress::Localhost { port } => *port,
        BindAddress::Unix { .. } => None,
    }
}

/// Binds all of `addresses` to one port. Bounded by [`PORT_ATTEMPTS_MAX`] where any port will do.
fn bind_group(
    addresses: &[&BindAddress],
    port: u16,
    kind: SocketKind,
) -> Result<Vec<BoundSocket>, String> {
    let mut attempts = 1;
    loop {
        let mut group = Group {
            kind,
            port,
            sockets: Vec::new(),
        };
        let bound = addresses.iter().try_for_each(|address| group.bind(address));
        let Err(failure) = bound else {
            return Ok(group.sockets);
        };
        // The port that was free on the first address is taken on another: take a new one.
        let may_differ = port == 0 && group.port != 0 && attempts < PORT_ATTEMPTS_MAX;
        if !may_differ || failure.why.kind() != ErrorKind::AddrInUse {
            return Err(failure.explain(kind));
        }
        attempts += 1;
    }
}

/// The addresses without their ports, each once: where companions listen beside HTTP, each at a
/// port of its own. A Unix socket has no other ports.
pub fn without_ports(addresses: &[BindAddress]) -> Vec<BindAddress> {
    let port = None;
    let mut bare = Vec::new();
    for address in addresses {
        let address = match *address {
            BindAddress::Ip { address, .. } => BindAddress::Ip { address, port },
            BindAddress::Localhost { .. } => BindAddress::Localhost { port },
            BindAddress::Unix { .. } => continue,
        };
        if !bare.contains(&address) {
            bare.push(address);
        }
    }
    bare
}

impl BoundSocket {
    /// A socket that is bound: the kernel is asked where.
    fn new(socket: Socket) -> io::Result<Self> {
        let any = socket.local_addr()?;
        let address = if let Some(ip) = any.as_socket() {
            Address::Ip(ip)
        } else if let Some(path) = any.as_pathname() {
            Address::Unix(path.to_owned())
        } else if let Some(name) = any.as_abstract_namespace() {
            // As the tools show it, with an at sign for its leading NUL.
            Address::Unix(format!("@{}", String::from_utf8_lossy(name)).into())
        } else {
            return Err(Errno::INVAL.into());
        };
        let socket = socket.into();
        Ok(Self { socket, address })
    }

    /// Takes over a socket that another process made, and makes it behave like our own.
    ///
    /// # Errors
    /// If it is not a stream socket that listens.
    pub fn adopt(socket: OwnedFd) -> io::Result<Self> {
        let socket = Socket::from(socket);
        if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
            return Err(Errno::INVAL.into());
        }
        socket.set_nonblocking(true)?;
        let bound = Self::new(socket)?;
        if let Address::Ip(_) = bound.address {
            set_inherited_options(&SockRef::from(&bound.socket))?;
        }
        Ok(bound)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Sockets that share a port.
struct Group {
    kind: SocketKind,
    /// 0 until the kernel has handed out one.
    port: u16,
    sockets: Vec<BoundSocket>,
}

impl Group {
    fn bind(&mut self, address: &BindAddress) -> Result<(), BindFailure> {
        match address {
            BindAddress::Ip { address, .. } => self.bind_ip(*address),
            BindAddress::Localhost { .. } => {
                let v4 = self.bind_ip(Ipv4Addr::LOCALHOST.into());
                let v6 = self.bind_ip(Ipv6Addr::LOCALHOST.into());
                // A machine may have only one of the two.
                match (v4, v6) {
                    (Err(v4), v6) if v4.is_absent() => v6,
                    (Ok(()), Err(v6)) if v6.is_absent() => Ok(()),
                    (v4, v6) => v4.and(v6),
                }
            }
            // A client of a Unix socket for datagrams has no address to answer to; the command line
            // refuses it.
            BindAddress::Unix { .. } if self.kind == SocketKind::Datagram => Ok(()),
            BindAddress::Unix { path, mode } => {
                self.push(Address::Unix(path.clone()), unix_socket(path, *mode))
            }
        }
    }

    /// Binds one address, unless that was already done.
    fn bind_ip(&mut self, ip: IpAddr) -> Result<(), BindFailure> {
        let wanted = SocketAddr::new(ip, self.port);
        let what = Address::Ip(wanted);
        if self.port != 0 && self.sockets.iter().any(|bound| bound.address == what) {
            return Ok(()); // the same address twice; the second could only fail
        }
        self.push(what, ip_socket(wanted, self.kind))?;
        if let Some(Address::Ip(real)) = self.sockets.last().map(|bound| &bound.address) {
            self.port = real.port();
        }
        Ok(())
    }

    fn push(&mut self, what: Address, socket: io::Result<Socket>) -> Result<(), BindFailure> {
        let bound = socket.and_then(BoundSocket::new);
        let bound = bound.map_err(|why| BindFailure { what, why })?;
        self.sockets.push(bound);
        Ok(())
    }
}

/// A socket that is bound to an address, and listens if it is one for streams.
fn ip_socket(address: SocketAddr, kind: SocketKind) -> io::Result<Socket> {
    let address = SockAddr::from(address);
    let socket_type = match kind {
        SocketKind::Stream { .. } => Type::STREAM,
        SocketKind::Datagram => Type::DGRAM,
    };
    let socket = Socket::new(address.domain(), socket_type.nonblocking(), None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if let SocketKind::Stream { reuse_port } = kind {
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(reuse_port)?;
        set_inherited_options(&socket)?;
    }
    socket.bind(&address)?;
    if socket_type == Type::STREAM {
        socket.listen(LISTEN_BACKLOG)?;
    }
    Ok(socket)
}

/// Sets what the connections accepted from a TCP socket inherit.
fn set_inherited_options(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    // A kernel without this option only holds more for readers that do not read.
    let _ = socket.set_tcp_notsent_lowat(UNSENT_BYTES_MIN);
    Ok(())
}

/// Makes a Unix socket that listens at `path`. One at which no process listens any more is
/// replaced.
fn unix_socket(path: &Path, mode: Option<u32>) -> io::Result<Socket> {
    let address = SockAddr::unix(path).map_err(|_| Errno::NAMETOOLONG)?;
    let make = || Socket::new(address.domain(), Type::STREAM.nonblocking(), None);
    let socket = make()?;
    match bind_with_mode(&socket, &address, mode) {
        Err(e) if e.kind() == ErrorKind::AddrInUse => {
            let there = std::fs::symlink_metadata(path);
            if there.is_ok_and(|there| !there.file_type().is_socket()) {
                return Err(Errno::EXIST.into());
            }
            // Refused means that no process holds the other end. Anything else (a full queue,
            // another type of socket) means that one does.
            match make()?.connect(&address).map_err(|e| (e.kind(), e)) {
                Err((ErrorKind::ConnectionRefused, _)) => std::fs::remove_file(path)?,
                Err((ErrorKind::NotFound, _)) => {} // gone in the meantime
                Err((ErrorKind::PermissionDenied, e)) => return Err(e),
                Ok(()) | Err(_) => return Err(e),
            }
            bind_with_mode(&socket, &address, mode)?;
        }
        done => done?,
    }
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket)
}

/// Binds, so that the socket appears with its permissions: there is no moment in which it has
/// others.
fn bind_with_mode(socket: &Socket, address: &SockAddr, mode: Option<u32>) -> io::Result<()> {
    let Some(mode) = mode else {
        return socket.bind(address);
    };
    let before = rustix::process::umask(Mode::from_raw_mode(!mode & 0o777));
    let bound = socket.bind(address);
    rustix::process::umask(before);
    bound
}

/// What could not be bound, and the kernel's reason.
struct BindFailure {
    what: Address,
    why: io::Error,
}

impl BindFailure {
    fn errno(&self) -> Errno {
        Errno::from_io_error(&self.why).unwrap_or(Errno::IO)
    }

    /// Whether the machine simply does not have this address, or its whole family.
    fn is_absent(&self) -> bool {
        matches!(self.errno(), Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT)
    }

    /// One line for the user.
    fn explain(&self, kind: SocketKind) -> String {
        let Self { what, why } = self;
        let cannot = match kind {
            SocketKind::Stream { .. } => "cannot listen on",
            SocketKind::Datagram => "cannot receive datagrams on",
        };
        let words = match (what, kind) {
            (_, SocketKind::Datagram) => datagram_words(self.errno()),
            (Address::Ip(address), _) => ip_words(*address, self.errno()),
            (Address::Unix(_), _) => unix_words(self.errno()),
        };
        match words {
            Some(words) => format!("{cannot} {what}: {words}"),
            None => format!("{cannot} {what}: {why}"),
        }
    }
}

const NO_DESCRIPTOR: &str = "no descriptor is left (raise the limit: `ulimit -n`)";

fn datagram_words(why: Errno) -> Option<&'static str> {
    Some(match why {
        Errno::ADDRINUSE => "the port is in use; -p chooses another, -p 0 any free one",
        Errno::ACCESS => "ports below 1024 need privileges; -p chooses another port",
        Errno::ADDRNOTAVAIL => "this machine does not have that address",
        _ => return None,
    })
}

fn ip_words(address: SocketAddr, why: Errno) -> Option<&'static str> {
    let link_local = matches!(address.ip(), IpAddr::V6(ip) if ip.is_unicast_link_local());
    Some(match why {
        Errno::ADDRINUSE => {
            "the port is in use (another program listens there; try --port 0 for any free one)"
        }
        Errno::ACCESS if address.port() < 1024 => {
            "permission denied (ports below 1024 need privileges; try --port 8080)"
        }
        Errno::ACCESS | Errno::PERM => {
            "permission denied (something on this machine forbids it: a container's or a \
             service's rules)"
        }
        Errno::ADDRNOTAVAIL => {
            "this machine has no such address (try --bind 0.0.0.0 for all it has, or none for \
             this machine only)"
        }
        Errno::AFNOSUPPORT if address.is_ipv6() => "this machine has no IPv6 (try --bind 0.0.0.0)",
        Errno::AFNOSUPPORT => "this machine has no IPv4 (try --bind ::)",
        Errno::INVAL if link_local => {
            "a link-local address belongs to one interface, which --bind cannot name \
             (try --bind ::)"
        }
        Errno::MFILE | Errno::NFILE => NO_DESCRIPTOR,
        _ => return None,
    })
}

fn unix_words(why: Errno) -> Option<&'static str> {
    Some(match why {
        Errno::ADDRINUSE => {
            "the socket is in use (another program listens there; stop it, or try another path)"
        }
        Errno::EXIST => "something that is no socket is there (remove it, or try another path)",
        Errno::ACCESS | Errno::PERM | Errno::ROFS => {
            "permission denied (the directory must be writable; try another path)"
        }
        Errno::NOENT => "its directory does not exist (create it first)",
        Errno::NAMETOOLONG => "the path is too long (107 bytes at most; try a shorter one)",
        Errno::MFILE | Errno::NFILE => NO_DESCRIPTOR,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
