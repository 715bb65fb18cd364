//! idler beside nginx: thousands of requests that nobody would write, and every difference explained or a failure.
//!
//! It may not know how either reads a request. Invariant: a difference in status, in content, or in where a reply ends and
//! whether another follows is in the table of [`differences`] with its reason; and no row of it is idle.
//! Read next: `mutator.rs`, then `differences.rs`.

mod differences;
mod mutator;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use self::differences::{Row, TABLE};
use self::mutator::Mutator;
use crate::support::daemon::Daemon;
use crate::support::http::{Trouble, show};
use crate::support::reply::{Ear, Source};
use crate::support::{Idler, PATIENCE, fixture_site};

/// Requests that are sent to both.
const REQUESTS: usize = 20_000;

/// Another seed finds other requests; the table has to explain those of this one.
const SEED: u64 = 2026;

/// Asked for behind each request: whether it is answered shows whether the connection was kept, and where the server
/// believes that the request before it ended.
const MARKER: &[u8] =
    b"GET /data.json HTTP/1.1\r\nHost: idler\r\nConnection: close\r\nRange: bytes=0-0\r\n\r\n";

/// What a server said to a request and the marker behind it.
#[derive(Debug, PartialEq, Eq, Clone)]
struct Said {
    /// Status, and the content where it is that of a file.
    replies: Vec<(u16, Option<Vec<u8>>)>,
    /// What came behind the last whole reply, if anything did, or how the connection ended if not in order.
    trouble: Option<String>,
}

/// A request, and what both said to it.
struct Exchange {
    request: Vec<u8>,
    /// The same as text, each byte a letter.
    head: String,
    idler: Said,
    nginx: Said,
}

impl Exchange {
    /// What is left of several requests in one behind the first, if both answered that alike.
    fn without_the_first(&self) -> Option<Self> {
        let blank = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let begin = self.request.iter().take_while(|byte| blank(byte)).count();
        let mut ends = self.request[begin..].windows(4);
        let end = begin + ends.position(|end| end == b"\r\n\r\n")? + 4 + self.body_length();
        let ((idler, rest_of_idler), (nginx, rest_of_nginx)) = (
            self.idler.replies.split_first()?,
            self.nginx.replies.split_first()?,
        );
        if idler != nginx || end >= self.request.len() {
            return None;
        }
        let request = self.request[end..].to_vec();
        let said = |replies: &[_], said: &Said| Said {
            replies: replies.to_vec(),
            trouble: said.trouble.clone(),
        };
        Some(Self {
            head: request.iter().map(|byte| char::from(*byte)).collect(),
            request,
            idler: said(rest_of_idler, &self.idler),
            nginx: said(rest_of_nginx, &self.nginx),
        })
    }
}

#[test]
#[ignore = "needs nginx"]
fn each_difference_to_nginx_has_a_reason() {
    let root = fixture_site();
    let idler = Idler::serve(&root).env("RUST_LOG", "off").start();
    let nginx = Daemon::nginx(&format!(
        "types {{ text/plain txt; text/html html; }} keepalive_requests 100000;\n\
         server {{ listen 127.0.0.1:{{port}}; root '{}'; autoindex on; absolute_redirect off; }}",
        root.display()
    ));
    let mut mutator = Mutator::new(SEED);
    let mut used = vec![0; TABLE.len()];
    let (mut alike, mut unexplained) = (0, BTreeMap::<String, Vec<String>>::new());
    for _ in 0..REQUESTS {
        let request = mutator.request();
        let exchange = Exchange {
            idler: say(idler.address(), &request),
            nginx: say(nginx.address(), &request),
            head: request.iter().map(|byte| char::from(*byte)).collect(),
            request,
        };
        if exchange.idler == exchange.nginx {
            alike += 1;
            continue;
        }
        match reason(&exchange) {
            Some(row) => used[row] += 1,
            None => {
                let kind = format!("idler {} nginx {}", exchange.idler, exchange.nginx);
                let request = exchange.request.escape_ascii().to_string();
                unexplained.entry(kind).or_default().push(request);
            }
        }
    }
    for (row, count) in TABLE.iter().zip(&used) {
        eprintln!("{count:5} {}: {}", row.what, row.rule);
    }
    eprintln!("{alike:5} alike");
    let report: String = unexplained
        .iter()
        .map(|(kind, requests)| {
            let some: Vec<&str> = requests.iter().take(4).map(String::as_str).collect();
            format!(
                "{} × {kind}:\n    {}\n",
                requests.len(),
                some.join("\n    ")
            )
        })
        .collect();
    assert!(
        unexplained.is_empty(),
        "differences without a reason:\n{report}"
    );
    for (row, count) in TABLE.iter().zip(used) {
        assert!(count > 0, "no request needs the row: {}", row.what);
    }
    idler.stop();
}

