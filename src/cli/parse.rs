//! From arguments and environment to a command, by the rows of the verb that is meant.
//!
//! Invariant: every string from outside is kept as it came (a path need not be UTF-8), and an
//! option beats its variable in the environment, which beats the default.

use super::table::{Form, Repeat, Row, Verb};
use super::{Command, Options, VERBS, VERSION, help, values};
use crate::http::printable::printable;
use crate::limits;
use lexopt::{Arg, Parser};
use std::{
    ffi::{OsStr, OsString},
    fmt,
    os::unix::ffi::{OsStrExt, OsStringExt},
};

/// One value of an option. Its `Display` is a line of `--check`.
struct Given {
    row: &'static Row,
    value: OsString,
    /// As messages name it: the option, a variable, or `default`.
    source: String,
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value) = (self.row.long(), printable(self.value.as_bytes()));
        write!(f, "{name:<16} {value:<24} ({})", self.source)
    }
}

/// Understands arguments (without the program's name). Bounded by their number and the verb's rows.
pub(crate) fn command(
    args: impl Iterator<Item = OsString>,
    env: &impl Fn(&str) -> Option<OsString>,
) -> Result<Command, String> {
    let mut parser = Parser::from_args(args);
    let mut named = None;
    let mut words = Vec::new();
    let mut given = Vec::new();
    let mut options_ended = false;
    loop {
        let rest = parser.try_raw_args();
        options_ended |= rest.is_some_and(|rest| rest.peek() == Some(OsStr::new("--")));
        let verb = named.unwrap_or(VERBS[0]);
        let unexpected_value = |error| format!("{error}; it takes no value");
        let (row, is_long) = match parser.next().map_err(unexpected_value)? {
            None => break,
            Some(Arg::Long(long)) => (find_long(verb, long)?, true),
            Some(Arg::Short(short)) => (find_short(verb, short)?, false),
            Some(Arg::Value(word)) => {
                let may_be_verb = words.is_empty() && named.is_none() && !options_ended;
                let mut verbs = VERBS.into_iter().filter(|_| may_be_verb);
                match verbs.find(|verb| word == verb.name) {
                    Some(verb) if !given.is_empty() && verb.name != VERBS[0].name => {
                        return Err(options_too_early(verb, &given));
                    }
                    Some(verb) => named = Some(verb),
                    None => words.push(word),
                }
                continue;
            }
        };
        match row.long() {
            "help" => return Ok(Command::Page(named.map_or_else(help::overview, help::of))),
            "version" => return Ok(Command::Page(format!("{VERSION}\n"))),
            _ => {}
        }
        let value = match row.form() {
            // `--switch=no` takes back what the environment says.
            Form::Switch => {
                let attached = is_long.then(|| parser.optional_value()).flatten();
                attached.unwrap_or_else(|| row.on().into())
            }
            Form::Text | Form::File | Form::OneOf(_) => parser.value().map_err(|_| {
                let (long, placeholder) = (row.long(), row.placeholder());
                format!("--{long} needs a value: --{long} {placeholder}")
            })?,
        };
        let source = format!("--{}", row.long());
        given.push(Given { row, value, source });
    }
    let verb = named.unwrap_or(VERBS[0]);
    count_words(verb, &words)?;
    let mut options = Box::new(Options {
        words,
        ..Options::default()
    });
    set(&mut options, verb, given, env)?;
    (verb.finish)(options)
}

/// Sets every option of the verb: to what was typed, else to what the environment says, else to its
/// default.
fn set(
    options: &mut Options,
    verb: &Verb,
    mut typed: Vec<Given>,
    env: &impl Fn(&str) -> Option<OsString>,
) -> Result<(), String> {
    let mut settings = Vec::new();
    for row in verb.rows() {
        let of_row = |given: &mut Given| given.row.long() == row.long();
        let mut given: Vec<Given> = typed.extract_if(.., of_row).collect();
        if given.is_empty() {
            given = from_environment(row, env);
        }
        let default = row.default();
        let applies = !given.is_empty() || !(default.is_empty() || row.takes_several());
        if given.is_empty() {
            let shown = if default.is_empty() {
                "(none)"
            } else {
                default
            };
            let (value, source) = (shown.into(), "default".to_owned());
            given.push(Given { row, value, source });
        }
        for given in given.iter().filter(|_| applies) {
            // Of several values that override one another, the earlier must be well-formed too.
            let set = (row.set)(options, &given.value);
            set.map_err(|reason| format!("{}: {reason}", given.source))?;
        }
        let overridden = if row.takes_several() {
            0
        } else {
            given.len() - 1
        };
        if row.variable().is_some() {
            settings.extend(given.into_iter().skip(overridden));
        }
    }
    if options.server.check {
        options.settings = settings.iter().map(Given::to_string).collect();
    }
    Ok(())
}

