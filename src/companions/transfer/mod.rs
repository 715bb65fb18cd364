//! A file as one JSON object: `{"filename": "…", "filedata": "…base64…"}`, and then the end of
//! input.
//!
//! The courses' programs are twenty lines of Python around `json.dumps` and `json.loads`, and
//! hold the file three times in memory. On the wire they cannot be told apart from this, which
//! makes it as it is sent and takes it apart as it comes (`decoder.rs`), in constant memory. A
//! client costs the server the same however large its file is; one that stalls holds nothing but
//! its slot. The client writes under a temporary name until the file is whole,
//! so that nothing is left behind if it fails, and no file that was there before is touched
//! unless that was asked for.

pub mod decoder;

use std::cell::Cell;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::{Mode, OFlags};

use crate::cli::Options;
use crate::companions::atomic_file::{AtomicFile, shown};
use crate::companions::client::{Consumer, Destination, Exchange, Failure};
use crate::companions::progress::Progress;
use crate::companions::transfer::decoder::Decoder;
use crate::companions::{Offer, Opened, listen};
use crate::http::text::{JsonString, JsonStyle, printable};
use crate::limits::TRANSFER_FILE_BYTES_MAX;
use crate::process::words_of;

/// The key under which the name stands.
const NAME_KEY: &str = "filename";

/// The key under which the contents stand, in base64 (RFC 4648 §4).
const DATA_KEY: &str = "filedata";

/// Ends the string and the object. No line feed: Python's `json.dumps` writes none.
const TAIL: &[u8] = b"\"}";

/// One transfer on its way out, or a text alone: what stands at each position on the wire.
///
/// Since base64 turns 3 bytes into 4, a position on the wire names a position in the file. So a
/// client that stalls keeps no encoded bytes waiting: when it goes on, they are made again.
#[derive(Debug)]
pub struct Encoder {
    head: Vec<u8>,
    file_bytes: u64,
    tail: &'static [u8],
    /// Bytes sent so far.
    pub sent: u64,
}

/// What is to be sent next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'a> {
    /// These bytes.
    Text(&'a [u8]),
    /// The base64 of the file from byte `at` (a multiple of 3) up to its end, without its first
    /// `skip` characters. Read a multiple of 3 bytes, or up to the end.
    File {
        /// Where in the file to read from, in bytes.
        at: u64,
        /// How many bytes remain from there.
        remaining: u64,
        /// How many characters (0 to 3) of the encoded text have already been sent.
        skip: usize,
    },
    /// Nothing: all was sent.
    Done,
}

impl Encoder {
    /// The transfer of a file of `file_bytes` bytes under `name`.
    pub fn new(name: &str, file_bytes: u64) -> Self {
        // In ASCII, as Python's `json.dumps` writes it, so that no receiver has to agree on an
        // encoding.
        let name = JsonString(JsonStyle::Ascii, name.as_bytes());
        let head = format!("{{\"{NAME_KEY}\": {name}, \"{DATA_KEY}\": \"");
        Self {
            file_bytes,
            tail: TAIL,
            ..Self::text(head.into_bytes())
        }
    }

    /// A text and nothing else.
    pub(in crate::companions) fn text(head: Vec<u8>) -> Self {
        Self {
            head,
            file_bytes: 0,
            tail: b"",
            sent: 0,
        }
    }

    /// Bytes that the whole transfer takes on the wire.
    pub fn wire_bytes(&self) -> u64 {
        self.text_end() + self.tail.len() as u64
    }

    /// What is to be sent next.
    pub fn piece(&self) -> Piece<'_> {
        let text_start = self.head.len() as u64;
        if self.sent < text_start {
            return Piece::Text(rest(&self.head, self.sent));
        }
        if self.sent < self.text_end() {
            let text_at = self.sent - text_start;
            let at = text_at / 4 * 3;
            return Piece::File {
                at,
                remaining: self.file_bytes - at,
                skip: usize::try_from(text_at % 4).unwrap_or(0),
            };
        }
        match rest(self.tail, self.sent - self.text_end()) {
            [] => Piece::Done,
            tail => Piece::Text(tail),
        }
    }

    /// Told that `bytes` more have been sent.
    pub fn advance(&mut self, bytes: usize) {
        self.sent = (self.sent + bytes as u64).min(self.wire_bytes());
    }

    /// The position on the wire behind the file's last character.
    fn text_end(&self) -> u64 {
        self.head.len() as u64 + self.file_bytes.div_ceil(3) * 4
    }
}

fn rest(bytes: &[u8], from: u64) -> &[u8] {
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    bytes.get(from..).unwrap_or_default()
}

/// Writes the base64 of `bytes`, padded, to the start of `into`; returns how long it is. Encodes
/// no more than fits, a whole group of 3 bytes at a time.
pub fn encode_base64(bytes: &[u8], into: &mut [u8]) -> usize {
    let bytes = bytes.get(..into.len() / 4 * 3).unwrap_or(bytes);
    STANDARD.encode_slice(bytes, into).unwrap_or(0)
}

/// Opens `idler transfer-server`. An error is one line for the user.
pub fn serve(options: &Options) -> Result<Opened, String> {
    let files: Result<_, String> = options.files.iter().map(|path| open_file(path)).collect();
    let (files, next) = (files?, Cell::new(0));
    listen(&options.listening, Offer::Transfer(Files { files, next }))
}

