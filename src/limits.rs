//! Every number idler obeys, with its unit and its reason.
//!
//! A limit that a user may need to change is also the default of an option, in the words of its row
//! (`cli`); `tests/it/readme.rs` holds the two equal. All others are here and nowhere else. A name
//! says its unit, or its type does.

use std::ops::RangeInclusive;
use std::time::Duration;

// ---- the loop ---------------------------------------------------------------------------------

/// Readiness events, of 12 bytes each, that are taken from the kernel in one turn, with one call.
pub const EVENTS_PER_TURN: usize = 1024;
/// Bytes one drive may move before the connection goes to the back of the queue: one
/// [`SENDFILE_BYTES_MAX`] with the head before it. A MiB takes the kernel about 120 µs.
pub const DRIVE_BYTES_MAX: usize = SENDFILE_BYTES_MAX + 4 * CALL_COST_BYTES;
/// What each I/O call costs of [`DRIVE_BYTES_MAX`], in bytes, whatever it moved: a client that
/// makes idler call often for little is bounded as well, to 68 calls a drive.
pub const CALL_COST_BYTES: usize = 16 * 1024;
/// The one read buffer, shared by all connections, in bytes: as large as the longest head allowed
/// by default, so that any legal head can be read in one call.
pub const SCRATCH_BYTES: usize = 16 * 1024;
/// Slots beyond the connection limit, for replies that say that it is reached: they are sent, and
/// lingered over, like any other. Beyond them, one call has to do.
pub const REFUSALS_MAX: usize = 8;
/// Entries of the wheel looked at to find an idle connection that can make room, in the earliest
/// bucket: the one found is near enough to the longest idle.
pub const ROOM_LOOK_MAX: usize = 64;
/// How often a system call that a signal interrupted is made again in one drive.
pub const INTERRUPTED_RETRIES_MAX: usize = 8;
/// The most slots the slab is made for: what one process can hold (`fs.nr_open` is 1,048,576 on
/// Linux). Containers report a descriptor limit of a thousand million.
pub const SLOTS_MAX: usize = 1_048_576;
/// Descriptors kept back from connections: standard streams, epoll, signals, listeners, root, log,
/// the reserve for refusing, files being opened, and the cache's own descriptors.
pub const DESCRIPTORS_RESERVED: usize = 64;
/// The same where the limit is too small for [`DESCRIPTORS_RESERVED`]: standard streams, epoll,
/// signals, root, log, two listeners with their reserve, and two for a file that is being opened.
pub const DESCRIPTORS_OWN: usize = 20;
/// Connections that may wait to be accepted; the kernel cuts it to `net.core.somaxconn` (4,096).
pub const LISTEN_BACKLOG: i32 = 4096;
/// Bytes that the kernel takes for a TCP connection beyond what it may send at once
/// (`TCP_NOTSENT_LOWAT`), or it would take up to 4 MB for each reader that does not read, until all
/// memory for TCP is used up. Twice [`CACHED_FILE_BYTES_MAX`]: what is kept goes out in one call.
pub const UNSENT_BYTES_MIN: u32 = 128 * 1024;
/// What n clients to which files are sent share: each may have an n-th of it, but not less than
/// [`UNSENT_BYTES_MIN`]. The more the kernel takes, the less often it wakes the loop.
pub const UNSENT_BYTES_ALL: u32 = 16 * 1024 * 1024;
/// The kernel may have one in so many of a file's bytes: once it has all, its reader is no longer
/// watched.
pub const UNSENT_PART_OF_FILE: u64 = 8;
/// How long a listener sleeps when descriptors have run out and no idle connection can make room.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Errors of accept in a row after which a listener sleeps for [`ACCEPT_PAUSE`]: some connections
/// are gone before they are accepted, but not all of them.
pub const ACCEPT_FAILURES_MAX: usize = 8;
/// Ports tried when any free one will do, and is to be free on several addresses.
pub const PORT_ATTEMPTS_MAX: usize = 32;
/// Sockets that a service manager may hand over: the number comes from the environment.
pub const INHERITED_SOCKETS_MAX: usize = 64;
/// Addresses of the machine shown at the start when all are listened on. A router has hundreds.
pub const OWN_ADDRESSES_MAX: usize = 16;
/// Bytes read of one of the kernel's address tables; a router's routing table has no end.
pub const ADDRESS_TABLE_BYTES_MAX: u64 = 1024 * 1024;

// ---- HTTP -------------------------------------------------------------------------------------

