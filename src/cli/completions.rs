//! Completions for bash, zsh and fish.
//!
//! Invariant: what the rows say is quoted for the shell that reads it.

use super::VERBS;
use super::table::{Form, Repeat, Row};

/// What makes a script.
type Script = fn() -> String;

/// The shells, and what makes the script of each. For bash, 4.4 or later.
pub(crate) const SHELLS: &[(&str, Script)] = &[("bash", bash), ("zsh", zsh), ("fish", fish)];

/// The names of all verbs, separated.
fn verbs(separator: &str) -> String {
    VERBS.map(|verb| verb.name).join(separator)
}

fn bash() -> String {
    let completes = |form| match form {
        Form::Switch | Form::Text => ":".to_owned(),
        Form::File => "_idler_files".to_owned(),
        Form::OneOf(words) => format!("_idler_words '{words}'"),
    };
    let (mut of_values, mut of_verbs) = (String::new(), String::new());
    for verb in VERBS {
        let name = verb.name;
        for row in verb.rows().filter(|row| !row.is_switch()) {
            let own: Vec<String> = row.spellings().map(|own| format!("{name}:{own}")).collect();
            let (own, action) = (own.join("|"), completes(row.form()));
            of_values += &format!("        {own}) {action}; return ;;\n");
        }
        let options: Vec<&str> = verb.rows().flat_map(Row::spellings).collect();
        let (options, words) = (options.join(" "), completes(verb.form()));
        of_verbs += &format!("        {name}:-*) _idler_words '{options}' ;;\n");
        of_verbs += &format!("        {name}:*) {words} ;;\n");
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

fn zsh() -> String {
    let mut of_verbs = String::new();
    for verb in VERBS {
        of_verbs += &format!("    {})\n      _arguments -s -S \\\n", verb.name);
        for row in verb.rows() {
            let spellings: Vec<String> = row.spellings().map(|own| zsh_option(row, own)).collect();
            of_verbs += &format!("        {} \\\n", spellings.join(" "));
        }
        let words = match zsh_action(verb.form(), "_idler_first") {
            Some(action) => quoted(&format!("*:{}:{action}", zsh_text(&verb.words().join(" ")))),
            None => "&& return".to_owned(),
        };
        of_verbs += &format!("        {words} ;;\n");
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

/// What completes a value; a switch has none.
fn zsh_action(form: Form, files: &str) -> Option<String> {
    match form {
        Form::Switch => None,
        Form::Text => Some(" ".to_owned()),
        Form::File => Some(files.to_owned()),
        Form::OneOf(words) => Some(format!("({words})")),
    }
}

/// One spelling of an option, as `_arguments` takes it.
fn zsh_option(row: &Row, spelling: &str) -> String {
    let repeat = if row.repeat == Repeat::Last { "" } else { "*" };
    let label = match row.form() {
        Form::OneOf(_) => "value".to_owned(),
        Form::Switch | Form::Text | Form::File => zsh_text(row.placeholder()),
    };
    let value = zsh_action(row.form(), "_files").map(|action| format!(":{label}:{action}"));
    let attached = match value {
        None => "",
        Some(_) if spelling.starts_with("--") => "=",
        Some(_) => "+",
    };
    let (help, value) = (zsh_text(row.help()), value.unwrap_or_default());
    quoted(&format!("{repeat}{spelling}{attached}[{help}]{value}"))
}

/// Text inside a specification of `_arguments`, where brackets and colons have a meaning.
fn zsh_text(text: &str) -> String {
    let text = text.replace('\\', r"\\").replace(':', r"\:");
    text.replace('[', r"\[").replace(']', r"\]")
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
        let (name, summary) = (verb.name, fish_quoted(verb.summary));
        let when = format!("complete -c idler -n '__idler_verb {name}'");
        out += &format!("complete -c idler -n __idler_no_verb -a {name} -d {summary}\n");
        out += &match verb.form() {
            Form::Switch | Form::Text => String::new(),
            Form::File => format!("{when} -F\n"),
            Form::OneOf(words) => format!("{when} -a '{words}'\n"),
        };
        for row in verb.rows() {
            let short = row.short().map(|short| format!(" -s {short}"));
            let short = short.unwrap_or_default();
            let takes = match row.form() {
                Form::Switch => String::new(),
                Form::Text => " -x".to_owned(),
                Form::File => " -r -F".to_owned(),
                Form::OneOf(words) => format!(" -x -a '{words}'"),
            };
            let (long, help) = (row.long(), fish_quoted(row.help()));
            out += &format!("{when} -l {long}{short}{takes} -d {help}\n");
        }
    }
    out
}

/// In single quotes, for fish, where a backslash escapes inside them.
fn fish_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}
