//! Telling the service manager how far idler is, by the datagrams of sd_notify(3).
//!
//! Without a service manager nothing is sent, and nothing it does (a full queue, a socket that is
//! gone) makes idler wait or fail. The socket must be opened before the walls are raised; once
//! connected, it works behind them.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

/// The way to the service manager, if there is one.
#[derive(Debug, Default)]
pub struct Notify {
    socket: Option<OwnedFd>,
}

impl Notify {
    /// Opens the way that `NOTIFY_SOCKET` names.
    pub fn from_env() -> Self {
        match std::env::var_os("NOTIFY_SOCKET") {
            Some(address) if !address.is_empty() => Self::to(&address),
            _ => Self::default(),
        }
    }

    fn to(address: &OsStr) -> Self {
        match connect(address.as_bytes()) {
            Ok(socket) => Self {
                socket: Some(socket),
            },
            Err(e) => {
                log::warn!(
                    "the service manager at {} is not told anything: {e} \
                     (is NOTIFY_SOCKET meant for this process?)",
                    address.display()
                );
                Self::default()
            }
        }
    }

    /// Says that connections are accepted and answered; also at the end of a reload.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// Says that the end has begun.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Says that files are read again, at `monotonic_micros` of `CLOCK_MONOTONIC`;
    /// [`ready`](Self::ready) must follow.
    pub fn reloading(&self, monotonic_micros: u64) {
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={monotonic_micros}"));
    }

    fn send(&self, text: &str) {
        let Some(socket) = &self.socket else {
            return;
        };
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        if let Err(e) = rustix::net::send(socket, text.as_bytes(), flags) {
            log::debug!("the service manager was not told {text:?}: {e}");
        }
    }
}

/// A socket connected to a path, or to the abstract name behind an at sign.
fn connect(address: &[u8]) -> Result<OwnedFd, Errno> {
    let to = match address {
        [b'/', ..] => SocketAddrUnix::new(address)?,
        [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
        _ => return Err(Errno::AFNOSUPPORT),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    rustix::net::connect(&socket, &to)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use std::os::unix::net::UnixDatagram;

    fn heard(manager: &UnixDatagram) -> String {
        let mut text = [0; 200];
        let n = manager.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..n]).into_owned()
    }

    fn converse(manager: &UnixDatagram, notify: &Notify) {
        notify.ready();
        notify.reloading(1_234_567);
        notify.stopping();
        assert_eq!(heard(manager), "READY=1");
        assert_eq!(heard(manager), "RELOADING=1\nMONOTONIC_USEC=1234567");
        assert_eq!(heard(manager), "STOPPING=1");
    }

    #[test]
    fn a_manager_at_a_path_is_told() {
        let path = std::env::temp_dir().join(format!("idler-notify-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let manager = UnixDatagram::bind(&path).unwrap();
        let notify = Notify::to(path.as_os_str());
        std::fs::remove_file(&path).unwrap();
        converse(&manager, &notify);
    }

    #[test]
    fn a_manager_with_an_abstract_name_is_told() {
        use std::os::linux::net::SocketAddrExt as _;
        use std::os::unix::net::SocketAddr;
        let name = format!("idler-notify-{}", std::process::id());
        let at = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&at).unwrap();
        converse(&manager, &Notify::to(OsStr::new(&format!("@{name}"))));
    }

    #[test]
    fn a_manager_that_does_not_listen_makes_nobody_wait() {
        let path = std::env::temp_dir().join(format!("idler-deaf-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let manager = UnixDatagram::bind(&path).unwrap();
        let notify = Notify::to(path.as_os_str());
        for _ in 0..10_000 {
            notify.ready(); // its queue is full long before
        }
        drop(manager);
        notify.stopping(); // it is gone
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn without_one_nothing_happens() {
        for address in ["/no/such/socket", "vsock:2:1", "@", ""] {
            let notify = Notify::to(OsStr::new(address));
            notify.ready();
            notify.stopping();
            assert!(notify.socket.is_none() || address == "@");
        }
    }
}