/// What the environment says about an option. An empty variable says nothing.
fn from_environment(row: &'static Row, env: &impl Fn(&str) -> Option<OsString>) -> Vec<Given> {
    let said = |name: &str| env(name).filter(|value| !value.is_empty());
    let own = row.variable().and_then(|name| Some((said(&name)?, name)));
    // The customs of https://no-color.org and https://bixense.com/clicolors.
    let custom = || {
        if row.long() != "color" {
            return None;
        }
        if said("NO_COLOR").is_some() {
            return Some(("never".into(), "NO_COLOR".to_owned()));
        }
        let force = said("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        force.then(|| ("always".into(), "CLICOLOR_FORCE".to_owned()))
    };
    let Some((value, source)) = own.or_else(custom) else {
        return Vec::new();
    };
    let is_separator = |byte: &u8| match row.repeat {
        Repeat::Last | Repeat::Count => false,
        Repeat::Each => byte.is_ascii_whitespace(),
        Repeat::EachLine => *byte == b'\n',
    };
    let parts = value.as_bytes().split(is_separator);
    let given = |part: &[u8]| Given {
        row,
        value: OsString::from_vec(part.to_vec()),
        source: source.clone(),
    };
    parts.filter(|part| !part.is_empty()).map(given).collect()
}

fn find_long(verb: &'static Verb, long: &str) -> Result<&'static Row, String> {
    let found = verb.rows().find(|row| row.long() == long);
    found.ok_or_else(|| {
        let near = nearest(long, verb.rows().map(Row::long)).map(|near| format!("--{near}"));
        no_such_option(verb, &format!("--{long}"), near, |row| row.long() == long)
    })
}

fn find_short(verb: &'static Verb, short: char) -> Result<&'static Row, String> {
    let found = verb.rows().find(|row| row.short() == Some(short));
    found.ok_or_else(|| {
        // A letter has no neighbours but its other case.
        let near = verb.rows().find_map(|row| {
            let near = row
                .short()
                .filter(|other| other.eq_ignore_ascii_case(&short))?;
            Some(format!("-{near} (--{})", row.long()))
        });
        no_such_option(verb, &format!("-{short}"), near, |row| {
            row.short() == Some(short)
        })
    })
}

fn no_such_option(
    verb: &Verb,
    spelled: &str,
    near: Option<String>,
    is_meant: impl Fn(&Row) -> bool,
) -> String {
    let name = verb.name;
    let spelled = values::shown(OsStr::new(spelled));
    let elsewhere = VERBS.iter().find(|verb| verb.rows().any(&is_meant));
    let hint = match (elsewhere, near) {
        (Some(other), _) => format!("it belongs to idler {}", other.name),
        (None, Some(near)) => format!("did you mean {near}?"),
        (None, None) => format!("idler {name} --help lists all"),
    };
    format!("{spelled} is no option of idler {name}; {hint}")
}

/// Options before a verb are read as those of `serve`, which is meant when no verb is named.
fn options_too_early(verb: &Verb, given: &[Given]) -> String {
    let name = verb.name;
    let first = given.first().map_or("", |given| given.row.long());
    format!(
        "--{first} stands before the verb; try idler {name} --{first} …, or ./{name} for the path"
    )
}

fn count_words(verb: &Verb, words: &[OsString]) -> Result<(), String> {
    let (least, most) = verb.word_count();
    let name = verb.name;
    if words.len() < least {
        return Err(format!(
            "{name} needs more words; try idler {}",
            verb.usage[0]
        ));
    }
    let Some(extra) = words.get(most) else {
        return Ok(());
    };
    let hint = match words.first().and_then(|word| verb_like(word)) {
        Some(verb) if name == VERBS[0].name => format!("did you mean idler {verb}?"),
        Some(_) | None => format!("idler {name} --help says what is"),
    };
    let extra = values::shown(extra);
    Err(format!("{extra} is one argument too many; {hint}"))
}

/// The verb that a word may have been meant for, though it is none.
pub(crate) fn verb_like(word: &OsStr) -> Option<&'static str> {
    nearest(word.to_str()?, VERBS.iter().map(|verb| verb.name))
}

/// What to say of variables that are none of ours and resemble one, as `IDLER_CACH` does. Others
/// are let be: orchestrators make such as `IDLER_SERVICE_HOST` for a service of this name, and
/// `IDLER_LOG` is the logger's.
pub fn misspelt(names: impl Iterator<Item = OsString>) -> Vec<String> {
    let rows = VERBS.iter().flat_map(|verb| verb.rows());
    let known: Vec<&Row> = rows.filter(|row| row.variable().is_some()).collect();
    let resembled = |name: &OsString| {
        let name = name.to_str().filter(|name| *name != "IDLER_LOG")?;
        let word = name.strip_prefix("IDLER_")?.replace('_', "-");
        let near = nearest(
            &word.to_ascii_lowercase(),
            known.iter().map(|row| row.long()),
        )?;
        let meant = known.iter().find(|row| row.long() == near)?.variable()?;
        let shown = values::shown(OsStr::new(name));
        (name != meant).then(|| format!("{shown} is no variable of idler; did you mean {meant}?"))
    };
    names.filter_map(|name| resembled(&name)).collect()
}

/// The nearest of the known spellings, if one is near: a third of the letters may be changed,
/// added, left out or swapped with their neighbour, or the rest may be missing.
fn nearest(word: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let word: String = word
        .chars()
        .take(limits::SHOWN_ARGUMENT_CHARS_MAX)
        .collect();
    let allowed = (word.chars().count() / 3).max(1);
    let distances = known.map(|known| {
        let is_begun = word.len() >= 3 && known.starts_with(&word);
        let distance = if is_begun {
            0
        } else {
            strsim::osa_distance(&word, known)
        };
        (distance, known)
    });
    let nearest = distances.min_by_key(|&(distance, _)| distance);
    nearest
        .filter(|&(distance, _)| distance <= allowed)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests;
