//! Completions for bash, zsh and fish.
//!
//! What lives here: three scripts made from the table. It may not know any option by name.
//! Invariant: text from the table is quoted for the shell that reads it.
//! Read next: `mod.rs`, if you came from there.

use super::{Shell, table};
use table::{Repeat, Row, Value, VerbRow};

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
    let names: Vec<&str> = table::every_verb().map(|row| row.name).collect();
    names.join(separator)
}

fn bash() -> String {
    let mut of_values = String::new();
    let mut of_verbs = String::new();
    for verb in table::every_verb() {
        let name = verb.name;
        let mut spellings = Vec::new();
        for row in table::options(verb.verb) {
            let mut own = vec![format!("--{}", row.long)];
            own.extend(row.short.map(|short| format!("-{short}")));
            if let Some(action) = bash_values(row.value) {
                let patterns: Vec<String> = own.iter().map(|own| format!("{name}:{own}")).collect();
                of_values.push_str(&format!(
                    "        {}) {action}; return ;;\n",
                    patterns.join("|")
                ));
            }
            spellings.append(&mut own);
        }
        let words = bash_values(verb.words.value).unwrap_or_else(|| ":".to_owned());
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
        default = table::verb(table::DEFAULT_VERB).name,
        any_verb = verbs("|"),
        all_verbs = verbs(" "),
    )
}

/// The command that completes a value; none for a switch.
fn bash_values(value: Value) -> Option<String> {
    match value {
        Value::Nothing => None,
        Value::Text(_) => Some(":".to_owned()),
        Value::File(_) => Some("_idler_files".to_owned()),
        Value::OneOf(words) => Some(format!("_idler_words '{}'", words.join(" "))),
    }
}

fn zsh() -> String {
    let mut of_verbs = String::new();
    for verb in table::every_verb() {
        of_verbs.push_str(&format!("    {})\n      _arguments -s -S \\\n", verb.name));
        for row in table::options(verb.verb) {
            of_verbs.push_str(&format!("        {} \\\n", zsh_option(row)));
        }
        of_verbs.push_str(&format!("        {} ;;\n", zsh_words(verb)));
    }
    let listed: Vec<String> = table::every_verb()
        .map(|row| quoted(&format!("{}:{}", row.name, row.summary)))
        .collect();
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
        default = table::verb(table::DEFAULT_VERB).name,
        any_verb = verbs("|"),
    )
}

fn zsh_option(row: &Row) -> String {
    let repeat = if row.repeat == Repeat::Last { "" } else { "*" };
    let value = match row.value {
        Value::Nothing => String::new(),
        Value::Text(name) => format!(":{}: ", zsh_text(name)),
        Value::File(name) => format!(":{}:_files", zsh_text(name)),
        Value::OneOf(words) => format!(":value:({})", words.join(" ")),
    };
    let help = zsh_text(row.help);
    let takes = if value.is_empty() { "" } else { "=" };
    let long = format!("{repeat}--{}{takes}[{help}]{value}", row.long);
    match row.short {
        None => quoted(&long),
        Some(short) => {
            let takes = if value.is_empty() { "" } else { "+" };
            let short = format!("{repeat}-{short}{takes}[{help}]{value}");
            format!("{} {}", quoted(&short), quoted(&long))
        }
    }
}

fn zsh_words(verb: &VerbRow) -> String {
    let action = match verb.words.value {
        Value::Nothing => return "&& return".to_owned(),
        Value::Text(_) => " ".to_owned(),
        Value::File(_) => "_idler_first".to_owned(),
        Value::OneOf(words) => format!("({})", words.join(" ")),
    };
    quoted(&format!("*:{}:{action}", zsh_text(verb.words.names)))
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
        default = table::verb(table::DEFAULT_VERB).name,
    );
    for verb in table::every_verb() {
        let summary = fish_quoted(verb.summary);
        out.push_str(&format!(
            "complete -c idler -n __idler_no_verb -a {} -d {summary}\n",
            verb.name
        ));
        let when = format!("complete -c idler -n '__idler_verb {}'", verb.name);
        match verb.words.value {
            Value::Nothing | Value::Text(_) => {}
            Value::File(_) => out.push_str(&format!("{when} -F\n")),
            Value::OneOf(words) => {
                out.push_str(&format!("{when} -a {}\n", fish_quoted(&words.join(" "))));
            }
        }
        for row in table::options(verb.verb) {
            out.push_str(&format!("{when} -l {}", row.long));
            if let Some(short) = row.short {
                out.push_str(&format!(" -s {short}"));
            }
            match row.value {
                Value::Nothing => {}
                Value::Text(_) => out.push_str(" -x"),
                Value::File(_) => out.push_str(" -r -F"),
                Value::OneOf(words) => {
                    out.push_str(&format!(" -x -a {}", fish_quoted(&words.join(" "))));
                }
            }
            out.push_str(&format!(" -d {}\n", fish_quoted(row.help)));
        }
    }
    out
}

/// In single quotes, for fish, where a backslash escapes inside them.
fn fish_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}