/// The row that explains a difference: of the first of several requests in one, or of a later one behind those that both
/// answered alike.
fn reason(exchange: &Exchange) -> Option<usize> {
    let applies = |row: &Row| (row.applies)(exchange);
    TABLE.iter().position(applies).or_else(|| {
        let behind = exchange.without_the_first()?;
        reason(&behind)
    })
}

/// Sends a request and the marker, says that no more will come, and hears everything.
fn say(address: SocketAddr, request: &[u8]) -> Said {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket option");
    // It may hang up before it has heard all.
    let _ = stream.write_all(&[request, MARKER].concat());
    let _ = stream.shutdown(Shutdown::Write);
    let mut heard = Vec::new();
    if let Err(error) = stream.read_to_end(&mut heard) {
        assert_eq!(
            error.kind(),
            std::io::ErrorKind::ConnectionReset,
            "{address} does not let go of {}",
            show(request)
        );
    }
    let mut said = Said {
        replies: Vec::new(),
        trouble: None,
    };
    let heads = heads(request);
    let mut ear = Ear::new(Heard(&heard));
    loop {
        let head = heads.get(said.replies.len()).copied();
        match ear.reply(head.unwrap_or(false)) {
            Ok(reply) if reply.status == 100 => {}
            Ok(reply) => {
                let of_a_file = reply.header("accept-ranges").is_some() || reply.status == 206;
                let several = reply
                    .header("content-type")
                    .is_some_and(|kind| kind.starts_with("multipart/"));
                let content = of_a_file && !several;
                said.replies
                    .push((reply.status, content.then_some(reply.body)));
            }
            Err(Trouble::Closed) => return said,
            Err(trouble) => {
                let text = trouble.to_string();
                said.trouble = text.split(':').next().map(str::to_owned);
                return said;
            }
        }
    }
}

/// Which of the replies to some bytes answer HEAD. Every line that names a version is taken for a request line; the
/// first line, also if it does not.
fn heads(request: &[u8]) -> Vec<bool> {
    let lines = request.split(|byte| *byte == b'\n');
    let mut lines = lines.filter(|line| !line.trim_ascii().is_empty());
    let is_head = |line: &[u8]| line.starts_with(b"HEAD ");
    let first = lines.next().map(is_head);
    let others = lines.filter(|line| line.windows(6).any(|part| part == b" HTTP/"));
    first.into_iter().chain(others.map(is_head)).collect()
}

/// Bytes that have all come.
struct Heard<'a>(&'a [u8]);

impl Source for Heard<'_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Trouble> {
        let count = self.0.len().min(into.len());
        into[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let statuses: Vec<String> = self
            .replies
            .iter()
            .map(|(status, content)| match content {
                Some(content) => format!("{status}({})", content.len()),
                None => status.to_string(),
            })
            .collect();
        write!(f, "[{}", statuses.join(" "))?;
        match &self.trouble {
            Some(trouble) => write!(f, " {trouble}]"),
            None => write!(f, "]"),
        }
    }
}
