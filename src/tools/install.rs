//! `milena tools`: lists the tools, and installs their names: links to this binary, each also with `.sh`.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::flags::{Flag, Takes, Usage, flag};
use super::{Done, Failure, Output, TOOLS, Tool};

pub(super) const TOOL: Tool = Tool {
    name: "tools",
    aliases: &[],
    about: "list the tools; tools install DIR makes their names in DIR",
    usage: || USAGE,
    run,
};

const USAGE: Usage = Usage {
    about: "milena tools: lists the command line tools.\nmilena tools install DIR: makes their names in DIR, as links to this binary, with and without .sh.",
    flags: FLAGS,
};

static FLAGS: &[Flag] = &[flag(&["hard"], Takes::Nothing, "Hard links instead of symbolic ones.")];

fn run(arguments: &[String], out: &mut Output) -> Done {
    if arguments.is_empty() {
        TOOLS.iter().for_each(|tool| out.line(format!("{:28} {}", tool.name, tool.about)));
        return Ok(());
    }
    let flags = USAGE.parse(arguments)?;
    let words: Vec<&str> = flags.words.iter().map(String::as_str).collect();
    let ["install", directory] = words[..] else {
        return Err(Failure::Usage("milena tools install takes one directory".to_owned()));
    };
    let directory = Path::new(directory);
    let failed =
        |error: io::Error| Failure::Error(format!("the tools cannot be installed in {}: {error}", directory.display()));
    let binary = std::env::current_exe().map_err(failed)?;
    fs::create_dir_all(directory).map_err(failed)?;
    let mut count = 0;
    for path in paths(directory) {
        link(&binary, &path, flags.has("hard")).map_err(failed)?;
        count += 1;
    }
    out.line(format!("{count} names in {}", directory.display()));
    Ok(())
}

/// `kafka-topics` and `kafka-topics.sh`; `cub` and `ub`, which never had an ending.
fn paths(directory: &Path) -> Vec<PathBuf> {
    let mut names: Vec<String> = vec!["cub".to_owned(), "ub".to_owned()];
    for tool in TOOLS.iter().filter(|tool| tool.name.starts_with("kafka-")) {
        names.push(tool.name.to_owned());
        names.push(format!("{}.sh", tool.name));
    }
    names.into_iter().map(|name| directory.join(name)).collect()
}

/// Takes the place of a link that is there already; a file of somebody else stays, and is an error.
fn link(binary: &Path, path: &Path, hard: bool) -> io::Result<()> {
    let is_ours = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_symlink())
        || fs::canonicalize(path).is_ok_and(|target| same_file(&target, binary));
    if is_ours {
        fs::remove_file(path)?;
    }
    let made = if hard { fs::hard_link(binary, path) } else { symlink(binary, path) };
    made.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn same_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}
