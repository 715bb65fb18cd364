//! The form in which a verb and its options are described.
//!
//! An option is one [`Row`]: spelling, help, default, and what it sets. Invariant: no verb has two options of
//! one spelling, and every option does something (tests hold both).

use super::{Command, Options};
use std::ffi::OsStr;

/// One verb.
pub(crate) struct Verb {
    pub(crate) name: &'static str,
    /// What may follow the program's name, one form a line. A word that is not in brackets is needed.
    pub(crate) usage: &'static [&'static str],
    /// What completes its words.
    pub(crate) words: Form,
    /// One line for the list of verbs, at most 48 characters.
    pub(crate) summary: &'static str,
    /// Paragraphs.
    pub(crate) about: &'static [&'static str],
    /// A command and what it is for.
    pub(crate) examples: &'static [(&'static str, &'static str)],
    /// Options under their headings; a heading may come again.
    pub(crate) options: &'static [(&'static str, &'static [Row])],
    /// What to do, once all options are set: reads the words, and refuses options that contradict one another.
    pub(crate) finish: fn(Box<Options>) -> Result<Command, String>,
}

/// What an option or a word takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Nothing: a switch.
    Switch,
    /// Text that no shell can complete.
    Text,
    /// The name of a file, or what else the placeholder says.
    File,
    /// One of these words, with `|` between them.
    OneOf(&'static str),
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
    /// As help shows it, `-p, --port N`, but without the words of [`Form::OneOf`].
    spelling: &'static str,
    pub(crate) form: Form,
    /// One sentence of at most 60 characters, and what it leaves open.
    text: &'static str,
    /// As it could be typed; empty where there is none.
    pub(crate) default: &'static str,
    pub(crate) repeat: Repeat,
    /// Whether `idler --help` shows it as well.
    pub(crate) in_overview: bool,
    has_variable: bool,
    pub(crate) set: Effect,
}

/// An option without a value.
pub(crate) const fn switch(spelling: &'static str, text: &'static str, set: Effect) -> Row {
    Row {
        spelling,
        form: Form::Switch,
        text,
        default: "no",
        repeat: Repeat::Last,
        in_overview: false,
        has_variable: true,
        set,
    }
}

/// A switch that counts for more when it is repeated.
pub(crate) const fn counted(spelling: &'static str, text: &'static str, set: Effect) -> Row {
    Row {
        default: "0",
        repeat: Repeat::Count,
        ..switch(spelling, text, set)
    }
}

/// An option with a value that no shell can complete.
pub(crate) const fn value(spelling: &'static str, text: &'static str, set: Effect) -> Row {
    Row {
        form: Form::Text,
        default: "",
        ..switch(spelling, text, set)
    }
}

/// An option that takes the name of a file.
pub(crate) const fn file(spelling: &'static str, text: &'static str, set: Effect) -> Row {
    Row {
        form: Form::File,
        ..value(spelling, text, set)
    }
}

/// An option that takes one of `words`.
pub(crate) const fn choice(
    spelling: &'static str,
    words: &'static str,
    text: &'static str,
    set: Effect,
) -> Row {
    Row {
        form: Form::OneOf(words),
        ..value(spelling, text, set)
    }
}

impl Row {
    /// What is in force if nothing is said. For options with several values it is only shown: there, an
    /// empty list has to mean it.
    pub(crate) const fn default(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    /// May be given several times, with values that contain no blanks.
    pub(crate) const fn each(self) -> Self {
        let repeat = Repeat::Each;
        Self { repeat, ..self }
    }

    /// May be given several times, with values that may contain blanks.
    pub(crate) const fn each_line(self) -> Self {
        let repeat = Repeat::EachLine;
        Self { repeat, ..self }
    }

    pub(crate) const fn in_overview(self) -> Self {
        Self {
            in_overview: true,
            ..self
        }
    }

    /// Not taken from the environment.
    pub(crate) const fn typed_only(self) -> Self {
        Self {
            has_variable: false,
            ..self
        }
    }

    /// `port` of `-p, --port N`.
    pub(crate) fn long(&self) -> &'static str {
        let (_, long) = self.spelling.split_once("--").unwrap_or_default();
        long.split(' ').next().unwrap_or(long)
    }

    /// `p` of `-p, --port N`.
    pub(crate) fn short(&self) -> Option<char> {
        self.spelling.chars().nth(1).filter(|&short| short != '-')
    }

    /// `N` of `-p, --port N`.
    pub(crate) fn placeholder(&self) -> &'static str {
        if let Form::OneOf(words) = self.form {
            return words;
        }
        let (_, long) = self.spelling.split_once("--").unwrap_or_default();
        long.split_once(' ')
            .map_or("", |(_, placeholder)| placeholder)
    }

    /// `-p, --port N`, as help shows it.
    pub(crate) fn shown(&self) -> String {
        let indent = if self.short().is_some() { "" } else { "    " };
        let words = match self.form {
            Form::OneOf(words) => format!(" {words}"),
            Form::Switch | Form::Text | Form::File => String::new(),
        };
        format!("{indent}{}{words}", self.spelling)
    }

    /// One line of help, without its full stop.
    pub(crate) fn help(&self) -> &'static str {
        let first = self.text.split_once(". ");
        first.map_or(self.text, |(first, _)| first)
    }

    /// All that is said of it, as one paragraph.
    pub(crate) fn paragraph(&self) -> String {
        let more = self.text.split_once(". ").map_or("", |(_, more)| more);
        let mut text = self.help().to_owned();
        if self.form != Form::Switch && !self.default.is_empty() {
            text.push_str(&format!(" (default: {})", self.default));
        }
        text.push('.');
        if !more.is_empty() {
            text.push(' ');
            text.push_str(more);
        }
        if self.takes_several() {
            text.push_str(" May be given several times.");
        }
        text
    }

    pub(crate) fn takes_several(&self) -> bool {
        matches!(self.repeat, Repeat::Each | Repeat::EachLine)
    }

    /// `IDLER_MAX_HEAD` for `--max-head`.
    pub(crate) fn variable(&self) -> Option<String> {
        let name = self.long().replace('-', "_").to_ascii_uppercase();
        self.has_variable.then(|| format!("IDLER_{name}"))
    }
}

impl Verb {
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
    pub(crate) fn word_names(&self) -> String {
        let names: Vec<&str> = self.words_of(self.usage[0]).collect();
        names.join(" ")
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
        switch(
            "-h, --help",
            "Print help; idler VERB --help says all of a verb",
            |_, _| Ok(()),
        )
        .typed_only()
        .in_overview(),
        switch("-V, --version", "Print the version", |_, _| Ok(())).typed_only(),
    ],
);
