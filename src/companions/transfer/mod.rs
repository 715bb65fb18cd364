//! File transfer, on the loop: base64 in JSON, made as it is sent and taken apart as it comes.
//!
//! What lives here: the files on offer and a client that is being sent one; the receiving half is in `receive.rs`.
//! It may not know how the wire looks (`protocol/transfer/`). Invariant: a client costs the same however
//! large its file is; one that stalls holds nothing but its place.
//! Read next: `protocol/transfer/encode.rs`, `receive.rs`.

pub mod document;
pub mod receive;

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use log::debug;
use mio::net::TcpStream;

use crate::cli::TransferServerOptions;
use crate::companions::transfer::document::{Encoder, Piece, encode_base64};
use crate::event_loop::{Context, Next, Stream};
use crate::http::printable::printable;

use crate::companions::companion::{Farewell, Notices, Offer, Peer, Sent, send};
use crate::process::words_of;
use crate::tools::handlers as solo;

/// Runs `idler transfer-server`, and returns its exit code.
pub fn serve(options: &TransferServerOptions) -> ExitCode {
    solo::serve("transfer-server", options.voice, || {
        let files = Files::open(&options.files)?;
        solo::doors(&options.listening, &Offer::Transfer(Rc::new(files)))
    })
}

/// The files on offer: opened once, before the loop starts, and read at each client's own place.
#[derive(Debug)]
pub struct Files {
    files: Vec<Rc<Offered>>,
    next: Cell<usize>,
}

#[derive(Debug)]
struct Offered {
    name: String,
    file: File,
}

impl Files {
    /// Opens them all.
    ///
    /// # Errors
    /// One line for the user about the first that cannot be offered.
    pub fn open(paths: &[PathBuf]) -> Result<Self, String> {
        let files: Result<_, String> = paths.iter().map(|path| open(path).map(Rc::new)).collect();
        Ok(Self {
            files: files?,
            next: Cell::new(0),
        })
    }

    /// The file for the next client: each in its turn.
    fn next(&self) -> Option<Rc<Offered>> {
        let turn = self.next.get() % self.files.len().max(1);
        self.next.set(turn + 1);
        self.files.get(turn).map(Rc::clone)
    }
}

fn open(path: &Path) -> Result<Offered, String> {
    let shown = printable(path.as_os_str().as_encoded_bytes());
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| format!("cannot offer {shown}: its name is not UTF-8"))?;
    // Non-blocking, or the open of a named pipe that nobody writes to would wait for ever.
    let flags = rustix::fs::OFlags::RDONLY
        | rustix::fs::OFlags::NONBLOCK
        | rustix::fs::OFlags::NOCTTY
        | rustix::fs::OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, rustix::fs::Mode::empty())
        .map(File::from)
        .map_err(|e| {
            format!(
                "cannot open {shown}: {} (name a file that can be read)",
                words_of(&e.into())
            )
        })?;
    let is_file = file.metadata().is_ok_and(|m| m.is_file());
    if !is_file {
        return Err(format!("cannot offer {shown}: it is not a regular file"));
    }
    Ok(Offered {
        name: name.to_owned(),
        file,
    })
}

/// A client that is being sent a file.
#[derive(Debug)]
pub struct Sending {
    stream: Stream,
    peer: Peer,
    offered: Rc<Offered>,
    encoder: Encoder,
    farewell: Option<Farewell>,
}

/// Of the read buffer, how much is for bytes of the file; their base64, a third longer, takes the rest.
const fn file_share(buffer: usize) -> usize {
    buffer / 7 * 3 / 3 * 3
}

impl Sending {
    /// A client that has just connected gets the file whose turn it is, as long as it is now.
    ///
    /// # Errors
    /// A line for whoever runs the server.
    pub fn new(stream: Stream, peer: Peer, files: &Files) -> Result<Self, String> {
        let offered = files.next().ok_or("there is no file to send")?;
        let length = offered.file.metadata().map(|m| m.len());
        let length = length.map_err(|e| format!("cannot send {}: {e}", offered.name))?;
        let encoder = Encoder::new(&offered.name, length);
        Ok(Self {
            stream,
            peer,
            offered,
            encoder,
            farewell: None,
        })
    }

    pub(super) fn source(&mut self) -> &mut TcpStream {
        self.stream.transport()
    }

    /// Sends what fits. Bounded by the budget of a drive.
    pub(super) fn drive<S: Notices>(&mut self, cx: &mut Context<'_, S>) -> Next {
        if let Some(farewell) = &mut self.farewell {
            return farewell.drive(&mut self.stream, false, cx);
        }
        let mut moved = false;
        loop {
            let sent = match self.encoder.piece() {
                Piece::Text(text) => send(&mut self.stream, text, true, moved, cx),
                Piece::File {
                    at,
                    remaining,
                    skip,
                } => match self.encode(at, remaining, cx.scratch) {
                    Ok(text) => {
                        // What is encoded lies in the buffer that the context lends, so it is taken out for the call.
                        let buffer = std::mem::take(&mut cx.scratch);
                        let text = buffer.get(text).and_then(|text| text.get(skip..));
                        let sent =
                            send(&mut self.stream, text.unwrap_or_default(), true, moved, cx);
                        cx.scratch = buffer;
                        sent
                    }
                    Err(why) => {
                        let name = printable(self.offered.name.as_bytes());
                        let peer = self.peer;
                        cx.shared
                            .notice(&format!("{peer} did not get {name}: {why}"));
                        return Next::Leave;
                    }
                },
                Piece::Done => return self.finish(cx),
            };
            match sent {
                Sent::Some(n) => {
                    moved = true;
                    self.encoder.advance(n);
                }
                Sent::Wait(next) => return next,
                Sent::Over => {
                    let (sent, all) = (self.encoder.sent(), self.encoder.wire_bytes());
                    debug!("{} left after {sent} of {all} bytes", cx.link.key);
                    return Next::Leave;
                }
            }
        }
    }

    /// Reads from `at` into the front of the buffer, and encodes into the rest of it: says where.
    fn encode(
        &self,
        at: u64,
        remaining: u64,
        buffer: &mut [u8],
    ) -> Result<std::ops::Range<usize>, String> {
        let share = file_share(buffer.len());
        let (file, text) = buffer.split_at_mut(share);
        let want = usize::try_from(remaining).unwrap_or(share).min(share);
        let file = &mut file[..want];
        let mut filled = 0;
        while filled < want {
            // On a disk this does not wait longer than the disk takes; network file systems may.
            match self
                .offered
                .file
                .read_at(&mut file[filled..], at + filled as u64)
            {
                Ok(0) => return Err("the file became shorter while it was sent".to_owned()),
                Ok(n) => filled += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.to_string()),
            }
        }
        let encoded = encode_base64(file, text);
        Ok(share..share + encoded)
    }

    fn finish<S: Notices>(&mut self, cx: &mut Context<'_, S>) -> Next {
        let name = printable(self.offered.name.as_bytes());
        let (peer, bytes) = (self.peer, self.encoder.wire_bytes());
        cx.shared
            .notice(&format!("{peer} got {name}: {bytes} bytes on the wire"));
        self.leave(cx)
    }

    fn leave<S>(&mut self, cx: &mut Context<'_, S>) -> Next {
        let Some(mut farewell) = Farewell::begin(&mut self.stream) else {
            return Next::Leave;
        };
        let next = farewell.drive(&mut self.stream, true, cx);
        self.farewell = Some(farewell);
        next
    }
}
