//! `kafka-server-start`: the broker with a settings file, as Kafka's script starts it. It becomes `milena --config FILE`; with
//! `-daemon` that goes on by itself.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::flags::{Flag, Takes, Usage, flag};
use super::{Done, Failure, Output, Tool};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-server-start",
    aliases: &["kafka.Kafka"],
    about: "the broker, with a server.properties",
    usage: || USAGE,
    run,
};

const USAGE: Usage = Usage {
    about: "kafka-server-start [-daemon] server.properties [--override property=value]*: starts the broker.",
    flags: FLAGS,
};

static FLAGS: &[Flag] = &[
    flag(&["daemon"], Takes::Nothing, "Start it and come back."),
    flag(&["override"], Takes::Value("property=value"), "A setting that wins over the file."),
];

fn run(arguments: &[String], _: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    let [file] = &flags.words[..] else {
        return Err(Failure::Usage("kafka-server-start takes one server.properties".to_owned()));
    };
    let failed = |error| Failure::Error(format!("the broker cannot be started: {error}"));
    let mut broker = Command::new(std::env::current_exe().map_err(failed)?);
    broker.arg0("milena").args(["--config", file]);
    for setting in flags.values("override") {
        broker.args(["--override", setting]);
    }
    if !flags.has("daemon") {
        // In place of this process, so that signals reach it. It comes back only if it cannot.
        return Err(failed(broker.exec()));
    }
    let silent = broker.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // A group of its own: Ctrl-C in this terminal is not meant for it.
    silent.process_group(0).spawn().map(drop).map_err(failed)
}
