//! What was typed: arguments and environment, split by the table, not yet understood.
//!
//! What lives here: which verb, which options with which values and from where, which words; and
//! what to say when a spelling is in no table. It may not know what any option means.
//! Invariant: every string from outside is kept as it came (a path need not be UTF-8), and an option
//! beats its variable in the environment, which beats the default.
//! Read next: `serve.rs`, where it gets its meaning.

use super::{UsageError, table, values};
use crate::cli::table::{DEFAULT_VERB, Id, Repeat, Row, Value, Verb};
use lexopt::{Arg, Parser};
use std::{
    ffi::{OsStr, OsString},
    fmt,
    os::unix::ffi::{OsStrExt, OsStringExt},
};

/// What was typed, as far as its form goes.
pub(crate) enum Request {
    /// Help of a verb, or the overview.
    Help(Option<Verb>),
    Version,
    Run(Typed),
}

/// A verb with all that was given to it.
pub(crate) struct Typed {
    pub(crate) verb: Verb,
    /// What is not an option, in order.
    pub(crate) words: Vec<OsString>,
    given: Vec<Given>,
}

struct Given {
    row: &'static Row,
    value: OsString,
    source: Source,
}

/// Where the value of a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Option,
    /// The environment, under this name.
    Environment(String),
    /// Neither.
    Default,
}

/// One line of `--check`: an option and the value in force. Its `Display` is that line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The option's long name, without dashes.
    pub name: &'static str,
    /// The value as it would be typed.
    pub value: String,
    /// Where it comes from.
    pub source: Source,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<16} {:<24} ", self.name, self.value)?;
        match &self.source {
            Source::Option => write!(f, "(--{})", self.name),
            Source::Environment(name) => write!(f, "({name})"),
            Source::Default => f.write_str("(default)"),
        }
    }
}

/// Splits arguments (without the program's name). Bounded by their number and the table's.
pub(crate) fn split(
    args: impl Iterator<Item = OsString>,
    env: &impl Fn(&str) -> Option<OsString>,
) -> Result<Request, UsageError> {
    let mut parser = Parser::from_args(args);
    let mut named = None;
    let mut words = Vec::new();
    let mut given = Vec::new();
    let mut options_ended = false;
    loop {
        let rest = parser.try_raw_args();
        options_ended |= rest.is_some_and(|rest| rest.peek() == Some(OsStr::new("--")));
        let verb = named.unwrap_or(DEFAULT_VERB);
        let (row, is_long) = match parser.next().map_err(|error| unexpected_value(&error))? {
            None => break,
            Some(Arg::Long(long)) => (find_long(verb, long)?, true),
            Some(Arg::Short(short)) => (find_short(verb, short)?, false),
            Some(Arg::Value(word)) => {
                let may_be_verb = words.is_empty() && named.is_none() && !options_ended;
                match verb_named(&word).filter(|_| may_be_verb) {
                    Some(verb) if given.is_empty() || verb == DEFAULT_VERB => named = Some(verb),
                    Some(verb) => return Err(options_too_early(verb, &given)),
                    None => words.push(word),
                }
                continue;
            }
        };
        if row.id == Id::Help {
            return Ok(Request::Help(named));
        }
        if row.id == Id::Version {
            return Ok(Request::Version);
        }
        let value = match row.value {
            // `--switch=no` takes back what the environment says.
            Value::Nothing => {
                let attached = is_long.then(|| parser.optional_value()).flatten();
                attached.unwrap_or_else(|| switched_on(row).into())
            }
            Value::Text(_) | Value::File(_) | Value::OneOf(_) => {
                parser.value().map_err(|_| needs_value(row))?
            }
        };
        given.push(Given {
            row,
            value,
            source: Source::Option,
        });
    }
    let verb = named.unwrap_or(DEFAULT_VERB);
    count_words(table::verb(verb), &words)?;
    let mut typed = Typed { verb, words, given };
    typed.add_environment(env);
    Ok(Request::Run(typed))
}

/// What a switch without a value stands for.
fn switched_on(row: &Row) -> &'static str {
    if row.repeat == Repeat::Count {
        "1"
    } else {
        "yes"
    }
}

