#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use super::*;
use rustix::net::sockopt;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt as _;

const LOCALHOST: BindAddress = BindAddress::Localhost { port: None };

fn any_port(address: impl Into<IpAddr>) -> BindAddress {
    let address = address.into();
    BindAddress::Ip {
        address,
        port: None,
    }
}

fn v4() -> BindAddress {
    any_port(Ipv4Addr::LOCALHOST)
}

fn listen(
    addresses: &[BindAddress],
    port: u16,
    reuse_port: bool,
) -> Result<Vec<BoundSocket>, String> {
    bind(addresses, port, SocketKind::Stream { reuse_port })
}

fn ip(bound: &BoundSocket) -> SocketAddr {
    match &bound.address {
        Address::Ip(address) => *address,
        Address::Unix(path) => panic!("a Unix socket at {path:?}"),
    }
}

fn message(addresses: &[BindAddress], port: u16) -> String {
    match listen(addresses, port, false) {
        Ok(got) => panic!("listens: {got:?}"),
        Err(line) => line,
    }
}

/// A directory of this test's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("idler-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn loopback_is_both_families_on_one_port() {
    let all = listen(&[LOCALHOST], 0, false).unwrap();
    let port = ip(&all[0]).port();
    assert_ne!(port, 0);
    assert!(all.iter().all(|l| ip(l).port() == port));
    assert!(all.iter().all(|l| ip(l).ip().is_loopback()));
    assert_eq!(ip(&all[0]).ip(), Ipv4Addr::LOCALHOST);
    // Both where the machine has both.
    let has_v6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    assert_eq!(all.len(), 1 + usize::from(has_v6));
}

fn unsent_bytes_max(socket: impl AsFd) -> u32 {
    SockRef::from(&socket).tcp_notsent_lowat().unwrap()
}

#[test]
fn sockets_are_made_as_the_loop_wants_them() {
    let all = listen(&[v4()], 0, true).unwrap();
    let socket = &all[0].socket;
    assert!(sockopt::tcp_nodelay(socket).unwrap());
    assert!(sockopt::socket_reuseaddr(socket).unwrap());
    assert!(sockopt::socket_reuseport(socket).unwrap());
    assert!(
        rustix::fs::fcntl_getfl(socket)
            .unwrap()
            .contains(rustix::fs::OFlags::NONBLOCK)
    );
    assert!(
        rustix::io::fcntl_getfd(socket)
            .unwrap()
            .contains(rustix::io::FdFlags::CLOEXEC)
    );
    // What is inherited, seen on an accepted connection.
    let client = std::net::TcpStream::connect(ip(&all[0])).unwrap();
    let mut fds = [rustix::event::PollFd::new(
        socket,
        rustix::event::PollFlags::IN,
    )];
    rustix::event::poll(&mut fds, None).unwrap();
    let accepted = rustix::net::accept(socket).unwrap();
    assert!(sockopt::tcp_nodelay(&accepted).unwrap());
    assert_eq!(unsent_bytes_max(&accepted), UNSENT_BYTES_MIN);
    drop(client);
}

#[test]
fn a_port_in_use_is_an_error_that_says_so() {
    let taken = listen(&[v4()], 0, false).unwrap();
    let at = ip(&taken[0]);
    assert_eq!(
        message(&[v4()], at.port()),
        format!(
            "cannot listen on {at}: the port is in use (another program listens there; \
             try --port 0 for any free one)"
        )
    );
    // Also where only the second of two loopback addresses is taken.
    if let Ok(v6) = listen(&[any_port(Ipv6Addr::LOCALHOST)], 0, false) {
        let at = ip(&v6[0]);
        // Somebody else may hold the same port on 127.0.0.1; the message names the family either
        // way.
        let text = message(&[LOCALHOST], at.port());
        assert!(text.contains("the port is in use"), "{text}");
    }
}

#[test]
fn with_reuse_port_two_listen_on_one() {
    let first = listen(&[v4()], 0, true).unwrap();
    let second = listen(&[v4()], ip(&first[0]).port(), true).unwrap();
    assert_eq!(ip(&first[0]), ip(&second[0]));
}

#[test]
fn the_same_address_twice_is_listened_on_once() {
    let all = listen(&[v4(), LOCALHOST, v4()], 0, false).unwrap();
    let v4s = all.iter().filter(|l| ip(l).is_ipv4()).count();
    assert_eq!(v4s, 1);
}

#[test]
fn an_address_of_another_machine_is_refused_with_advice() {
    let text = message(&[any_port("192.0.2.123".parse::<IpAddr>().unwrap())], 0);
    assert!(
        text.starts_with("cannot listen on 192.0.2.123:0: this machine has no such address (try "),
        "{text}"
    );
}

