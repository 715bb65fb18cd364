//! Daytime (RFC 867), on the loop: whoever connects is told the time.
//!
//! What lives here: the server by TCP and by UDP; the client is in `daytime/client.rs`. It may not know how a moment is written
//! (`protocol/daytime.rs`). Invariant: what a client sends is never looked at.
//! Read next: `protocol/daytime.rs`.

pub mod client;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::SystemTime;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use log::debug;
use mio::net::{TcpStream, UdpSocket};

use crate::cli::{DaytimeFormat, DaytimeServerOptions};
use crate::companions::daytime_text::{Format, Moment, line};
use crate::event_loop::udp::Datagram;
use crate::event_loop::{Attempt, Context, Deadline, Next, Side, Stage, Stream};
use crate::process::datagrams::datagrams;
use crate::process::listen::Bind;

use crate::companions::companion::{Companion, Farewell, Notices, Offer, Sent, send};
use crate::tools::handlers as solo;

/// Runs `idler daytime-server`, and returns its exit code.
pub fn serve(options: &DaytimeServerOptions) -> ExitCode {
    solo::serve("daytime-server", options.voice, || {
        let settings = Rc::new(Settings::new(match options.format {
            DaytimeFormat::Datetime => Format::Datetime,
            DaytimeFormat::Rfc867 => Format::Rfc867,
            DaytimeFormat::Iso => Format::Iso,
            DaytimeFormat::Unix => Format::Unix,
        }));
        let offer = Offer::Daytime(Rc::clone(&settings));
        let mut ready = solo::doors(&options.listening, &offer)?;
        if options.udp {
            // The same addresses and ports, also where the port was any free one.
            let addresses = ready.1.iter().filter_map(|place| place.parse().ok());
            for address in addresses.collect::<Vec<SocketAddr>>() {
                let socket = datagrams(&[Bind::Ip(address.ip())], address.port())?.remove(0);
                let socket = UdpSocket::from_std(socket);
                let datagrams = Datagrams::new(socket, Rc::clone(&settings));
                ready.0.push(Companion::DaytimeUdp(datagrams));
                ready.1.push(format!("udp {address}"));
            }
        }
        Ok(ready)
    })
}

/// What the server was told.
#[derive(Debug)]
pub struct Settings {
    format: Format,
    zone: TimeZone,
}

impl Settings {
    /// The machine's time zone is read now, while its files can still be read; UTC where there is none.
    pub fn new(format: Format) -> Self {
        let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
        Self { format, zone }
    }

    fn line(&self, wall: SystemTime) -> String {
        // A clock that is set beyond the year 9999 tells 1970.
        let now = Timestamp::try_from(wall).unwrap_or(Timestamp::UNIX_EPOCH);
        line(&moment(&now.to_zoned(self.zone.clone())), self.format)
    }
}

fn moment(z: &Zoned) -> Moment {
    let part = |n: i8| u8::try_from(n).unwrap_or(0);
    let zone = z.time_zone().to_offset_info(z.timestamp());
    Moment {
        year: z.year(),
        month: part(z.month()),
        day: part(z.day()),
        hour: part(z.hour()),
        minute: part(z.minute()),
        second: part(z.second()),
        microsecond: u32::try_from(z.subsec_nanosecond() / 1000).unwrap_or(0),
        weekday: part(z.weekday().to_monday_zero_offset()),
        offset_seconds: z.offset().seconds(),
        zone: zone.abbreviation().to_owned(),
        unix_seconds: z.timestamp().as_second(),
    }
}

/// A client that is being told the time.
#[derive(Debug)]
pub struct Telling {
    stream: Stream,
    settings: Rc<Settings>,
    state: State,
}

#[derive(Default, Debug)]
enum State {
    /// Nothing was said yet.
    New,
    /// So many bytes of the line have gone out.
    Telling(String, usize),
    Leaving(Farewell),
    #[default]
    Closed,
}

impl Telling {
    /// A client that has just connected.
    pub fn new(stream: Stream, settings: Rc<Settings>) -> Self {
        Self {
            stream,
            settings,
            state: State::New,
        }
    }

    pub(crate) fn source(&mut self) -> &mut TcpStream {
        self.stream.transport()
    }

    /// Tells the time, then waits for the client to hang up.
    pub(crate) fn drive<S: Notices>(&mut self, cx: &mut Context<'_, S>) -> Next {
        let (line, sent) = match std::mem::take(&mut self.state) {
            State::New => (self.settings.line(cx.now.wall), 0),
            State::Telling(line, sent) => (line, sent),
            State::Leaving(mut farewell) => {
                let next = farewell.drive(&mut self.stream, false, cx);
                self.state = State::Leaving(farewell);
                return next;
            }
            State::Closed => return Next::Leave,
        };
        self.tell(line, sent, cx)
    }

    fn tell<S: Notices>(&mut self, line: String, mut sent: usize, cx: &mut Context<'_, S>) -> Next {
        let mut moved = sent == 0;
        while let Some(rest) = line.as_bytes().get(sent..).filter(|rest| !rest.is_empty()) {
            match send(&mut self.stream, rest, false, moved, cx) {
                Sent::Some(n) => {
                    sent += n;
                    moved = true;
                }
                Sent::Wait(next) => {
                    self.state = State::Telling(line, sent);
                    return next;
                }
                Sent::Over => return Next::Leave,
            }
        }
        let Some(mut farewell) = Farewell::begin(&mut self.stream) else {
            return Next::Leave;
        };
        let next = farewell.drive(&mut self.stream, true, cx);
        self.state = State::Leaving(farewell);
        next
    }
}

/// The server by UDP: each datagram, whatever it says, is answered with the time.
#[derive(Debug)]
pub struct Datagrams {
    socket: Datagram,
    settings: Rc<Settings>,
}

impl Datagrams {
    /// Takes over a bound socket.
    pub fn new(socket: UdpSocket, settings: Rc<Settings>) -> Self {
        Self {
            socket: Datagram::new(socket),
            settings,
        }
    }

    pub(crate) fn source(&mut self) -> &mut UdpSocket {
        self.socket.socket()
    }

    /// Answers those who asked. Bounded by the budget of a drive, which pays for each call.
    pub(crate) fn drive<S: Notices>(&mut self, cx: &mut Context<'_, S>) -> Next {
        if cx.stage == Stage::Stopping {
            return Next::Leave;
        }
        let line = self.settings.line(cx.now.wall);
        loop {
            match self.socket.receive(&mut cx.link, cx.scratch) {
                // Below 1024 are other servers: two that answer each other would never stop.
                Attempt::Done((_, from)) if from.port() < 1024 => {
                    debug!("{} {from} is no client", cx.link.key);
                }
                Attempt::Done((_, from)) => {
                    // An answer that cannot go out now is not worth waiting for: the client asks again.
                    drop(self.socket.send(&mut cx.link, line.as_bytes(), from));
                }
                Attempt::Blocked => return Next::Park(Side::Read, Deadline::Never),
                Attempt::Spent => return Next::Again(Deadline::Keep),
                // What went wrong with one datagram (the client is gone) is no concern of the next.
                Attempt::Failed(e) => debug!("{} {e}", cx.link.key),
            }
        }
    }
}
