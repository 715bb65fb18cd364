//! A record: words of the form `key=value`.
//!
//! What lives here: the one language that the processes of this benchmark speak with each other, both for what a
//! client is asked to do and for what it found.
//! What it may not know: any key.
//! Invariant: a missing or unreadable value is an error that names its key, never a default.
//! Read next: `load.rs`, which is asked and answers in records.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::Outcome;

/// `key=value` words, by key.
#[derive(Debug)]
pub(crate) struct Record(BTreeMap<String, String>);

impl Record {
    /// Reads words; one without `=` is an error.
    pub(crate) fn read<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> Outcome<Self> {
        let mut fields = BTreeMap::new();
        for word in words {
            let Some((key, value)) = word.as_ref().split_once('=') else {
                return Err(format!("not a key=value word: {}", word.as_ref()).into());
            };
            fields.insert(key.to_owned(), value.to_owned());
        }
        Ok(Self(fields))
    }

    /// The value of a key that must be there.
    pub(crate) fn text(&self, key: &str) -> Outcome<&str> {
        self.find(key)
            .ok_or_else(|| format!("{key}= is missing").into())
    }

    /// The value of a key that may be absent.
    pub(crate) fn find(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// A number that must be there.
    pub(crate) fn number<N: FromStr>(&self, key: &str) -> Outcome<N> {
        let text = self.text(key)?;
        text.parse()
            .map_err(|_| format!("{key}={text} is not a number of the expected kind").into())
    }

    /// A number that may be absent.
    pub(crate) fn number_or<N: FromStr>(&self, key: &str, otherwise: N) -> Outcome<N> {
        if self.find(key).is_some() {
            self.number(key)
        } else {
            Ok(otherwise)
        }
    }

    /// Whether a switch is on: `key=yes`.
    pub(crate) fn is_on(&self, key: &str) -> bool {
        self.find(key) == Some("yes")
    }
}