#[test]
fn each_reason_has_its_advice() {
    let line = |at: &str, why: Errno| {
        let what = Address::Ip(at.parse().unwrap());
        let why = why.into();
        BindFailure { what, why }.explain(SocketKind::Stream { reuse_port: false })
    };
    assert_eq!(
        line("127.0.0.1:80", Errno::ACCESS),
        "cannot listen on 127.0.0.1:80: permission denied (ports below 1024 need privileges; \
         try --port 8080)"
    );
    assert!(!line("127.0.0.1:8080", Errno::ACCESS).contains("1024"));
    assert!(line("[::1]:80", Errno::AFNOSUPPORT).contains("no IPv6"));
    assert!(line("[fe80::1]:80", Errno::INVAL).contains("link-local"));
    assert!(line("127.0.0.1:80", Errno::MFILE).contains("ulimit -n"));
    assert_eq!(
        line("127.0.0.1:80", Errno::NOMEM),
        format!("cannot listen on 127.0.0.1:80: {}", Errno::NOMEM)
    );
}

#[test]
fn unix_sockets_get_their_mode_and_their_path() {
    let folder = Folder::new("unix-mode");
    let path = folder.0.join("a.sock");
    let bind = BindAddress::Unix {
        path: path.clone(),
        mode: Some(0o666),
    };
    let all = listen(&[bind], 0, false).unwrap();
    assert_eq!(all[0].address, Address::Unix(path.clone()));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    client.write_all(b"x").unwrap();
}

#[test]
fn a_stale_unix_socket_is_replaced_and_a_live_one_is_not() {
    let folder = Folder::new("unix-stale");
    let path = folder.0.join("a.sock");
    let bind = BindAddress::Unix {
        path: path.clone(),
        mode: None,
    };
    let first = listen(std::slice::from_ref(&bind), 0, false).unwrap();
    let text = message(std::slice::from_ref(&bind), 0);
    assert!(text.contains("the socket is in use"), "{text}");
    drop(first); // its file stays behind, as after a crash
    let second = listen(std::slice::from_ref(&bind), 0, false).unwrap();
    let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    drop(second);
    assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let folder = Folder::new("unix-file");
    let path = folder.0.join("precious");
    std::fs::write(&path, "data").unwrap();
    let bind = |path: &Path| BindAddress::Unix {
        path: path.to_owned(),
        mode: None,
    };
    let text = message(&[bind(&path)], 0);
    assert!(text.contains("no socket is there"), "{text}");
    assert_eq!(std::fs::read(&path).unwrap(), b"data");

    let text = message(&[bind(&folder.0.join("missing/a.sock"))], 0);
    assert!(text.contains("its directory does not exist"), "{text}");
    let text = message(&[bind(&folder.0.join("x".repeat(200)))], 0);
    assert!(text.contains("too long"), "{text}");
}

#[test]
fn a_socket_made_elsewhere_is_adopted_if_it_listens() {
    let made = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = made.local_addr().unwrap();
    let adopted = BoundSocket::adopt(made.into()).unwrap();
    assert_eq!(adopted.address, Address::Ip(at));
    assert!(sockopt::tcp_nodelay(&adopted.socket).unwrap());
    assert_eq!(unsent_bytes_max(&adopted.socket), UNSENT_BYTES_MIN);
    let flags = rustix::fs::fcntl_getfl(&adopted.socket).unwrap();
    assert!(flags.contains(rustix::fs::OFlags::NONBLOCK));

    let (connected, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let datagram = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    for fd in [connected.into(), datagram.into(), file.into()] {
        assert!(BoundSocket::adopt(fd).is_err());
    }
}

#[test]
fn datagrams_on_loopback_share_one_free_port() {
    let sockets = bind(&[LOCALHOST], 0, SocketKind::Datagram).unwrap();
    let ports: Vec<u16> = sockets.iter().map(|s| ip(s).port()).collect();
    assert!(!ports.is_empty() && ports[0] != 0);
    assert!(ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    assert!(SockRef::from(&sockets[0].socket).r#type().unwrap() == Type::DGRAM);
}

#[test]
fn a_port_in_use_for_datagrams_is_an_error_that_says_what_to_do() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let line = bind(&[v4()], port, SocketKind::Datagram).unwrap_err();
    assert!(line.contains("in use") && line.contains("-p 0"), "{line}");
}

#[test]
fn addresses_with_a_port_of_their_own_come_last() {
    let own = BindAddress::Ip {
        address: Ipv4Addr::LOCALHOST.into(),
        port: Some(0),
    };
    let any = any_port(Ipv4Addr::UNSPECIFIED);
    let all = listen(&[own, any], 0, false).unwrap();
    let ips: Vec<IpAddr> = all.iter().map(|bound| ip(bound).ip()).collect();
    assert_eq!(ips, [Ipv4Addr::UNSPECIFIED, Ipv4Addr::LOCALHOST]);
}

#[test]
fn ports_can_be_taken_off() {
    let own = BindAddress::Localhost { port: Some(81) };
    let unix = BindAddress::Unix {
        path: "/run/idler.sock".into(),
        mode: None,
    };
    assert_eq!(
        without_ports(&[own, unix, LOCALHOST, v4()]),
        [LOCALHOST, v4()]
    );
    assert_eq!(without_ports(&[]), []);
}