/// Longest request head by default, in bytes; beyond it the answer is 431. Every browser's fits,
/// with room for large cookies. It is also what one slow client can make idler keep.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Longest request line, in bytes; beyond it 414. RFC 9112 §3 asks for 8,000 at least.
pub const REQUEST_LINE_BYTES_MAX: usize = 8 * 1024;
/// Header lines in one head; beyond them 431. Browsers behind proxies send about 30.
pub const HEADER_LINES_MAX: usize = 100;
/// Blank lines allowed before a request line (RFC 9112 §2.2 asks to ignore at least one).
pub const LEADING_BLANK_BYTES_MAX: usize = 16;
/// Default time from the first byte of a head to its last; no further byte extends it.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be idle by default, between requests or before the first.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a reply may make no progress at all before its reader is given up.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// The least rate of a reply, in bytes acknowledged per second, averaged over [`STALL_TIMEOUT`] or
/// less: systems acknowledge in steps of up to 64 KiB. The slowest modem is 50 times faster.
pub const SEND_RATE_MIN: u64 = 100;
/// How long, at a stop, an idle connection is kept after it came or was last answered: a request
/// may be on its way. More than a round trip anywhere.
pub const SHUTDOWN_IDLE_GRACE: Duration = Duration::from_secs(1);
/// How often in a [`STALL_TIMEOUT`] a reader that takes nothing is checked: no edge tells that a
/// slow one has taken a little.
pub const STALL_LOOKS: u32 = 4;
/// How long a connection lingers for the peer to hang up, or a reset could overtake the last reply.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes thrown away while lingering, before idler hangs up all the same.
pub const LINGER_BYTES_MAX: u64 = 1024 * 1024;
/// Longest request body that is read and thrown away to keep a connection; a longer one costs it.
pub const DRAINED_BODY_BYTES_MAX: u64 = 64 * 1024;
/// Longest line of a chunked body (size with extensions, or one trailer), in bytes.
pub const CHUNK_LINE_BYTES_MAX: usize = 4096;
/// Bytes of all trailer lines of one chunked body.
pub const TRAILER_BYTES_MAX: usize = 8 * 1024;
/// Longest line of the PROXY protocol's version 1, in bytes, its end included.
pub const PROXY_LINE_BYTES_MAX: usize = 107;
/// Longest header of its version 2: with the names of a certificate it has some hundreds of bytes,
/// and could have 65,551.
pub const PROXY_HEADER_BYTES_MAX: usize = 4096;
/// Seconds a refused newcomer is asked to stay away (`Retry-After` of 503).
pub const RETRY_AFTER_SECONDS: u32 = 1;
/// Ranges in one Range field; a field with more is ignored. Viewers of documents ask for a dozen at
/// most, and each costs a call to the kernel.
pub const RANGES_MAX: usize = 32;

// ---- files ------------------------------------------------------------------------------------

/// Largest file kept in memory, in bytes. Up to here one copy into the socket is as cheap as
/// `sendfile`; beyond, `sendfile` from a kept descriptor wins.
pub const CACHED_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Bytes of file contents kept in memory by default: 10,000 small pages of a documentation site.
pub const CACHE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What a cache entry costs beside what is kept, in bytes: itself, its place in the index, boxes.
pub const CACHE_ENTRY_BYTES: usize = 320;
/// Descriptors of larger files kept open. Connections need descriptors more than files do.
pub const CACHE_DESCRIPTORS_MAX: usize = 32;
/// A file modified this recently is not kept and gets a weak validator: it may change unnoticed.
pub const RACY_WINDOW: Duration = Duration::from_secs(2);
/// How often a small file is read that changes meanwhile, before it is sent from its descriptor.
pub const TORN_READS_MAX: usize = 3;
/// How often `openat2` is tried again when a rename races with it (EAGAIN, see openat2(2)).
pub const OPEN_RETRIES_MAX: usize = 8;
/// Bytes `sendfile` is asked for at most in one call; [`DRIVE_BYTES_MAX`] bounds it further.
pub const SENDFILE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a cold file that are fetched ahead of those that are sent: two pieces of what is sent
/// at once, so that the disk works on while the reply sleeps.
pub const DISK_FETCH_BYTES: usize = 2 * SENDFILE_BYTES_MAX;
/// Bytes fetched with one call, of which the first tells whether they have come. Linux reads ahead
/// 128 KiB unless told otherwise, and would leave out what exceeds that.
pub const DISK_REQUEST_BYTES: usize = 128 * 1024;
/// How long a reply sleeps before it asks the disk again: the least that the loop can sleep.
pub const DISK_PAUSE: Duration = Duration::from_millis(1);
/// A reply that has waited for longer sleeps this part of what it has waited: bytes come late by a
/// quarter at most, and a disk that hangs for a minute is asked 42 times.
pub const DISK_PAUSE_DIVISOR: u32 = 4;
/// At most one warning of a kind in this time.
pub const WARNING_INTERVAL: Duration = Duration::from_secs(10);

