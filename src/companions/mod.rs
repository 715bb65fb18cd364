//! The companions of a socket course: a message and its answer, the time, a file transfer, a ping.

pub mod client;
pub mod companion;
pub mod daytime;
pub mod daytime_text;
pub mod message;
pub mod message_text;
pub mod ping;
pub mod progress;
pub mod sockets;
pub mod temporary;
pub mod transfer;
