//! Daytime (RFC 867): a client that connects, or sends a datagram, is told the date and the time.
//! What it says is never looked at. One line goes out, printable ASCII, and then the end.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use log::debug;

use crate::cli::{DaytimeFormat, Options};
use crate::companions::client::{
    Destination, Driven, Exchange, Failure, connected_datagrams, earlier, print,
};
use crate::companions::message::{Message, ShortText};
use crate::companions::{Companion, Offer, Opened, listen};
use crate::event_loop::udp::Datagram;
use crate::event_loop::{Attempt, Context, Deadline, Next, Side, Stage, Tick};
use crate::http::text::printable;
use crate::http::url::BindAddress;
use crate::limits::DATAGRAM_RETRY;

/// A moment as it goes over the wire.
fn line(moment: &Zoned, format: DaytimeFormat) -> String {
    match format {
        // As Python writes a `datetime`.
        DaytimeFormat::Datetime => format!("{}\n", moment.strftime("%Y-%m-%d %H:%M:%S%.6f")),
        DaytimeFormat::Rfc867 => {
            let text = moment.strftime("%A, %B %-d, %Y %H:%M:%S-%Z");
            format!("{text}\r\n")
        }
        DaytimeFormat::Iso => {
            let mut text = moment.strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string();
            // RFC 3339 §4.3 knows no seconds in the offset of a zone.
            text.truncate("2023-04-19T17:04:30.293444+02:00".len());
            format!("{text}\n")
        }
        DaytimeFormat::Unix => format!("{}\n", moment.timestamp().as_second()),
    }
}

/// Opens `idler daytime-server`. An error is one line for the user.
pub fn serve(options: &Options) -> Result<Opened, String> {
    // The machine's time zone is read now, while its files can still be read; UTC where there is
    // none.
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    let format = options.format;
    let clock = Rc::new(ZonedClock { format, zone });
    let mut opened = listen(&options.listening, Offer::Daytime(Rc::clone(&clock)))?;
    if options.udp {
        // The same addresses and ports, also where the port was any free one.
        let places = opened.places.iter().filter_map(|place| place.parse().ok());
        let same = places.map(|place: SocketAddr| BindAddress::Ip {
            address: place.ip(),
            port: Some(place.port()),
        });
        opened.receive(&same.collect::<Vec<_>>(), 0, |socket| {
            let clock = Rc::clone(&clock);
            Companion::DaytimeUdp(Datagrams { socket, clock })
        })?;
    }
    Ok(opened)
}

/// What the server tells: the time of a zone, in a format.
#[derive(Debug)]
pub struct ZonedClock {
    format: DaytimeFormat,
    zone: TimeZone,
}

impl ZonedClock {
    pub(super) fn line(&self, wall: SystemTime) -> String {
        // A clock that is set beyond the year 9999 tells 1970.
        let now = Timestamp::try_from(wall).unwrap_or(Timestamp::UNIX_EPOCH);
        line(&now.to_zoned(self.zone.clone()), self.format)
    }
}

/// The server by UDP: each datagram, whatever it says, is answered with the time.
#[derive(Debug)]
pub struct Datagrams {
    pub(super) socket: Datagram,
    clock: Rc<ZonedClock>,
}

impl Datagrams {
    /// Answers the datagrams that wait. Bounded by the budget of a drive, which pays for each call.
    pub(super) fn drive<S>(&mut self, cx: &mut Context<'_, S>) -> Next {
        if cx.stage == Stage::Stopping {
            return Next::Leave;
        }
        let line = self.clock.line(cx.now.wall);
        loop {
            match self.socket.receive(&mut cx.link, cx.scratch) {
                // Ports below 1024 are those of other servers: two that answer each other would
                // never stop.
                Attempt::Done((_, from)) if from.port() < 1024 => {
                    debug!("{} {from} is no client", cx.link.key);
                }
                Attempt::Done((_, from)) => {
                    // An answer that cannot go out now is not worth waiting for: the client asks
                    // again.
                    drop(self.socket.send(&mut cx.link, line.as_bytes(), from));
                }
                Attempt::Blocked => return Next::Park(Side::Read, Deadline::Never),
                Attempt::Spent => return Next::Again(Deadline::Keep),
                // What went wrong with one datagram (the client is gone) does not concern the next.
                Attempt::Failed(e) => debug!("{} {e}", cx.link.key),
            }
        }
    }
}