// ---- listings ---------------------------------------------------------------------------------

/// Entries of one directory that are listed; a browser needs seconds for a table of this length.
pub const LISTING_ENTRIES_MAX: usize = 100_000;
/// Bytes of all names of one listing: with its other 32 bytes, an entry stays below 200.
pub const LISTING_NAME_BYTES_MAX: usize = 150 * LISTING_ENTRIES_MAX;
/// Entries beyond the listed ones that are still counted: 50 ms of work in thousands of steps.
pub const LISTING_COUNTED_MAX: u64 = 1_000_000;
/// Entries up to which a listing is sorted by size or time; longer ones are sorted by name.
pub const LISTING_SORTED_BY_VALUE_MAX: usize = 10_000;
/// Bytes of directory read in one step: about 200 names, each asked for its size and time (5 ms if
/// all are symbolic links). The longest name has 4,095.
pub const LISTING_READ_BYTES: usize = 8 * 1024;
/// Entries sorted at once before they are merged: a quarter of a millisecond.
pub const LISTING_SORT_RUN: usize = 1024;
/// Directories above the listed one that its page links to; a path may have thousands of segments.
pub const LISTING_CRUMBS_MAX: usize = 32;
/// Bytes of a listing page produced in one step: some 300 rows, and a few socket buffers' worth.
pub const LISTING_PIECE_BYTES: usize = 64 * 1024;
/// Steps of all listings together in one turn of the loop, so that a turn stays below 5 ms. A step
/// takes 0.3 ms on average and 1.2 ms at the longest, or 1 ms and 3.6 ms among symbolic links.
pub const LISTING_STEPS_PER_TURN: u32 = 1;
/// Bytes that all listings hold together while they are read, sorted and sent: six of the longest.
pub const LISTINGS_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Bytes up to which a listing is made even when the others hold too much: about 500 entries.
pub const LISTING_BYTES_ALWAYS: usize = 64 * 1024;

// ---- policies ---------------------------------------------------------------------------------

/// Connections from one address that `--max-per-address` may allow; more is as good as no limit.
pub const PER_ADDRESS_OPTION_MAX: u32 = 1_048_576;
/// Characters of a hash in the name of a file that `--cache` may call immutable, at least: Vite,
/// Rollup, esbuild and Parcel use eight.
pub const HASH_CHARS_MIN: usize = 8;
/// The longest freshness that `--cache` promises: a year stands for "for ever" to caches.
pub const CACHE_AGE_OPTION_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Largest error page of a site's own, in bytes: with a style sheet and a small picture.
pub const ERROR_PAGE_BYTES_MAX: u64 = 256 * 1024;
/// Seconds a browser may remember a preflight (`Access-Control-Max-Age`): Chromium's most.
pub const PREFLIGHT_SECONDS: u32 = 7200;
/// Sites told apart by their hosts. [`DESCRIPTORS_RESERVED`] must cover the root of each.
pub const HOSTS_MAX: usize = 16;
/// The greatest cost of a bcrypt hash: 64 rounds of its key schedule, which take 3 ms, and should
/// stay below 10 ms on slow machines too, since all other clients wait. htpasswd makes 5.
pub const BCRYPT_COST_MAX: u32 = 6;
/// Passwords checked in a second, for all clients together: 14 ms of it.
pub const PASSWORD_CHECKS_PER_SECOND: u32 = 4;
/// Wrong passwords remembered, so that repeating them costs no check.
pub const WRONG_PASSWORDS_REMEMBERED: usize = 64;
/// Longest password that `idler password` takes, in bytes: bcrypt sees 72, one of them a NUL.
pub const PASSWORD_BYTES_MAX: usize = 71;
/// Longest file of users, in bytes: some 800 of them. It is read between two turns of the loop.
pub const USERS_BYTES_MAX: usize = 64 * 1024;
/// Longest file of redirects, in bytes: 10,000 lines of a hundred. It is read between two turns.
pub const REDIRECTS_BYTES_MAX: usize = 1024 * 1024;
/// Redirects in such a file.
pub const REDIRECTS_MAX: usize = 10_000;
/// Redirects in a row before the file is refused as running in a circle. Browsers follow 20.
pub const REDIRECT_HOPS_MAX: usize = 8;

// ---- precompress ------------------------------------------------------------------------------

