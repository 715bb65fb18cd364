//! From arguments and environment to a command, by the rows of the verb that is meant.
//!
//! Invariant: every string from outside is kept as it came (a path need not be UTF-8), and an
//! option beats its variable in the environment, which beats the default.

use super::table::{Repeat, Row, Verb};
use super::{Command, Options, VERBS, VERSION, help, values::shown};
use crate::http::text::printable;
use crate::limits;
use lexopt::{Arg, Parser};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// One value of an option.
struct Given {
    row: &'static Row,
    value: OsString,
    /// As messages name it: the option, a variable, or `default`.
    source: String,
}

/// Understands arguments (without the program's name). Bounded by their number and the verb's rows.
pub(crate) fn command(
    args: impl Iterator<Item = OsString>,
    env: &impl Fn(&str) -> Option<OsString>,
) -> Result<Command, String> {
    let mut parser = Parser::from_args(args);
    let mut named = None;
    let mut words = Vec::new();
    let mut given: Vec<Given> = Vec::new();
    let mut options_ended = false;
    loop {
        let rest = parser.try_raw_args();
        options_ended |= rest.is_some_and(|rest| rest.peek() == Some(OsStr::new("--")));
        let verb = named.unwrap_or(VERBS[0]);
        let unexpected_value = |error| format!("{error}; it takes no value");
        let (row, is_long) = match parser.next().map_err(unexpected_value)? {
            None => break,
            Some(Arg::Long(long)) => (find(verb, &format!("--{long}"))?, true),
            Some(Arg::Short(short)) => (find(verb, &format!("-{short}"))?, false),
            Some(Arg::Value(word)) => {
                let may_be_verb = words.is_empty() && named.is_none() && !options_ended;
                let mut verbs = VERBS.into_iter().filter(|_| may_be_verb);
                match (verbs.find(|verb| word == verb.name), given.first()) {
                    // Options before a verb are those of `serve`, which is meant if none is named.
                    (Some(Verb { name, .. }), Some(first)) if *name != VERBS[0].name => {
                        let long = first.row.long();
                        let hint = format!("idler {name} --{long} …, or ./{name} for the path");
                        return Err(format!("--{long} stands before the verb; try {hint}"));
                    }
                    (Some(verb), _) => named = Some(verb),
                    (None, _) => words.push(word),
                }
                continue;
            }
        };
        let (long, placeholder) = (row.long(), row.placeholder());
        match long {
            "help" => return Ok(Command::Page(named.map_or_else(help::overview, help::of))),
            "version" => return Ok(Command::Page(format!("{VERSION}\n"))),
            _ => {}
        }
        let value = if row.is_switch() {
            // `--switch=no` takes back what the environment says.
            let attached = is_long.then(|| parser.optional_value()).flatten();
            let on = if row.repeat == Repeat::Count {
                "1"
            } else {
                "yes"
            };
            attached.unwrap_or_else(|| on.into())
        } else {
            let value = parser.value();
            value.map_err(|_| format!("--{long} needs a value: --{long} {placeholder}"))?
        };
        let source = format!("--{long}");
        given.push(Given { row, value, source });
    }
    let verb = named.unwrap_or(VERBS[0]);
    count_words(verb, &words)?;
    let mut options = Box::<Options>::default();
    options.words = words;
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
            let shown = Some(default).filter(|default| !default.is_empty());
            let (value, source) = (shown.unwrap_or("(none)").into(), "default".to_owned());
            given.push(Given { row, value, source });
        }
        for Given { value, source, .. } in given.iter().filter(|_| applies) {
            // Of several values that override one another, the earlier must be well-formed too.
            (row.set)(options, value).map_err(|reason| format!("{source}: {reason}"))?;
        }
        if !row.takes_several() {
            given.drain(..given.len() - 1);
        }
        if !row.typed_only {
            settings.append(&mut given);
        }
    }
    if options.server.check {
        let line = |Given { row, value, source }: &Given| {
            let (name, value) = (row.long(), printable(value.as_bytes()));
            format!("{name:<16} {value:<24} ({source})")
        };
        options.settings = settings.iter().map(line).collect();
    }
    Ok(())
}

