//! Listening sockets: made, bound, named, and what to tell the user when that fails.
//!
//! What lives here: everything between "listen there" and a socket that listens. It may not know what
//! will be spoken on it. Invariant: what was asked for is listened on, or the start fails with one line
//! that says what, why, and what to try; another port is never taken instead.
//! Read next: `addresses.rs`.
//!
//! Socket options, and why: `SO_REUSEADDR`, or a restart within a minute would find its port taken by
//! connections of the past; `IPV6_V6ONLY`, so that an address means the same on every machine and
//! `0.0.0.0` and `::` can be listened on together; `TCP_NODELAY`, set here because accepted
//! connections inherit it, which saves a call for each of them; `TCP_NOTSENT_LOWAT` likewise, or the
//! kernel would hold megabytes for each reader that does not read; `SO_REUSEPORT` only when asked for.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

use crate::limits::{LISTEN_BACKLOG, PORT_ATTEMPTS_MAX, UNSENT_BYTES_MIN};

/// Where to listen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Bind {
    /// Both loopback addresses, on the same port. Browsers try `localhost` as either; a machine that
    /// has only one of them listens on that.
    Loopback,
    /// One address of this machine, or all of one family (`0.0.0.0`, `::`).
    Ip(IpAddr),
    /// A Unix socket.
    Unix {
        /// Where it stands in the file system.
        path: PathBuf,
        /// Its permissions; `None` leaves them to the umask.
        mode: Option<u32>,
    },
}

/// A socket that listens.
#[derive(Debug)]
pub struct Listening {
    socket: OwnedFd,
    address: Address,
}

/// Where a socket really listens: the kernel was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// Address and port.
    Ip(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// Why listening failed: one line for the user, with what, why, and what to try.
#[derive(Debug)]
pub struct ListenError(String);

impl Listening {
    /// Takes over a socket that somebody else made, and makes it behave like our own.
    ///
    /// # Errors
    /// If it is not a stream socket that listens.
    pub fn adopt(socket: OwnedFd) -> Result<Self, Errno> {
        let is_stream = sockopt::socket_type(&socket)? == SocketType::STREAM;
        if !is_stream || !sockopt::socket_acceptconn(&socket)? {
            return Err(Errno::INVAL);
        }
        let address = address_of(socket.as_fd())?;
        if let Address::Ip(_) = address {
            set_inherited_options(&socket)?;
        }
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self { socket, address })
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The socket, non-blocking and close-on-exec.
    pub fn into_socket(self) -> OwnedFd {
        self.socket
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

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ListenError {}

/// Listens at all of `binds`; addresses share `port`. Port 0 is any port that is free on all of them.
///
/// # Errors
/// The first place that cannot be listened on. What was opened before it is closed again.
///
/// Bounded by [`PORT_ATTEMPTS_MAX`] where any port will do.
pub fn listen(binds: &[Bind], port: u16, reuse_port: bool) -> Result<Vec<Listening>, ListenError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let mut all = Vec::new();
        let mut shared = port;
        match listen_once(binds, &mut shared, reuse_port, &mut all) {
            Ok(()) => return Ok(all),
            // The port that was free on the first address is taken on another: take a new one.
            Err(failure)
                if port == 0
                    && shared != 0
                    && failure.why == Errno::ADDRINUSE
                    && attempts < PORT_ATTEMPTS_MAX => {}
            Err(failure) => return Err(failure.explain()),
        }
    }
}

/// One attempt at [`listen`]. `port` 0 is replaced by the first port the kernel hands out.
fn listen_once(
    binds: &[Bind],
    port: &mut u16,
    reuse_port: bool,
    all: &mut Vec<Listening>,
) -> Result<(), Failure> {
    for bind in binds {
        match bind {
            Bind::Loopback => {
                let before = all.len();
                let mut missing = None;
                for ip in [
                    IpAddr::V4(Ipv4Addr::LOCALHOST),
                    IpAddr::V6(Ipv6Addr::LOCALHOST),
                ] {
                    match listen_ip(ip, port, reuse_port, all) {
                        Err(failure) if failure.is_absent_address() => missing = Some(failure),
                        done => done?,
                    }
                }
                if let (Some(failure), true) = (missing, all.len() == before) {
                    return Err(failure);
                }
            }
            Bind::Ip(ip) => listen_ip(*ip, port, reuse_port, all)?,
            Bind::Unix { path, mode } => {
                let address = Address::Unix(path.clone());
                let socket = unix(path, *mode)?;
                all.push(Listening { socket, address });
            }
        }
    }
    Ok(())
}

/// Listens at one address, unless that was already done.
fn listen_ip(
    ip: IpAddr,
    port: &mut u16,
    reuse_port: bool,
    all: &mut Vec<Listening>,
) -> Result<(), Failure> {
    let wanted = SocketAddr::new(ip, *port);
    if *port != 0 && all.iter().any(|l| l.address == Address::Ip(wanted)) {
        return Ok(()); // the same address twice; the second could only fail
    }
    let made = tcp(wanted, reuse_port).and_then(|socket| {
        let address = address_of(socket.as_fd())?;
        Ok(Listening { socket, address })
    });
    let listening = made.map_err(|why| Failure::new(Address::Ip(wanted), why))?;
    if let Address::Ip(real) = listening.address {
        *port = real.port();
    }
    all.push(listening);
    Ok(())
}

/// Makes a TCP socket that listens at `address`.
fn tcp(address: SocketAddr, reuse_port: bool) -> Result<OwnedFd, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if reuse_port {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    set_inherited_options(&socket)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, LISTEN_BACKLOG)?;
    Ok(socket)
}