/// Longest file that gets siblings, in bytes. The best coder takes a second for each megabyte.
pub const PRECOMPRESS_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Directories within directories that are entered; each holds a descriptor until it is done.
pub const PRECOMPRESS_DEPTH_MAX: usize = 128;
/// Characters of a file's name in the progress of `idler precompress`: a line must not wrap.
pub const PRECOMPRESS_SHOWN_CHARS_MAX: usize = 60;

// ---- logs and metrics -------------------------------------------------------------------------

/// Codes of replies that are counted: they have three digits, and begin with 1 to 5.
pub const STATUS_CODES: usize = 600;
/// Durations of turns that `--status` tells apart, in microseconds: every client notices the last.
pub const TURN_LIMITS_MICROS: [u64; 10] = [
    10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 1_000_000,
];
/// Bytes of lines kept for a log whose reader does not keep up: ten thousand lines. What does not
/// fit is dropped and counted.
pub const LOG_PENDING_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a log's queue that stay allocated when it is empty.
pub const LOG_KEPT_BYTES: usize = 64 * 1024;
/// Writes to one log in one go (once a turn): at 4 KiB each, everything that may wait for a pipe.
pub const LOG_WRITES_PER_FLUSH_MAX: usize = 256;
/// Bytes in one write to a pipe: `PIPE_BUF`, up to which it is whole or not at all (pipe(7)).
pub const PIPE_BYTES_MAX: usize = 4096;
/// How soon a log that did not take everything is tried again. Doubled while nothing moves, up to
/// [`LOG_RETRY_MAX`]: a reader that stopped costs one wake-up a second.
pub const LOG_RETRY_FIRST: Duration = Duration::from_millis(10);
/// See [`LOG_RETRY_FIRST`].
pub const LOG_RETRY_MAX: Duration = Duration::from_secs(1);
/// Waits of 10 ms for a slow reader at the end of the program: half a second in all.
pub const LOG_FAREWELL_POLLS_MAX: usize = 50;
/// Bytes of one client's text (request line, referrer, user agent) that a log line shows; the rest
/// is cut and marked. Escaping can make six of each.
pub const LOG_FIELD_BYTES_MAX: usize = 2048;

// ---- companions -------------------------------------------------------------------------------

/// Longest head of a reply that `idler get` takes, in bytes. Servers send more than clients.
pub const REPLY_HEAD_BYTES_MAX: usize = 64 * 1024;
/// Redirects that `idler get` follows; more are a loop, or as good as one.
pub const FOLLOWED_REDIRECTS_MAX: u32 = 10;
/// How long a client waits for a connection before it tries the next address.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Silence that stands for the end of an answer where its server does not close.
pub const CLIENT_QUIET: Duration = Duration::from_secs(1);
/// How long a client waits for the answer to a datagram before it asks again.
pub const DATAGRAM_RETRY: Duration = Duration::from_secs(1);
/// How often a progress bar is drawn. Ten times a second looks like motion.
pub const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// Longest message, in bytes: what the programs of the courses receive in one call.
pub const MESSAGE_BYTES_MAX: usize = 1024;
/// How long it must be quiet for a message to count as whole, if its sender has not ended its side.
pub const MESSAGE_QUIET: Duration = Duration::from_millis(100);
/// How long a client may take for its whole message.
pub const MESSAGE_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest file that a client receives, in bytes: 16 GiB. A sender without end would fill the disk.
pub const TRANSFER_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;
/// Names tried for a temporary file before giving up.
pub const TEMPORARY_NAMES_MAX: u32 = 100;
/// Longest file name (with its directories) of a file transfer, in bytes: Linux's `PATH_MAX`.
pub const TRANSFER_NAME_BYTES_MAX: usize = 4096;
/// Bytes of a key in a file transfer that are kept: longer ones are not ours.
pub const TRANSFER_KEY_BYTES_KEPT: usize = 16;
/// Bytes of a file transfer beside the file: names, white space, other members.
pub const TRANSFER_OVERHEAD_BYTES_MAX: u64 = 1024 * 1024;
/// Pings a client remembers, to tell their replies from strangers' datagrams: an hour of them.
pub const PING_WINDOW: usize = 4096;
/// How long a ping client listens for duplicates at its end, or twice the longest round trip.
pub const PING_QUIET: Duration = Duration::from_millis(100);
/// Replies a ping server holds back at once (delayed or to be reordered); more are dropped.
pub const PING_HELD_MAX: usize = 4096;
/// Bytes of the replies a ping server holds back at once.
pub const PING_HELD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What a ping costs a drive of its server, in bytes: a receive, and a reply sent twice.
pub const PING_COST_BYTES: usize = 3 * (CALL_COST_BYTES + SCRATCH_BYTES);
/// How long a reply that is to be overtaken is held back if no other one comes to overtake it.
pub const PING_REORDER_HOLD: Duration = Duration::from_millis(500);
/// Requests that `--keep` and `--pipeline` may ask for: enough for any figure, few enough to end.
pub const REPEATED_REQUESTS_MAX: u32 = 1_000_000;
/// The customary ports of the companions, as socket courses use them.
pub const MESSAGE_PORT: u16 = 8000;
/// See [`MESSAGE_PORT`].
pub const DAYTIME_PORT: u16 = 1313;
/// See [`MESSAGE_PORT`].
pub const TRANSFER_PORT: u16 = 5566;
/// See [`MESSAGE_PORT`].
pub const PING_PORT: u16 = 12000;
/// The largest payload of a UDP datagram over IPv4, in bytes.
pub const DATAGRAM_BYTES_MAX: usize = 65_507;