/// What the environment says about an option. An empty variable says nothing.
fn from_environment(row: &'static Row, env: &impl Fn(&str) -> Option<OsString>) -> Vec<Given> {
    let said = |name: &str| env(name).filter(|value| !value.is_empty());
    let own = row.variable().and_then(|name| Some((said(&name)?, name)));
    // The customs of https://no-color.org and https://bixense.com/clicolors.
    let custom = || match (said("NO_COLOR"), said("CLICOLOR_FORCE")) {
        _ if row.long() != "color" => None,
        (Some(_), _) => Some(("never".into(), "NO_COLOR".to_owned())),
        (None, Some(value)) if value != "0" => Some(("always".into(), "CLICOLOR_FORCE".to_owned())),
        (None, _) => None,
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

/// The option of the verb that is spelled so; else what is near, or where it belongs.
fn find(verb: &'static Verb, spelled: &str) -> Result<&'static Row, String> {
    let is_meant = |row: &&Row| row.spellings().any(|own| own == spelled);
    if let Some(row) = verb.rows().find(is_meant) {
        return Ok(row);
    }
    let near = match spelled.strip_prefix("--") {
        Some(long) => nearest(long, verb.rows().map(Row::long)).map(|near| format!("--{near}")),
        // A letter has no neighbours but its other case.
        None => verb.rows().find_map(|row| {
            let mut own = row.spellings();
            let near = own.find(|own| own.eq_ignore_ascii_case(spelled))?;
            Some(format!("{near} (--{})", row.long()))
        }),
    };
    let name = verb.name;
    let mut verbs = VERBS.iter();
    let elsewhere = verbs.find(|verb| verb.rows().any(|row| is_meant(&row)));
    let hint = match (elsewhere, near) {
        (Some(other), _) => format!("it belongs to idler {}", other.name),
        (None, Some(near)) => format!("did you mean {near}?"),
        (None, None) => format!("idler {name} --help lists all"),
    };
    let spelled = shown(OsStr::new(spelled));
    Err(format!("{spelled} is no option of idler {name}; {hint}"))
}

fn count_words(verb: &Verb, words: &[OsString]) -> Result<(), String> {
    let (least, most) = verb.word_count();
    let (name, usage) = (verb.name, verb.usage[0]);
    if words.len() < least {
        return Err(format!("{name} needs more words; try idler {usage}"));
    }
    let Some(extra) = words.get(most) else {
        return Ok(());
    };
    let hint = match words.first().and_then(|word| verb_like(word)) {
        Some(verb) if name == VERBS[0].name => format!("did you mean idler {verb}?"),
        Some(_) | None => format!("idler {name} --help says what is"),
    };
    let extra = shown(extra);
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
    let known: Vec<&Row> = rows.filter(|row| !row.typed_only).collect();
    let resembled = |name: OsString| {
        let word = name.to_str()?.strip_prefix("IDLER_")?;
        let word = word.replace('_', "-").to_ascii_lowercase();
        let near = nearest(&word, known.iter().map(|row| row.long()))?;
        let meant = known.iter().find(|row| row.long() == near)?.variable()?;
        let hint = format!("is no variable of idler; did you mean {meant}?");
        let is_odd = name != *"IDLER_LOG" && name != *meant;
        is_odd.then(|| format!("{} {hint}", shown(&name)))
    };
    names.filter_map(resembled).collect()
}

/// The nearest of the known spellings, if one is near: a third of the letters may be changed,
/// added, left out or swapped with their neighbour, or the rest may be missing.
fn nearest(word: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let letters = word.chars().take(limits::SHOWN_ARGUMENT_CHARS_MAX);
    let word: String = letters.collect();
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
    let (distance, nearest) = distances.min_by_key(|&(distance, _)| distance)?;
    (distance <= allowed).then_some(nearest)
}

#[cfg(test)]
mod tests;
