//! Completions for bash, zsh and fish.
//!
//! Invariant: what the rows say is quoted for the shell that reads it.

use super::VERBS;
use super::table::{Form, Repeat, Row, Verb};

/// A shell that completions are made for.
#[derive(Clone, Copy)]
pub(crate) enum Shell {
    /// 4.4 or later.
    Bash,
    Zsh,
    Fish,
}

/// The script of `idler completions SHELL`.
pub(crate) fn script(shell: Shell) -> String {
    match shell {
        Shell::Bash => bash(),
        Shell::Zsh => zsh(),
        Shell::Fish => fish(),
    }
}

/// The names of all verbs, separated.
fn verbs(separator: &str) -> String {
    VERBS.map(|verb| verb.name).join(separator)
}

fn bash() -> String {
    let mut of_values = String::new();
    let mut of_verbs = String::new();
    for verb in VERBS {
        let name = verb.name;
        let mut spellings = Vec::new();
        for row in verb.rows() {
            let mut own = vec![format!("--{}", row.long())];
            own.extend(row.short().map(|short| format!("-{short}")));
            if let Some(action) = bash_values(row.form()) {
                let patterns: Vec<String> = own.iter().map(|own| format!("{name}:{own}")).collect();
                of_values.push_str(&format!(
                    "        {}) {action}; return ;;\n",
                    patterns.join("|")
                ));
            }
            spellings.append(&mut own);
        }
        let words = bash_values(verb.form()).unwrap_or_else(|| ":".to_owned());
        of_verbs.push_str(&format!(
            "        {name}:-*) _idler_words '{}' ;;\n        {name}:*) {words} ;;\n",
            spellings.join(" ")
        ));
    }
    format!(
        r#"# idler: completions for bash. Written by 'idler completions bash'.
_idler_words() {{
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}}
_idler_files() {{
    mapfile -t -O "${{#COMPREPLY[@]}}" COMPREPLY < <(compgen -f -- "$cur")
    compopt -o filenames 2>/dev/null
}}
_idler() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} verb={default}
    COMPREPLY=()
    # --option=value comes as three words.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${{COMP_WORDS[COMP_CWORD-2]}}
    fi
    if ((COMP_CWORD > 1)); then
        case ${{COMP_WORDS[1]}} in
        {any_verb}) verb=${{COMP_WORDS[1]}} ;;
        esac
    fi
    case $verb:$prev in
{of_values}    esac
    if ((COMP_CWORD == 1)) && [[ $cur != -* ]]; then
        _idler_words '{all_verbs}'
    fi
    case $verb:$cur in
{of_verbs}    esac
}}
complete -F _idler idler
"#,
        default = VERBS[0].name,
        any_verb = verbs("|"),
        all_verbs = verbs(" "),
    )
}

/// The command that completes a value; none for a switch.
fn bash_values(value: Form) -> Option<String> {
    match value {
        Form::Switch => None,
        Form::Text => Some(":".to_owned()),
        Form::File => Some("_idler_files".to_owned()),
        Form::OneOf(words) => Some(format!("_idler_words '{}'", words.replace('|', " "))),
    }
}

fn zsh() -> String {
    let mut of_verbs = String::new();
    for verb in VERBS {
        of_verbs.push_str(&format!("    {})\n      _arguments -s -S \\\n", verb.name));
        for row in verb.rows() {
            of_verbs.push_str(&format!("        {} \\\n", zsh_option(row)));
        }
        of_verbs.push_str(&format!("        {} ;;\n", zsh_words(verb)));
    }
    let listed = VERBS.map(|verb| quoted(&format!("{}:{}", verb.name, verb.summary)));
    format!(
        r#"#compdef idler
# idler: completions for zsh. Written by 'idler completions zsh'.
_idler_verbs() {{
  local -a verbs
  verbs=({listed})
  _describe -t verbs verb verbs
}}
_idler_first() {{
  if (( verb_named )) || (( CURRENT != 2 )); then
    _files
  else
    _alternative 'verbs:verb:_idler_verbs' 'files:path:_files'
  fi
}}
_idler() {{
  local verb={default} verb_named=0
  if (( CURRENT > 2 )) && [[ ${{words[2]}} == ({any_verb}) ]]; then
    verb=${{words[2]}} verb_named=1
    shift words
    (( CURRENT-- ))
  fi
  case $verb in
{of_verbs}  esac
}}
if [[ $funcstack[1] == _idler ]]; then
  _idler "$@"
else
  compdef _idler idler
fi
"#,
        listed = listed.join(" "),
        default = VERBS[0].name,
        any_verb = verbs("|"),
    )
}