// ---- crowd ------------------------------------------------------------------------------------

/// Clients one `idler crowd` can have: as many as the most descriptors of a process.
pub const CROWD_CLIENTS_MAX: u32 = 1_048_576;
/// Time from one look of a crowd's leader at what is to be opened to the next.
pub const CROWD_PACE: Duration = Duration::from_millis(10);
/// The longest stretch of opening that a crowd makes up for at once, after it was held up.
pub const CROWD_ARREARS_MAX: Duration = Duration::from_millis(100);
/// What opening one connection costs of a drive's budget: its calls, beside those of an I/O call.
pub const CROWD_OPENING_COST_BYTES: usize = 4 * CALL_COST_BYTES;
/// Connections of a crowd that are on their way at once: an unresponsive server gets no more.
pub const CROWD_OPENING_MAX: u32 = 512;
/// A crowd that no member could join for so long stays as large as it is.
pub const CROWD_PATIENCE: Duration = Duration::from_secs(30);
/// Time between two looks at a crowd that is held.
pub const CROWD_LOOK: Duration = Duration::from_secs(1);
/// Time between two lines about a crowd where no terminal shows one that is redrawn.
pub const CROWD_LINE_INTERVAL: Duration = Duration::from_secs(5);
/// Bytes that a slow reader reads at once: the part of a status line that has the status.
pub const CROWD_SIP_BYTES: usize = 16;
/// A slow reader's receive buffer, in bytes (the kernel doubles it), so that the server's fill.
pub const CROWD_RECEIVE_BUFFER_BYTES: usize = 2048;
/// How long an honest client is measured before the crowd comes: some two hundred requests.
pub const PROBE_QUIET: Duration = Duration::from_secs(3);
/// Time from an answer to the next request of the honest client, which is to measure load.
pub const PROBE_INTERVAL: Duration = Duration::from_millis(10);

// ---- command line -----------------------------------------------------------------------------

/// How long busy connections may finish after the first signal to stop.
pub const GRACE: Duration = Duration::from_secs(10);
/// How long a stopping idler goes on accepting by default: only load balancers need longer.
pub const DRAIN_DELAY: Duration = Duration::ZERO;
/// The range of `--max-head`, in bytes: what plain browsers need, up to a gigabyte for a thousand
/// slow heads.
pub const HEAD_BYTES_OPTION: RangeInclusive<u64> = 1024..=1024 * 1024;
/// The range of `--cache-memory`, in bytes. 0 switches the cache off.
pub const CACHE_BYTES_OPTION: RangeInclusive<u64> = 0..=1024 * 1024 * 1024 * 1024;
/// The times that an option takes after which something is given up: from the wheel's tick to a
/// day. More is more likely a mistyped unit.
pub const TIMEOUT_OPTION: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(24 * 60 * 60);
/// The times that an option takes that something may last.
pub const WAIT_OPTION: RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(24 * 60 * 60);
/// Bytes of all header lines given by `--header` together: proxies hold a whole reply head in one
/// buffer, commonly of 4 or 8 KiB.
pub const GIVEN_HEADER_BYTES_MAX: usize = 3 * 1024;
/// Longest path of a Unix socket, in bytes: `sun_path` of unix(7) less its final NUL.
pub const UNIX_PATH_BYTES_MAX: usize = 107;
/// Characters of a mistaken argument that an error line repeats; the line should stay one line.
pub const SHOWN_ARGUMENT_CHARS_MAX: usize = 100;
/// The longest delay put between two writes, or on a datagram.
pub const DELAY_OPTION_MAX: Duration = Duration::from_secs(60);