/// The files on offer: opened once, before the loop starts, and read at each client's own position.
#[derive(Debug)]
pub struct Files {
    files: Vec<Rc<OfferedFile>>,
    /// The file of the next client: each in its turn.
    next: Cell<usize>,
}

#[derive(Debug)]
struct OfferedFile {
    name: String,
    file: File,
}

fn open_file(path: &Path) -> Result<Rc<OfferedFile>, String> {
    let shown = shown(path);
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| format!("cannot offer {shown}: its name is not UTF-8"))?;
    // Non-blocking, or the open of a named pipe without a writer would wait for ever.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| {
        let why = words_of(&e.into());
        format!("cannot open {shown}: {why} (name a file that can be read)")
    })?;
    let file = File::from(file);
    if !file.metadata().is_ok_and(|meta| meta.is_file()) {
        return Err(format!("cannot offer {shown}: it is not a regular file"));
    }
    let name = name.to_owned();
    Ok(Rc::new(OfferedFile { name, file }))
}

impl Files {
    /// The file whose turn it is, as long as it is now.
    pub(super) fn next_for(&self, client: String) -> Result<(FileForClient, Encoder), String> {
        let turn = self.next.get() % self.files.len().max(1);
        self.next.set(turn + 1);
        let offered = Rc::clone(self.files.get(turn).ok_or("there is no file to send")?);
        let meta = offered.file.metadata();
        let meta = meta.map_err(|e| format!("cannot send {}: {e}", offered.name))?;
        let encoder = Encoder::new(&offered.name, meta.len());
        Ok((FileForClient { client, offered }, encoder))
    }
}

/// A file on its way to a client.
#[derive(Debug)]
pub(super) struct FileForClient {
    pub(super) client: String,
    offered: Rc<OfferedFile>,
}

impl FileForClient {
    /// The name of the file, fit for a terminal.
    pub(super) fn shown(&self) -> String {
        printable(self.offered.name.as_bytes())
    }

    /// What goes out for a [`Piece::File`]. What is read of the file goes to
    /// the front of `scratch`; its base64, a third longer, takes the rest.
    pub(super) fn base64<'a>(
        &self,
        at: u64,
        remaining: u64,
        skip: usize,
        scratch: &'a mut [u8],
    ) -> Result<&'a [u8], String> {
        let share = scratch.len() / 7 * 3;
        let (file, text) = scratch.split_at_mut(share);
        let want = usize::try_from(remaining).unwrap_or(share).min(share);
        let file = &mut file[..want];
        // A disk makes this wait no longer than it takes; a network file system may.
        self.offered.file.read_exact_at(file, at).map_err(|e| {
            let why = if e.kind() == ErrorKind::UnexpectedEof {
                "the file became shorter while it was sent".to_owned()
            } else {
                e.to_string()
            };
            format!("{} did not get {}: {why}", self.client, self.shown())
        })?;
        let encoded = encode_base64(file, text);
        Ok(text.get(skip..encoded).unwrap_or_default())
    }
}

/// The client of `idler transfer-client`: receives a file.
///
/// # Errors
/// If no file can be made in the directory, or the kernel refuses to connect at once.
pub fn ask(options: &Options, to: &Destination<'_>) -> Result<Exchange, Failure> {
    let file = AtomicFile::new(&options.directory)?;
    let receiving = Receiving {
        decoder: Decoder::new(TRANSFER_FILE_BYTES_MAX),
        file,
        directory: options.directory.clone(),
        force: options.force,
    };
    let mut exchange = Exchange::start(to, Vec::new(), Box::new(receiving), options.timeout)?;
    if !options.voice.quiet {
        exchange.progress = Progress::on_terminal();
    }
    Ok(exchange)
}

/// A file on its way in.
#[derive(Debug)]
struct Receiving {
    decoder: Decoder,
    file: AtomicFile,
    directory: PathBuf,
    force: bool,
}

impl Consumer for Receiving {
    fn feed(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        let mut piece = Vec::new();
        self.decoder.feed(bytes, &mut piece).map_err(|e| {
            let at = self.decoder.fed;
            Failure::new(format!("what came is no file: {e} (byte {at})"))
        })?;
        self.file.write(&piece)?;
        Ok(false)
    }

    fn end(&mut self, wire_bytes: u64) -> Result<String, Failure> {
        let name = self.decoder.finish().map_err(|e| {
            Failure::new(format!(
                "what came is no file: {e} (after {wire_bytes} bytes)"
            ))
        })?;
        let path = self.directory.join(name);
        self.file.keep_as(&path, self.force)?;
        let (path, bytes) = (shown(&path), self.decoder.file_bytes);
        let cost = overhead(wire_bytes, bytes);
        Ok(format!(
            "{path}: {bytes} bytes from {wire_bytes} on the wire{cost}\n"
        ))
    }
}

/// What base64 and JSON cost: the number that a student should see.
fn overhead(wire_bytes: u64, file_bytes: u64) -> String {
    let more = wire_bytes.saturating_sub(file_bytes);
    let per_mille = more.saturating_mul(1000).checked_div(file_bytes);
    per_mille.map_or_else(String::new, |n| format!(" ({}.{}% more)", n / 10, n % 10))
}

#[cfg(test)]
mod tests;