fn zsh_option(row: &Row) -> String {
    let repeat = if row.repeat == Repeat::Last { "" } else { "*" };
    let value = match row.form() {
        Form::Switch => String::new(),
        Form::Text => format!(":{}: ", zsh_text(row.placeholder())),
        Form::File => format!(":{}:_files", zsh_text(row.placeholder())),
        Form::OneOf(words) => format!(":value:({})", words.replace('|', " ")),
    };
    let help = zsh_text(row.help());
    let takes = if value.is_empty() { "" } else { "=" };
    let long = format!("{repeat}--{}{takes}[{help}]{value}", row.long());
    match row.short() {
        None => quoted(&long),
        Some(short) => {
            let takes = if value.is_empty() { "" } else { "+" };
            let short = format!("{repeat}-{short}{takes}[{help}]{value}");
            format!("{} {}", quoted(&short), quoted(&long))
        }
    }
}

fn zsh_words(verb: &Verb) -> String {
    let action = match verb.form() {
        Form::Switch => return "&& return".to_owned(),
        Form::Text => " ".to_owned(),
        Form::File => "_idler_first".to_owned(),
        Form::OneOf(words) => format!("({})", words.replace('|', " ")),
    };
    quoted(&format!("*:{}:{action}", zsh_text(&verb.words())))
}

/// Text inside a specification of `_arguments`, where brackets and colons have a meaning.
fn zsh_text(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars() {
        if matches!(char, '\\' | '[' | ']' | ':') {
            out.push('\\');
        }
        out.push(char);
    }
    out
}

/// In single quotes, for any shell of the Bourne family.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn fish() -> String {
    let mut out = format!(
        r"# idler: completions for fish. Written by 'idler completions fish'.
function __idler_verb
    set -l typed (commandline -opc)
    if contains -- $typed[2] {all_verbs}
        test $typed[2] = $argv[1]
    else
        test {default} = $argv[1]
    end
end
function __idler_no_verb
    test (count (commandline -opc)) -eq 1
end
complete -c idler -f
",
        all_verbs = verbs(" "),
        default = VERBS[0].name,
    );
    for verb in VERBS {
        let summary = fish_quoted(verb.summary);
        out.push_str(&format!(
            "complete -c idler -n __idler_no_verb -a {} -d {summary}\n",
            verb.name
        ));
        let when = format!("complete -c idler -n '__idler_verb {}'", verb.name);
        match verb.form() {
            Form::Switch | Form::Text => {}
            Form::File => out.push_str(&format!("{when} -F\n")),
            Form::OneOf(words) => {
                out.push_str(&format!(
                    "{when} -a {}\n",
                    fish_quoted(&words.replace('|', " "))
                ));
            }
        }
        for row in verb.rows() {
            out.push_str(&format!("{when} -l {}", row.long()));
            if let Some(short) = row.short() {
                out.push_str(&format!(" -s {short}"));
            }
            match row.form() {
                Form::Switch => {}
                Form::Text => out.push_str(" -x"),
                Form::File => out.push_str(" -r -F"),
                Form::OneOf(words) => {
                    out.push_str(&format!(" -x -a {}", fish_quoted(&words.replace('|', " "))));
                }
            }
            out.push_str(&format!(" -d {}\n", fish_quoted(row.help())));
        }
    }
    out
}

/// In single quotes, for fish, where a backslash escapes inside them.
fn fish_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}
