//! A client that sends exactly the bytes it is told, and reads replies through `reply.rs`.
//!
//! It may not repair anything. Invariant: every read and write has a deadline.
//! Read next: `reply.rs`, then `http_requests.rs`.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::reply::{Ear, Source};
pub(crate) use super::reply::{Reply, Trouble, find, show};

/// One connection.
#[derive(Debug)]
pub(crate) struct Client {
    ear: Ear<Socket>,
    patience: Duration,
}

/// A socket that is read until a deadline.
#[derive(Debug)]
struct Socket {
    stream: TcpStream,
    deadline: Instant,
}

impl Client {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .unwrap_or_else(|e| panic!("cannot connect to {address}: {e}"));
        stream.set_nodelay(true).expect("a socket option");
        Self::over(stream)
    }

    /// Speaks over a connection that is there already.
    pub(crate) fn over(stream: TcpStream) -> Self {
        stream
            .set_write_timeout(Some(PATIENCE))
            .expect("a socket option");
        Self {
            ear: Ear::new(Socket {
                stream,
                deadline: Instant::now(),
            }),
            patience: PATIENCE,
        }
    }

    /// Waits no longer than this for a reply.
    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The socket, for what only it can do.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.ear.source().stream
    }

    /// Sends bytes as they are. An error is no failure yet: the server may have said enough.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.ear.source_mut().stream.write_all(bytes.as_ref())
    }

    /// Sends a request for `target` without ceremony.
    pub(crate) fn ask(&mut self, method: &str, target: &str, headers: &str) {
        self.send(format!(
            "{method} {target} HTTP/1.1\r\nHost: idler\r\n{headers}\r\n"
        ))
        .expect("the server listens");
    }

    /// Sends a GET and reads its reply.
    pub(crate) fn get(&mut self, target: &str) -> Reply {
        self.ask("GET", target, "");
        self.reply()
    }

    /// Says that no more will be sent.
    pub(crate) fn half_close(&mut self) {
        // The server may have closed its side already, and then there is nothing to say.
        let _ = self.socket().shutdown(Shutdown::Write);
    }

    /// Ends the connection with a reset instead of an orderly farewell.
    pub(crate) fn reset(self) {
        rustix::net::sockopt::set_socket_linger(self.socket(), Some(Duration::ZERO))
            .expect("a socket option");
    }

    /// The next reply to anything but HEAD.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn reply(&mut self) -> Reply {
        self.try_reply(false)
            .unwrap_or_else(|trouble| panic!("no reply: {trouble}"))
    }

    /// The next reply to HEAD.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn head_reply(&mut self) -> Reply {
        self.try_reply(true)
            .unwrap_or_else(|trouble| panic!("no reply: {trouble}"))
    }

    /// The next reply.
    pub(crate) fn try_reply(&mut self, answers_head: bool) -> Result<Reply, Trouble> {
        self.within(self.patience).reply(answers_head)
    }

    /// The head of the next reply; its content is left to [`Client::try_exactly`] and its like.
    pub(crate) fn reply_head(&mut self) -> Reply {
        self.within(self.patience)
            .reply_head()
            .unwrap_or_else(|trouble| panic!("no reply: {trouble}"))
    }

    /// Exactly so many bytes of content.
    pub(crate) fn try_exactly(&mut self, bytes: usize) -> Result<Vec<u8>, Trouble> {
        self.within(self.patience).exactly(bytes)
    }

    /// Reads over so many bytes of content without keeping them.
    pub(crate) fn skip(&mut self, bytes: u64) -> Result<(), Trouble> {
        self.within(self.patience).skip(bytes)
    }

    /// Everything until the server closes.
    pub(crate) fn read_to_end(&mut self) -> Result<Vec<u8>, Trouble> {
        self.within(self.patience).until_end()
    }

    /// Asserts that the server closes the connection, in order, and has nothing more to say.
    pub(crate) fn expect_closed(&mut self) {
        match self.read_to_end() {
            Ok(rest) if rest.is_empty() => {}
            Ok(rest) => panic!("closed, but not before it said: {}", show(&rest)),
            Err(trouble) => panic!("not closed: {trouble}"),
        }
    }

    /// Whether the server has closed or reset the connection by now; what it says meanwhile is kept.
    pub(crate) fn is_closed(&mut self) -> bool {
        loop {
            match self.within(Duration::from_millis(1)).more() {
                Ok(true) => {}
                Ok(false) | Err(Trouble::Reset) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Whether anything has come that is not yet read.
    pub(crate) fn has_heard(&mut self) -> bool {
        while matches!(self.within(Duration::from_millis(1)).more(), Ok(true)) {}
        !self.ear.heard().is_empty()
    }

    /// What is read next is read within this time.
    fn within(&mut self, patience: Duration) -> &mut Ear<Socket> {
        self.ear.source_mut().deadline = Instant::now() + patience;
        &mut self.ear
    }
}

impl Source for Socket {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Trouble> {
        use io::ErrorKind as Kind;
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Trouble::Silence(String::new()));
            }
            self.stream
                .set_read_timeout(Some(left))
                .expect("a socket option");
            let error = match self.stream.read(into) {
                Ok(bytes) => return Ok(bytes),
                Err(e) => e,
            };
            let kind = error.kind();
            if matches!(kind, Kind::ConnectionReset | Kind::BrokenPipe) {
                return Err(Trouble::Reset);
            }
            if !matches!(kind, Kind::WouldBlock | Kind::TimedOut | Kind::Interrupted) {
                return Err(Trouble::Malformed(format!("the socket said {error}")));
            }
        }
    }
}
