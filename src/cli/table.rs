//! The form in which a verb and its options are described.
//!
//! An option is one [`Row`]: spelling, help, default, and what it sets. Invariant: no verb has two
//! options of one spelling, and every option does something (tests hold both).

use super::{Command, Options};
use std::ffi::OsStr;

/// One verb.
pub(crate) struct Verb {
    pub(crate) name: &'static str,
    /// What may follow the program's name, one form a line. A word that is not in brackets is
    /// needed.
    pub(crate) usage: &'static [&'static str],
    /// One line for the list of verbs, at most 48 characters.
    pub(crate) summary: &'static str,
    /// Paragraphs.
    pub(crate) about: &'static [&'static str],
    /// A command, two blanks, and what it is for.
    pub(crate) examples: &'static [&'static str],
    /// Options under their headings; a heading may come again.
    pub(crate) options: &'static [(&'static str, &'static [Row])],
    /// What to do, once all options are set: reads the words, and refuses options that contradict
    /// one another.
    pub(crate) finish: fn(Box<Options>) -> Result<Command, String>,
}

/// What an option or a word takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Nothing: a switch.
    Switch,
    /// Text that no shell can complete.
    Text,
    /// The name of a file.
    File,
    /// One of these words, with `|` between them.
    OneOf(&'static str),
}

impl Form {
    /// What a placeholder stands for. A word in small letters stands for itself.
    fn of(placeholder: &'static str) -> Self {
        match placeholder {
            "" => Self::Switch,
            "SHELL" => Self::OneOf("bash|zsh|fish"),
            "FILE" | "FILE…" | "FILE|-|off" | "DIR" | "[PATH]" => Self::File,
            words if words.contains('|') && words == words.to_lowercase() => Self::OneOf(words),
            _ => Self::Text,
        }
    }
}

/// How often an option may be given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// The last one counts, so that an alias can be overridden.
    Last,
    /// Each adds one; in the environment, a number.
    Count,
    /// Each adds a value; in the environment, values are separated by blanks.
    Each,
    /// Each adds a value; in the environment, values are lines, since they contain blanks.
    EachLine,
}

/// What a value of an option sets, or why it is refused.
pub(crate) type Effect = fn(&mut Options, &OsStr) -> Result<(), String>;

/// One option.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// As help shows it: the spelling, two blanks, one sentence of at most 60 characters with the
    /// default behind it, and what that leaves open.
    text: &'static str,
    pub(crate) repeat: Repeat,
    /// Whether `idler --help` shows it as well.
    pub(crate) in_overview: bool,
    has_variable: bool,
    pub(crate) set: Effect,
}

/// An option of which the last one counts, and which has a variable in the environment.
pub(crate) const fn row(text: &'static str, set: Effect) -> Row {
    Row {
        text,
        repeat: Repeat::Last,
        in_overview: false,
        has_variable: true,
        set,
    }
}

impl Row {
    pub(crate) const fn repeat(self, repeat: Repeat) -> Self {
        Self { repeat, ..self }
    }

    pub(crate) const fn in_overview(mut self) -> Self {
        self.in_overview = true;
        self
    }

    /// Not taken from the environment.
    pub(crate) const fn typed_only(mut self) -> Self {
        self.has_variable = false;
        self
    }

    /// The spelling, `-p, --port N`, and what is said of it.
    fn parts(&self) -> (&'static str, &'static str) {
        self.text.split_once("  ").unwrap_or((self.text, ""))
    }

    /// The long name without its dashes, and the placeholder of the value.
    fn long_and_placeholder(&self) -> (&'static str, &'static str) {
        let (_, long) = self.parts().0.split_once("--").unwrap_or_default();
        long.split_once(' ').unwrap_or((long, ""))
    }

