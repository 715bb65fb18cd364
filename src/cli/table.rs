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
    /// Paragraphs, with an empty line between them.
    pub(crate) about: &'static str,
    /// A command, two blanks, and what it is for.
    pub(crate) examples: &'static [&'static str],
    pub(crate) options: &'static [Group],
    /// What to do, once all options are set: reads the words, and refuses options that contradict
    /// one another.
    pub(crate) finish: fn(Box<Options>) -> Result<Command, String>,
}

/// Options and their heading, which may be that of the group before as well.
pub(crate) type Group = (&'static str, &'static [Row]);

/// A [`Group`]: its heading, and for each option its text, the fields that are not as in [`PLAIN`],
/// and what it sets.
macro_rules! group {
    ($heading:literal: $($text:literal $([$($field:ident: $value:expr),+])? => $set:expr;)+) => {
        ($heading, &[$(Row { text: $text, set: $set, $($($field: $value,)+)? ..PLAIN }),+])
    };
}
pub(crate) use group;

/// One option.
pub(crate) struct Row {
    /// As help shows it: the spelling, two blanks, one sentence of at most 60 characters with the
    /// default behind it, and what that leaves open.
    pub(crate) text: &'static str,
    /// Sets what a value means, or says why it is refused.
    pub(crate) set: fn(&mut Options, &OsStr) -> Result<(), String>,
    pub(crate) repeat: Repeat,
    /// Whether `idler --help` shows it as well.
    pub(crate) in_overview: bool,
    /// Not taken from the environment.
    pub(crate) typed_only: bool,
}

/// An option of which the last one counts, and which has a variable in the environment.
pub(crate) const PLAIN: Row = Row {
    text: "",
    set: |_, _| Ok(()),
    repeat: Repeat::Last,
    in_overview: false,
    typed_only: false,
};

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

/// What an option or a word takes.
pub(crate) enum Form {
    /// Nothing: a switch.
    Switch,
    /// Text that no shell can complete.
    Text,
    /// The name of a file.
    File,
    /// One of these words, with blanks between them.
    OneOf(String),
}

impl Form {
    /// What a placeholder stands for. A word in small letters stands for itself.
    fn of(placeholder: &str) -> Self {
        match placeholder {
            "" => Self::Switch,
            "SHELL" => Self::OneOf("bash zsh fish".to_owned()),
            "FILE" | "FILE…" | "FILE|-|off" | "DIR" | "[PATH]" => Self::File,
            words if words.contains('|') && words == words.to_lowercase() => {
                Self::OneOf(words.replace('|', " "))
            }
            _ => Self::Text,
        }
    }
}

impl Row {
    /// The spelling, `-p, --port N`, and what is said of it.
    fn parts(&self) -> (&'static str, &'static str) {
        self.text.split_once("  ").unwrap_or((self.text, ""))
    }

    /// `-p` and `--port` of `-p, --port N`.
    pub(crate) fn spellings(&self) -> impl Iterator<Item = &'static str> {
        let spellings = self.parts().0.split(", ");
        spellings.map(|spelling| spelling.split(' ').next().unwrap_or_default())
    }

    /// `port` of `-p, --port N`.
    pub(crate) fn long(&self) -> &'static str {
        let long = self.spellings().last().unwrap_or_default();
        long.trim_start_matches("--")
    }

    /// `N` of `-p, --port N`; empty for a switch.
    pub(crate) fn placeholder(&self) -> &'static str {
        let (_, long) = self.parts().0.split_once("--").unwrap_or_default();
        long.split_once(' ').unwrap_or_default().1
    }

    /// `p` of `-p, --port N`.
    pub(crate) fn short(&self) -> Option<char> {
        self.text.chars().nth(1).filter(|&short| short != '-')
    }

    pub(crate) fn is_switch(&self) -> bool {
        self.placeholder().is_empty()
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
        match default.and_then(|(_, rest)| rest.split_once(')')) {
            Some((default, _)) => default,
            None if self.repeat == Repeat::Count => "0",
            None if self.is_switch() => "no",
            None => "",
        }
    }

    /// The first sentence of what is said of it, without default and full stop.
    pub(crate) fn help(&self) -> &'static str {
        let (_, text) = self.parts();
        let end = text.find(" (default: ").or_else(|| text.find(". "));
        &text[..end.unwrap_or(text.len())]
    }

    /// All that is said of it.
    pub(crate) fn paragraph(&self) -> String {
        let several = match self.takes_several() {
            true => " May be given several times.",
            false => "",
        };
        format!("{}.{several}", self.parts().1.trim_end_matches('.'))
    }

    pub(crate) fn takes_several(&self) -> bool {
        matches!(self.repeat, Repeat::Each | Repeat::EachLine)
    }

    /// `IDLER_MAX_HEAD` for `--max-head`.
    pub(crate) fn variable(&self) -> Option<String> {
        let name = self.long().replace('-', "_").to_ascii_uppercase();
        (!self.typed_only).then(|| format!("IDLER_{name}"))
    }
}

impl Verb {
    /// Commands, and what each is for.
    pub(crate) fn examples(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let examples = self.examples.iter();
        examples.filter_map(|example| example.split_once("  "))
    }

    /// Its options under their headings, in the order of help.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &'static Group> + use<> {
        self.options.iter().chain(&[PAGES])
    }

    /// Its options, in the order of help.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &'static Row> + use<> {
        self.groups().flat_map(|(_, rows)| *rows)
    }

    /// The words of a usage line that are no options.
    fn words_of(&self, usage: &'static str) -> impl Iterator<Item = &'static str> {
        let words = usage.split(' ');
        words.filter(|&word| word != self.name && word != "[OPTIONS]")
    }

    /// What its words are called.
    pub(crate) fn words(&self) -> Vec<&'static str> {
        self.words_of(self.usage[0]).collect()
    }

    /// What completes its words.
    pub(crate) fn form(&self) -> Form {
        Form::of(self.words().first().copied().unwrap_or_default())
    }

    /// How many words it takes, at least and at most.
    pub(crate) fn word_count(&self) -> (usize, usize) {
        let needed = |word: &&str| !word.starts_with('[');
        let usages = self.usage.iter();
        let least = usages
            .clone()
            .map(|usage| self.words_of(usage).filter(needed).count());
        let most = usages.map(|usage| match usage.ends_with('…') {
            true => usize::MAX,
            false => self.words_of(usage).count(),
        });
        (least.min().unwrap_or(0), most.max().unwrap_or(0))
    }
}

/// The options that every verb has. They ask for a page, which the parser gives.
const PAGES: Group = group! { "Other":
    "-h, --help  Print help; idler VERB --help says all of a verb"
        [typed_only: true, in_overview: true] => |_, _| Ok(());
    "-V, --version  Print the version" [typed_only: true] => |_, _| Ok(());
};
