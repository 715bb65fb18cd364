//! Replies that `idler get` hears.
//!
//! The input is what a server sends. Oracle: the same events however it is cut, but for the cuts of the body; never more taken than came; a strict
//! reader that accepts it reads the same out of it.

use idler::http::reply::{Event, Reply, ReplyHead};

use super::reply::{Ear, Source, Trouble};

/// See the module.
pub fn check(bytes: &[u8]) {
    for to_head in [false, true] {
        let whole = hear(bytes, usize::MAX, to_head);
        for step in [1, 2, 3, 7, 64] {
            assert_eq!(hear(bytes, step, to_head), whole, "in pieces of {step}");
        }
        let mut ear = Ear::new(Server(bytes));
        let Ok(strict) = ear.reply(to_head) else {
            continue;
        };
        if strict.status < 200 {
            continue;
        }
        let length = strict.header("content-length");
        if length.is_some_and(|length| !length.bytes().all(|b| b.is_ascii_digit())) {
            continue;
        }
        let head = whole.heads.last().expect("a strict reader found one");
        assert_eq!(head.status, strict.status);
        let fields = head
            .fields
            .iter()
            .map(|(n, v)| (n.to_ascii_lowercase(), v.clone()));
        assert!(
            fields.eq(strict.headers.iter().cloned()),
            "{:?}",
            head.fields
        );
        assert_eq!(whole.end, None, "a strict reader found it whole");
        assert_eq!(whole.data, strict.body);
    }
}

/// All that was heard of a reply.
#[derive(PartialEq, Eq, Debug)]
struct Heard {
    heads: Vec<ReplyHead>,
    data: Vec<u8>,
    trailers: Vec<(String, String)>,
    /// How much of what came belongs to it.
    taken: Option<usize>,
    end: Option<String>,
}

fn hear(bytes: &[u8], step: usize, to_head: bool) -> Heard {
    let mut reply = Reply::new(to_head);
    let mut heard = Heard {
        heads: Vec::new(),
        data: Vec::new(),
        trailers: Vec::new(),
        taken: None,
        end: None,
    };
    let (mut at, mut reach) = (0, 0);
    while !reply.is_done() {
        if at == reach {
            if reach == bytes.len() {
                break;
            }
            reach = reach.saturating_add(step).min(bytes.len());
        }
        let (used, event) = match reply.feed(&bytes[at..reach]) {
            Ok(heard) => heard,
            Err(broken) => {
                heard.end = Some(broken);
                return heard;
            }
        };
        assert!(used <= reach - at, "more is taken than came");
        assert!(used > 0, "it does not go on");
        at += used;
        match event {
            Event::More | Event::Done => {}
            Event::Interim(head) | Event::Head(head) => heard.heads.push(head),
            Event::Data(data) => heard.data.extend_from_slice(data),
        }
    }
    heard.taken = Some(at);
    if !reply.is_done() {
        match reply.end() {
            Ok(head) => heard.heads.extend(head),
            Err(broken) => heard.end = Some(broken),
        }
    }
    heard.trailers = reply.trailers().to_vec();
    heard
}

struct Server<'a>(&'a [u8]);

impl Source for Server<'_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Trouble> {
        let n = self.0.len().min(into.len());
        into[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}