impl Typed {
    /// Adds what the environment says about options that were not typed. An empty variable says nothing.
    fn add_environment(&mut self, env: &impl Fn(&str) -> Option<OsString>) {
        for row in table::options(self.verb) {
            if self.given.iter().any(|given| given.row.id == row.id) {
                continue;
            }
            let said = |name: &str| env(name).filter(|value| !value.is_empty());
            let found = row
                .environment()
                .and_then(|name| Some((said(&name)?, name)));
            let (value, name) = match found {
                Some(found) => found,
                // The customs of https://no-color.org and https://bixense.com/clicolors.
                None if row.id == Id::Color && said("NO_COLOR").is_some() => {
                    ("never".into(), "NO_COLOR".to_owned())
                }
                None if row.id == Id::Color
                    && said("CLICOLOR_FORCE").is_some_and(|value| value != "0") =>
                {
                    ("always".into(), "CLICOLOR_FORCE".to_owned())
                }
                None => continue,
            };
            let bytes = value.as_bytes();
            let parts: Vec<&[u8]> = match row.repeat {
                Repeat::Last | Repeat::Count => vec![bytes],
                Repeat::Each => bytes.split(u8::is_ascii_whitespace).collect(),
                Repeat::EachLine => bytes.split(|&byte| byte == b'\n').collect(),
            };
            for part in parts.into_iter().filter(|part| !part.is_empty()) {
                self.given.push(Given {
                    row,
                    value: OsString::from_vec(part.to_vec()),
                    source: Source::Environment(name.clone()),
                });
            }
        }
    }

    /// Every value of an option, understood by `read`, in the order given.
    pub(crate) fn all<T>(
        &self,
        id: Id,
        read: impl Fn(&OsStr) -> Result<T, String>,
    ) -> Result<Vec<T>, UsageError> {
        let given = self.given.iter().filter(|given| given.row.id == id);
        given
            .map(|given| {
                read(&given.value).map_err(|reason| match &given.source {
                    Source::Environment(name) => UsageError::new(format!("{name}: {reason}")),
                    Source::Option | Source::Default => {
                        UsageError::new(format!("--{}: {reason}", given.row.long))
                    }
                })
            })
            .collect()
    }

    /// The last value of an option; earlier ones must be well-formed too.
    pub(crate) fn last<T>(
        &self,
        id: Id,
        read: impl Fn(&OsStr) -> Result<T, String>,
    ) -> Result<Option<T>, UsageError> {
        Ok(self.all(id, read)?.pop())
    }

    /// Whether a switch is on.
    pub(crate) fn switch(&self, id: Id) -> Result<bool, UsageError> {
        Ok(self.last(id, values::yes_no)?.unwrap_or(false))
    }

    /// How often a switch was given.
    pub(crate) fn count(&self, id: Id) -> Result<u8, UsageError> {
        let each = self.all(id, |value| values::number(value, 0..=u8::MAX))?;
        Ok(each.into_iter().fold(0, u8::saturating_add))
    }

    /// Every setting of the verb, in the table's order, for `--check`.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        let rows = table::options(self.verb).filter(|row| row.environment().is_some());
        rows.flat_map(|row| {
            let mut settings = Vec::new();
            for given in self.given.iter().filter(|given| given.row.id == row.id) {
                if matches!(row.repeat, Repeat::Last | Repeat::Count) {
                    settings.clear();
                }
                settings.push(Setting {
                    name: row.long,
                    value: values::printable(&given.value),
                    source: given.source.clone(),
                });
            }
            if settings.is_empty() {
                let value = match (row.value, row.default) {
                    (Value::Nothing, _) if row.repeat == Repeat::Count => "0",
                    (Value::Nothing, _) => "no",
                    (_, "") => "(none)",
                    (_, default) => default,
                };
                settings.push(Setting {
                    name: row.long,
                    value: value.to_owned(),
                    source: Source::Default,
                });
            }
            settings
        })
        .collect()
    }
}

fn verb_named(word: &OsStr) -> Option<Verb> {
    let found = table::every_verb().find(|row| word == row.name);
    found.map(|row| row.verb)
}

fn find_long(verb: Verb, long: &str) -> Result<&'static Row, UsageError> {
    let found = table::options(verb).find(|row| row.long == long);
    found.ok_or_else(|| {
        let known = table::options(verb).map(|row| row.long);
        let near = nearest(long, known).map(|near| format!("--{near}"));
        let elsewhere = table::every_option().find(|row| row.long == long);
        no_such_option(verb, &format!("--{long}"), near, elsewhere)
    })
}

