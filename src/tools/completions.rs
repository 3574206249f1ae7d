//! `milena completions SHELL`: what a shell reads to complete the tools' flags. Made from the tools' own tables.

use super::flags::{Flag, Takes, Usage};
use super::{Done, Failure, Output, TOOLS, Tool};

pub(super) const TOOL: Tool =
    Tool { name: "completions", aliases: &[], about: "completions for bash, zsh or fish", usage: || USAGE, run };

const USAGE: Usage = Usage {
    about: "milena completions bash|zsh|fish: prints what the shell reads. For bash: source <(milena completions bash)",
    flags: &[],
};

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    let text = match flags.words.first().map(String::as_str) {
        Some("bash") => bash(),
        Some("zsh") => format!("autoload -U +X bashcompinit && bashcompinit\n{}", bash()),
        Some("fish") => fish(),
        _ => return Err(Failure::Usage("milena completions takes bash, zsh or fish".to_owned())),
    };
    out.bytes(text.as_bytes());
    Ok(())
}

/// A flag as it is typed.
fn typed(flag: &'static Flag) -> impl Iterator<Item = String> {
    flag.names.iter().map(|name| if name.len() == 1 { format!("-{name}") } else { format!("--{name}") })
}

/// zsh runs the same through its bash emulation.
fn bash() -> String {
    let mut text = String::from(
        "_milena() {\n  local tool=${1##*/} words=''\n  tool=${tool%.sh}\n  if [ \"$tool\" = milena ]; then\n    \
         if [ \"$COMP_CWORD\" = 1 ]; then\n      COMPREPLY=($(compgen -W \"",
    );
    let names: Vec<&str> =
        TOOLS.iter().map(|tool| tool.name).chain(["config", "doctor", "health", "--help", "--version"]).collect();
    text += &names.join(" ");
    text += "\" -- \"$2\"))\n      return\n    fi\n    tool=${COMP_WORDS[1]}\n  fi\n  case $tool in\n";
    for tool in TOOLS {
        let flags: Vec<String> = (tool.usage)().flags.iter().flat_map(typed).collect();
        text += &format!("    {}) words='{}';;\n", tool.name, flags.join(" "));
    }
    text += "  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"$2\"))\n}\n";
    text += "complete -o default -F _milena milena";
    for tool in TOOLS.iter().filter(|tool| tool.name.starts_with("kafka-")) {
        text += &format!(" {0} {0}.sh", tool.name);
    }
    text + " cub\n"
}

fn fish() -> String {
    let mut text = String::new();
    for tool in TOOLS {
        let name = tool.name;
        text += &format!("complete -c milena -n __fish_use_subcommand -a {name} -d {}\n", quoted(tool.about));
        for flag in (tool.usage)().flags {
            let long = flag.names[0];
            let letter = if long.len() == 1 { "s" } else { "l" };
            let value = if matches!(flag.takes, Takes::Nothing) { "" } else { " -r" };
            let about = quoted(flag.about);
            text += &format!(
                "complete -c milena -n '__fish_seen_subcommand_from {name}' -{letter} {long}{value} -d {about}\n"
            );
            if name.starts_with("kafka-") || name == "cub" {
                text += &format!("complete -c {name} -{letter} {long}{value} -d {about}\n");
            }
        }
    }
    text
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
