//! What happens once, before the loop starts: descriptors, sockets, privileges, walls.
//!
//! Each step does what the user asked, or says in one line why it cannot. What needs the machine
//! outside the site (names, tables, devices) is asked before the walls stand. In the order of a
//! start: `service_manager`, `resources`, `sockets`, `user`, `addresses`, `walls`.

pub mod addresses;
pub mod resources;
pub mod service_manager;
pub mod sockets;
pub mod user;
pub mod walls;

use std::io::{Error, ErrorKind};

use rustix::io::Errno;

/// The words of an I/O error, without the number that Rust adds.
pub(crate) fn words_of(error: &Error) -> String {
    let text = error.to_string();
    let words = if error.kind() == ErrorKind::NotFound {
        "no such file or directory"
    } else if error.kind() == ErrorKind::PermissionDenied {
        "permission denied"
    } else if Errno::from_io_error(error) == Some(Errno::MFILE) {
        "no descriptor is left (raise the limit: `ulimit -n`)"
    } else {
        text.split(" (os error").next().unwrap_or(&text)
    };
    words.to_owned()
}