/// Sets what the connections accepted from a TCP socket inherit.
fn set_inherited_options(socket: &OwnedFd) -> Result<(), Errno> {
    sockopt::set_tcp_nodelay(socket, true)?;
    // Where the kernel has no such option, it holds more for those who do not read; that is no reason not to serve.
    let _ = socket2::SockRef::from(socket).set_tcp_notsent_lowat(UNSENT_BYTES_MIN);
    Ok(())
}

/// Makes a Unix socket that listens at `path`; one that nobody listens on any more is replaced.
fn unix(path: &Path, mode: Option<u32>) -> Result<OwnedFd, Failure> {
    let failed = |why| Failure::new(Address::Unix(path.to_owned()), why);
    let address = SocketAddrUnix::new(path).map_err(failed)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let make = || rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);

    let socket = make().map_err(failed)?;
    let bound = match bind_with_mode(&socket, &address, mode) {
        Err(Errno::ADDRINUSE) => {
            match std::fs::symlink_metadata(path) {
                Ok(there) if !there.file_type().is_socket() => return Err(failed(Errno::EXIST)),
                _ => {}
            }
            let probe = make().map_err(failed)?;
            // Refused means that no process holds the other end. Anything else (a full queue, another
            // type of socket) means that one does.
            match rustix::net::connect(&probe, &address) {
                Err(Errno::CONNREFUSED) => std::fs::remove_file(path)
                    .map_err(|e| failed(Errno::from_io_error(&e).unwrap_or(Errno::IO)))?,
                Err(Errno::NOENT) => {} // gone in the meantime
                Err(Errno::ACCESS) => return Err(failed(Errno::ACCESS)),
                Ok(()) | Err(_) => return Err(failed(Errno::ADDRINUSE)),
            }
            bind_with_mode(&socket, &address, mode)
        }
        done => done,
    };
    bound
        .and_then(|()| rustix::net::listen(&socket, LISTEN_BACKLOG))
        .map_err(failed)?;
    Ok(socket)
}