fn find_short(verb: Verb, short: char) -> Result<&'static Row, UsageError> {
    let found = table::options(verb).find(|row| row.short == Some(short));
    found.ok_or_else(|| {
        // A letter has no neighbours but its other case.
        let other_case = |row: &&Row| row.short.is_some_and(|s| s.eq_ignore_ascii_case(&short));
        let near = table::options(verb).find(other_case);
        let near = near.and_then(|row| row.short.map(|s| format!("-{s} (--{})", row.long)));
        let elsewhere = table::every_option().find(|row| row.short == Some(short));
        no_such_option(verb, &format!("-{short}"), near, elsewhere)
    })
}

fn no_such_option(
    verb: Verb,
    spelled: &str,
    near: Option<String>,
    elsewhere: Option<&Row>,
) -> UsageError {
    let name = table::verb(verb).name;
    let spelled = values::shown(OsStr::new(spelled));
    let elsewhere = elsewhere.and_then(|row| row.verbs.first());
    let hint = match (elsewhere, near) {
        (Some(&other), _) => format!("it belongs to idler {}", table::verb(other).name),
        (None, Some(near)) => format!("did you mean {near}?"),
        (None, None) => format!("idler {name} --help lists all"),
    };
    UsageError::new(format!("{spelled} is no option of idler {name}; {hint}"))
}

fn unexpected_value(error: &lexopt::Error) -> UsageError {
    UsageError::new(format!("{error}; it takes no value"))
}

fn needs_value(row: &Row) -> UsageError {
    let placeholder = row.value.placeholder();
    UsageError::new(format!(
        "--{} needs a value: --{} {placeholder}",
        row.long, row.long
    ))
}

/// Options before a verb are read as those of `serve`, which is meant when no verb is named.
fn options_too_early(verb: Verb, given: &[Given]) -> UsageError {
    let name = table::verb(verb).name;
    let first = given.first().map_or("", |given| given.row.long);
    UsageError::new(format!(
        "--{first} stands before the verb; try idler {name} --{first} …, or ./{name} for the path"
    ))
}

fn count_words(row: &table::VerbRow, words: &[OsString]) -> Result<(), UsageError> {
    if words.len() < row.words.least {
        return Err(UsageError::new(format!(
            "{} needs more words; try idler {}",
            row.name, row.usage[0]
        )));
    }
    let Some(extra) = words.get(row.words.most) else {
        return Ok(());
    };
    let hint = match words.first().and_then(|word| verb_like(word)) {
        Some(verb) if row.verb == DEFAULT_VERB => format!("did you mean idler {verb}?"),
        Some(_) | None => format!("idler {} --help says what is", row.name),
    };
    Err(UsageError::new(format!(
        "{} is one argument too many; {hint}",
        values::shown(extra)
    )))
}

/// The verb that a word may have been meant for, though it is none.
pub(crate) fn verb_like(word: &OsStr) -> Option<&'static str> {
    nearest(word.to_str()?, table::every_verb().map(|row| row.name))
}

/// What to say of variables that are none of ours and resemble one, as `IDLER_CACH` does. Others are let be: orchestrators make
/// such as `IDLER_SERVICE_HOST` for a service of this name, and `IDLER_LOG` is the logger's.
pub fn misspelt(names: impl Iterator<Item = OsString>) -> Vec<String> {
    let known = || table::every_option().filter(|row| row.environment().is_some());
    let resembled = |name: &OsString| {
        let name = name.to_str().filter(|name| *name != "IDLER_LOG")?;
        let word = name.strip_prefix("IDLER_")?.replace('_', "-");
        let near = nearest(&word.to_ascii_lowercase(), known().map(|row| row.long))?;
        let meant = known().find(|row| row.long == near)?.environment()?;
        let shown = values::shown(OsStr::new(name));
        (name != meant).then(|| format!("{shown} is no variable of idler; did you mean {meant}?"))
    };
    names.filter_map(|name| resembled(&name)).collect()
}

/// The nearest of the known spellings, if one is near: a third of the letters may be wrong, or the
/// rest may be missing.
fn nearest(word: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let allowed = (word.chars().count() / 3).max(1);
    known
        .filter_map(|known| {
            if word.len() >= 3 && known.starts_with(word) {
                return Some((0, known));
            }
            let distance = distance(word, known);
            (distance <= allowed).then_some((distance, known))
        })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, known)| known)
}

/// How many letters must be changed, added, left out or swapped with their neighbour to make one of
/// the other. Bounded by the product of the lengths; a word much longer than `b` is not looked at.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().collect());
    // Three rows of the usual table: two back (for swaps), one back, and this one.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let changed = last[j] + usize::from(x != y);
            let mut best = changed.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests;