    /// `port` of `-p, --port N`.
    pub(crate) fn long(&self) -> &'static str {
        self.long_and_placeholder().0
    }

    /// `N` of `-p, --port N`.
    pub(crate) fn placeholder(&self) -> &'static str {
        self.long_and_placeholder().1
    }

    /// `p` of `-p, --port N`.
    pub(crate) fn short(&self) -> Option<char> {
        self.text.chars().nth(1).filter(|&short| short != '-')
    }

    pub(crate) fn form(&self) -> Form {
        Form::of(self.placeholder())
    }

    /// `-p, --port N`, or `    --port N` if there is no letter.
    pub(crate) fn shown(&self) -> String {
        let indent = if self.short().is_some() { "" } else { "    " };
        format!("{indent}{}", self.parts().0)
    }

    /// What is in force if nothing is said, as it could be typed; empty where there is none. For
    /// options with several values it is only shown: there, an empty list means it.
    pub(crate) fn default(&self) -> &'static str {
        let default = self.text.split_once("(default: ");
        let default = default.and_then(|(_, rest)| rest.split_once(')'));
        let unsaid = match self.form() {
            Form::Switch if self.repeat == Repeat::Count => "0",
            Form::Switch => "no",
            Form::Text | Form::File | Form::OneOf(_) => "",
        };
        default.map_or(unsaid, |(default, _)| default)
    }

    /// The first sentence of what is said of it, without default and full stop.
    pub(crate) fn help(&self) -> &'static str {
        let (_, text) = self.parts();
        let end = text.find(" (default: ").or_else(|| text.find(". "));
        &text[..end.unwrap_or(text.len())]
    }

    /// All that is said of it.
    pub(crate) fn paragraph(&self) -> String {
        let mut text = self.parts().1.trim_end_matches('.').to_owned() + ".";
        if self.takes_several() {
            text += " May be given several times.";
        }
        text
    }

    pub(crate) fn takes_several(&self) -> bool {
        matches!(self.repeat, Repeat::Each | Repeat::EachLine)
    }

    /// What a switch without a value means.
    pub(crate) fn on(&self) -> &'static str {
        if self.repeat == Repeat::Count {
            "1"
        } else {
            "yes"
        }
    }

    /// `IDLER_MAX_HEAD` for `--max-head`.
    pub(crate) fn variable(&self) -> Option<String> {
        let name = self.long().replace('-', "_").to_ascii_uppercase();
        self.has_variable.then(|| format!("IDLER_{name}"))
    }
}

impl Verb {
    /// Commands, and what each is for.
    pub(crate) fn examples(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let examples = self.examples.iter();
        examples.filter_map(|example| example.split_once("  "))
    }

    /// Its options under their headings, each heading once.
    pub(crate) fn groups(&self) -> Vec<(&'static str, Vec<&'static Row>)> {
        let mut groups: Vec<(&'static str, Vec<&'static Row>)> = Vec::new();
        for (heading, rows) in self.options.iter().chain(&[PAGES]) {
            match groups.iter_mut().find(|(known, _)| known == heading) {
                Some((_, group)) => group.extend(*rows),
                None => groups.push((heading, rows.iter().collect())),
            }
        }
        groups
    }

    /// Its options, in the order of help.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &'static Row> + use<> {
        self.options
            .iter()
            .chain(&[PAGES])
            .flat_map(|(_, rows)| *rows)
    }

    /// The words of a usage line that are no options.
    fn words_of(&self, usage: &'static str) -> impl Iterator<Item = &'static str> {
        let words = usage.split(' ');
        words.filter(|&word| word != self.name && word != "[OPTIONS]")
    }

    /// What its words are called.
    pub(crate) fn words(&self) -> String {
        self.words_of(self.usage[0]).collect::<Vec<_>>().join(" ")
    }

    /// What completes its words.
    pub(crate) fn form(&self) -> Form {
        Form::of(self.words_of(self.usage[0]).next().unwrap_or_default())
    }

    /// How many words it takes, at least and at most.
    pub(crate) fn word_count(&self) -> (usize, usize) {
        let needed = |word: &&str| !word.starts_with('[');
        let least = self
            .usage
            .iter()
            .map(|usage| self.words_of(usage).filter(needed).count());
        let most = self.usage.iter().map(|usage| match usage.ends_with('…') {
            true => usize::MAX,
            false => self.words_of(usage).count(),
        });
        (least.min().unwrap_or(0), most.max().unwrap_or(0))
    }
}

/// The heading for what fits nowhere else.
pub(crate) const OTHER: &str = "Other";

/// The options that every verb has. They ask for a page, which the parser gives.
const PAGES: (&str, &[Row]) = (
    OTHER,
    &[
        row(
            "-h, --help  Print help; idler VERB --help says all of a verb",
            |_, _| Ok(()),
        )
        .typed_only()
        .in_overview(),
        row("-V, --version  Print the version", |_, _| Ok(())).typed_only(),
    ],
);