/// Binds, so that the socket appears with its permissions: there is no moment in which it has others.
fn bind_with_mode(
    socket: &OwnedFd,
    address: &SocketAddrUnix,
    mode: Option<u32>,
) -> Result<(), Errno> {
    let Some(mode) = mode else {
        return rustix::net::bind(socket, address);
    };
    let before = rustix::process::umask(Mode::from_raw_mode(!mode & 0o777));
    let bound = rustix::net::bind(socket, address);
    rustix::process::umask(before);
    bound
}

/// Asks the kernel where a socket is bound.
fn address_of(socket: BorrowedFd<'_>) -> Result<Address, Errno> {
    use std::os::unix::ffi::OsStrExt as _;
    let any = rustix::net::getsockname(socket)?;
    if let Ok(ip) = SocketAddr::try_from(any.clone()) {
        return Ok(Address::Ip(ip));
    }
    let unix = SocketAddrUnix::try_from(any)?;
    // An abstract name is shown as the tools show it, with an at sign for its leading NUL.
    let path = match (unix.path_bytes(), unix.abstract_name()) {
        (Some(path), _) => std::ffi::OsStr::from_bytes(path).into(),
        (None, Some(name)) => format!("@{}", String::from_utf8_lossy(name)).into(),
        (None, None) => return Err(Errno::INVAL),
    };
    Ok(Address::Unix(path))
}

/// What could not be listened on, and the kernel's reason.
struct Failure {
    what: Address,
    why: Errno,
}

impl Failure {
    fn new(what: Address, why: Errno) -> Self {
        Self { what, why }
    }

    /// Whether the machine simply does not have this address, or its whole family.
    fn is_absent_address(&self) -> bool {
        self.why == Errno::ADDRNOTAVAIL || self.why == Errno::AFNOSUPPORT
    }

    fn explain(self) -> ListenError {
        let why = match self.what {
            Address::Ip(address) => explain_ip(address, self.why),
            Address::Unix(_) => explain_unix(self.why),
        };
        ListenError(format!("cannot listen on {}: {why}", self.what))
    }
}

fn explain_ip(address: SocketAddr, why: Errno) -> String {
    let link_local = matches!(address.ip(), IpAddr::V6(ip) if ip.is_unicast_link_local());
    let text = match why {
        Errno::ADDRINUSE => {
            "the port is in use (another program listens there; try --port 0 for any free one)"
        }
        Errno::ACCESS if address.port() < 1024 => {
            "permission denied (ports below 1024 need privileges; try --port 8080)"
        }
        Errno::ACCESS | Errno::PERM => {
            "permission denied (something on this machine forbids it: a container's or a service's rules)"
        }
        Errno::ADDRNOTAVAIL => {
            "this machine has no such address (try --bind 0.0.0.0 for all it has, or none for this machine only)"
        }
        Errno::AFNOSUPPORT if address.is_ipv6() => "this machine has no IPv6 (try --bind 0.0.0.0)",
        Errno::AFNOSUPPORT => "this machine has no IPv4 (try --bind ::)",
        Errno::INVAL if link_local => {
            "a link-local address belongs to one interface, which --bind cannot name (try --bind ::)"
        }
        _ => return explain_other(why),
    };
    text.to_owned()
}

fn explain_unix(why: Errno) -> String {
    let text = match why {
        Errno::ADDRINUSE => {
            "the socket is in use (another program listens there; stop it, or try another path)"
        }
        Errno::EXIST => "something that is no socket is there (remove it, or try another path)",
        Errno::ACCESS | Errno::PERM | Errno::ROFS => {
            "permission denied (the directory must be writable; try another path)"
        }
        Errno::NOENT => "its directory does not exist (create it first)",
        Errno::NAMETOOLONG => "the path is too long (107 bytes at most; try a shorter one)",
        _ => return explain_other(why),
    };
    text.to_owned()
}

fn explain_other(why: Errno) -> String {
    match why {
        Errno::MFILE | Errno::NFILE => {
            "no descriptor is left (raise the limit: `ulimit -n`)".to_owned()
        }
        _ => why.to_string(),
    }
}

#[cfg(test)]
mod tests;
