//! A file as one JSON object: `{"filename": "…", "filedata": "…base64…"}`, and then the end of
//! input.
//!
//! The courses' programs are twenty lines of Python around `json.dumps` and `json.loads`, and
//! hold the file three times in memory. On the wire they cannot be told apart from this, which
//! makes it as it is sent (`encoder.rs`) and takes it apart as it comes (`decoder.rs`), in
//! constant memory. A client costs the server the same however large its file is; one that stalls
//! holds nothing but its slot. The client writes under a temporary name until the file is whole,
//! so that nothing is left behind if it fails, and no file that was there before is touched
//! unless that was asked for.

pub mod decoder;
pub mod encoder;

use std::cell::Cell;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{Mode, OFlags};

use crate::cli::Options;
use crate::companions::atomic_file::{AtomicFile, shown};
use crate::companions::client::{Consumer, Destination, Exchange, Failure};
use crate::companions::progress::Progress;
use crate::companions::transfer::decoder::Decoder;
use crate::companions::transfer::encoder::{Encoder, encode_base64};
use crate::companions::{Offer, Opened, listen};
use crate::http::text::printable;
use crate::limits::TRANSFER_FILE_BYTES_MAX;
use crate::process::words_of;

/// Opens `idler transfer-server`.
///
/// # Errors
/// One line for the user.
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

    /// What goes out for a [`Piece::File`](encoder::Piece::File). What is read of the file goes to
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
        incoming: Some((Decoder::new(TRANSFER_FILE_BYTES_MAX), file)),
        piece: Vec::new(),
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
    /// Until it has ended.
    incoming: Option<(Decoder, AtomicFile)>,
    /// Decoded bytes that are about to be written.
    piece: Vec<u8>,
    directory: PathBuf,
    force: bool,
}

impl Consumer for Receiving {
    fn feed(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        let Some((decoder, file)) = &mut self.incoming else {
            return Ok(true);
        };
        self.piece.clear();
        decoder.feed(bytes, &mut self.piece).map_err(|e| {
            let at = decoder.fed();
            Failure::new(format!("what came is no file: {e} (byte {at})"))
        })?;
        file.write(&self.piece)?;
        Ok(false)
    }

    fn end(&mut self, wire_bytes: u64) -> Result<String, Failure> {
        let ended = || Failure::new("the transfer has ended already");
        let (decoder, file) = self.incoming.take().ok_or_else(ended)?;
        let bytes = decoder.file_bytes();
        let name = decoder.finish().map_err(|e| {
            let line = format!("what came is no file: {e} (after {wire_bytes} bytes)");
            Failure::new(line)
        })?;
        let path = self.directory.join(&name);
        file.keep_as(&path, self.force)?;
        let (path, cost) = (shown(&path), overhead(wire_bytes, bytes));
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
