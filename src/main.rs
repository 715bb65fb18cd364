//! The program: arguments, logger, command, exit code.
fn main() {}
