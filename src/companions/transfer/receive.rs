//! The receiving half of a file transfer.
//!
//! What lives here: a file that is decoded as it comes, under a temporary name until it is whole. It may not know the
//! wire (`protocol/transfer/decode.rs`). Invariant: whatever goes wrong, nothing is left behind, and no
//! file that was there before is touched unless that was asked for.
//! Read next: `protocol/transfer/decode.rs`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::TransferClientOptions;
use crate::companions::transfer::document::Decoder;
use crate::http::printable::printable;
use crate::limits::TRANSFER_FILE_BYTES_MAX;

use crate::companions::client::{Consumer, Exchange, Failure, Heard, resolve};
use crate::companions::progress::Progress;
use crate::companions::temporary::Temporary;
use crate::tools::handlers as solo;
use crate::tools::handlers::ClientTask;

/// Runs `idler transfer-client`, and returns its exit code.
pub fn receive(options: &TransferClientOptions) -> ExitCode {
    solo::start_logger(options.voice);
    let addresses = resolve(&options.peer.host, options.peer.port);
    solo::exit_code(addresses.and_then(|addresses| {
        solo::at_first_of(&addresses, |to| {
            let directory = options.directory.clone();
            let ear = Receiving::new(directory, options.force, TRANSFER_FILE_BYTES_MAX)?;
            let progress = (!options.voice.quiet).then(Progress::on_terminal).flatten();
            let exchange = Exchange::start(to, Vec::new(), ear, options.timeout, progress)?;
            Ok(ClientTask::Transfer(Box::new(exchange)))
        })
    }))
}

/// A file on its way in.
#[derive(Debug)]
pub struct Receiving {
    decoder: Option<Decoder>,
    /// Decoded bytes that are about to be written.
    piece: Vec<u8>,
    file: Temporary,
    directory: PathBuf,
    force: bool,
}

impl Receiving {
    /// Will put the file into `directory`, over an existing one only with `force`, and no larger than `bytes_max`.
    ///
    /// # Errors
    /// If no file can be made there.
    pub fn new(directory: PathBuf, force: bool, bytes_max: u64) -> Result<Self, Failure> {
        Ok(Self {
            decoder: Some(Decoder::new(bytes_max)),
            piece: Vec::new(),
            file: Temporary::new(&directory)?,
            directory,
            force,
        })
    }
}

impl Consumer for Receiving {
    fn hear(&mut self, bytes: &[u8]) -> Result<Heard, Failure> {
        let Some(decoder) = &mut self.decoder else {
            return Ok(Heard::Enough);
        };
        self.piece.clear();
        decoder.hear(bytes, &mut self.piece).map_err(|e| {
            Failure::new(format!(
                "what came is no file: {e} (byte {})",
                decoder.heard()
            ))
        })?;
        self.file.write(&self.piece)?;
        Ok(Heard::More)
    }

    fn end(&mut self, wire_bytes: u64) -> Result<String, Failure> {
        let Some(decoder) = self.decoder.take() else {
            return Err(Failure::new("the transfer has ended already"));
        };
        let (heard, bytes) = (decoder.heard(), decoder.file_bytes());
        let name = decoder.finish().map_err(|e| {
            Failure::new(format!("what came is no file: {e} (after {heard} bytes)"))
        })?;
        let path = self.directory.join(&name);
        self.file.keep_as(&path, self.force)?;
        let path = printable(path.as_os_str().as_encoded_bytes());
        Ok(format!(
            "{path}: {bytes} bytes{}\n",
            cost(wire_bytes, bytes)
        ))
    }
}

/// What base64 and JSON cost: the number that a student should see.
fn cost(wire_bytes: u64, file_bytes: u64) -> String {
    let Some(percent) = wire_bytes
        .saturating_sub(file_bytes)
        .saturating_mul(1000)
        .checked_div(file_bytes)
    else {
        return format!(" from {wire_bytes} on the wire");
    };
    format!(
        " from {wire_bytes} on the wire ({}.{}% more)",
        percent / 10,
        percent % 10
    )
}