/// The client of `idler daytime-client`: prints whatever short text it is sent.
///
/// # Errors
/// If the kernel refuses to connect at once.
pub fn ask(options: &Options, to: &Destination<'_>) -> Result<Exchange, Failure> {
    let time = ShortText {
        message: Message::default(),
        before: "",
        nothing: "the server closed the connection without telling the time",
    };
    Exchange::start(to, Vec::new(), Box::new(time), options.timeout)
}

/// The client with `--udp`: asks by datagram.
///
/// # Errors
/// If no socket can be had, or no route leads there.
pub fn ask_by_datagram(options: &Options, to: &Destination<'_>) -> Result<DatagramClient, Failure> {
    Ok(DatagramClient {
        socket: connected_datagrams(to.address)?,
        to: to.address,
        timeout: options.timeout,
        end: to.now.tick.after(options.timeout),
        ask_at: to.now.tick,
    })
}

/// Asks again and again until there is an answer.
#[derive(Debug)]
pub struct DatagramClient {
    pub(crate) socket: Datagram,
    to: SocketAddr,
    timeout: Duration,
    end: Tick,
    ask_at: Tick,
}

impl DatagramClient {
    /// Asks when it is time to, and waits for the answer.
    pub(crate) fn drive<S>(&mut self, cx: &mut Context<'_, S>) -> Driven {
        if cx.stage == Stage::Stopping {
            return Err(Failure::interrupted());
        }
        match self.socket.receive(&mut cx.link, cx.scratch) {
            Attempt::Done((n, _)) => {
                let line = printable(cx.scratch.get(..n).unwrap_or_default());
                print(format!("{line}\n").as_bytes())?;
                return Ok(None);
            }
            Attempt::Failed(e) => return Err(Failure::to_connect(self.to, &e)),
            Attempt::Blocked | Attempt::Spent => {}
        }
        let now = cx.now.tick;
        if self.end.is_due(now) {
            return Err(Failure::quiet(self.to, self.timeout));
        }
        if self.ask_at.is_due(now) {
            // What it says does not matter, only that a datagram comes.
            match self.socket.send(&mut cx.link, b"\n", self.to) {
                Attempt::Failed(e) => return Err(Failure::to_connect(self.to, &e)),
                Attempt::Done(_) => self.ask_at = now.after(DATAGRAM_RETRY),
                // At first the kernel has not said yet that it takes datagrams: soon it will.
                Attempt::Blocked | Attempt::Spent => {
                    let deadline = Deadline::At(self.end);
                    return Ok(Some(Next::Park(Side::Either, deadline)));
                }
            }
        }
        let wake = Deadline::At(earlier(self.ask_at, self.end));
        Ok(Some(Next::Park(Side::Read, wake)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use jiff::civil::date;

    /// 1681916670.293444, in central Europe.
    fn moment() -> Zoned {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let local = date(2023, 4, 19).at(17, 4, 30, 293_444_000);
        local.to_zoned(zone).unwrap()
    }

    #[test]
    fn each_format_looks_as_promised() {
        let m = moment();
        assert_eq!(
            line(&m, DaytimeFormat::Datetime),
            "2023-04-19 17:04:30.293444\n"
        );
        assert_eq!(
            line(&m, DaytimeFormat::Rfc867),
            "Wednesday, April 19, 2023 17:04:30-CEST\r\n"
        );
        assert_eq!(
            line(&m, DaytimeFormat::Iso),
            "2023-04-19T17:04:30.293444+02:00\n"
        );
        assert_eq!(line(&m, DaytimeFormat::Unix), "1681916670\n");
    }

    #[test]
    fn zeros_are_kept_and_zones_behind_utc_have_a_minus() {
        let zone = TimeZone::posix("XYZ3:30:20").unwrap();
        let m = date(987, 1, 2).at(3, 4, 5, 6_000).to_zoned(zone).unwrap();
        assert_eq!(
            line(&m, DaytimeFormat::Datetime),
            "0987-01-02 03:04:05.000006\n"
        );
        assert_eq!(
            line(&m, DaytimeFormat::Iso),
            "0987-01-02T03:04:05.000006-03:30\n"
        );
        let whole = date(2026, 1, 2).at(3, 4, 5, 0);
        let whole = whole.to_zoned(TimeZone::UTC).unwrap();
        assert_eq!(
            line(&whole, DaytimeFormat::Datetime),
            "2026-01-02 03:04:05.000000\n"
        );
    }
}
