//! The server's handlers, as one enum: what its loop holds in its slots. A companion needs no
//! variant here, nor does a policy; a new kind of socket does.

use mio::event::Source;

use crate::companions::Companion;
use crate::event_loop::{Context, Dropped, Handler, Key, Newcomers, Next, Now};
use crate::server::acceptor::Acceptor;
use crate::server::clients::TrackedClient;
use crate::server::connection::HttpConnection;
use crate::server::shared::Server;
use crate::server::signals::Signals;

/// Every kind of handler of a server. All are boxed but the one of which a hundred thousand may be
/// idle.
#[derive(Debug)]
pub enum Service {
    /// A client's HTTP connection.
    Http(HttpConnection),
    /// The same, of a client that is counted by its address or spoken for by a proxy.
    TrackedConnection(Box<TrackedConnection>),
    /// A listening socket.
    Acceptor(Box<Acceptor>),
    /// A signal.
    Signals(Box<Signals>),
    /// A client, or a datagram socket, of what is served beside HTTP.
    Companion(Box<Companion>),
}

/// An HTTP connection, and what is known of its client.
#[derive(Debug)]
pub struct TrackedConnection {
    connection: HttpConnection,
    client: TrackedClient,
}

impl From<(HttpConnection, Option<TrackedClient>)> for Service {
    fn from((connection, client): (HttpConnection, Option<TrackedClient>)) -> Self {
        match client {
            None => Self::Http(connection),
            Some(client) => {
                Self::TrackedConnection(Box::new(TrackedConnection { connection, client }))
            }
        }
    }
}

impl From<Companion> for Service {
    fn from(companion: Companion) -> Self {
        Self::Companion(Box::new(companion))
    }
}

// What makes an idle connection cheap: 32 bytes of slot, and 12 of the wheel. In debug builds the
// sockets of mio are larger.
#[cfg(all(not(debug_assertions), target_pointer_width = "64"))]
const _: () = assert!(size_of::<crate::event_loop::slot::Slot<Service>>() <= 32);

impl Handler for Service {
    type Shared = Server;

    fn source(&mut self) -> Option<&mut dyn Source> {
        match self {
            Self::Http(connection) => Some(connection.transport()),
            Self::TrackedConnection(tracked) => Some(tracked.connection.transport()),
            Self::Acceptor(acceptor) => Some(acceptor.source()),
            Self::Signals(signals) => Some(signals.source()),
            Self::Companion(companion) => Some(companion.source()),
        }
    }

    fn drive(&mut self, cx: &mut Context<'_, Server>, new: &mut Newcomers<'_, Self>) -> Next {
        match self {
            Self::Http(connection) => connection.drive(None, cx),
            Self::TrackedConnection(tracked) => {
                tracked.connection.drive(Some(&mut tracked.client), cx)
            }
            Self::Acceptor(acceptor) => acceptor.drive(cx, new),
            Self::Signals(signals) => signals.drive(cx),
            Self::Companion(companion) => companion.drive(cx),
        }
    }

    fn is_background(&self) -> bool {
        matches!(self, Self::Signals(_))
    }

    fn may_be_dropped(&self) -> bool {
        match self {
            Self::Http(connection) => connection.is_idle(),
            Self::TrackedConnection(tracked) => tracked.connection.is_idle(),
            Self::Acceptor(_) | Self::Signals(_) | Self::Companion(_) => false,
        }
    }

    fn dropped(&mut self, why: Dropped, key: Key, now: &Now, shared: &mut Server) {
        let connection = match self {
            Self::Http(connection) => connection,
            Self::TrackedConnection(tracked) => &mut tracked.connection,
            Self::Acceptor(_) | Self::Signals(_) | Self::Companion(_) => return,
        };
        connection.dropped(why, key, now, shared);
    }
}
