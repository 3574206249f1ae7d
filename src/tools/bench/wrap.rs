//! Any other client as the load: a command is run against each target, and what it cost the broker is told as for our own
//! loads. `{addr}` in its words becomes the target's address, `{name}` its name, `{round}` the number of the round.

use std::process::{Command, Stdio};

use super::meter::Meter;
use super::{Figures, Target, bad};
use crate::tools::Failure;
use crate::tools::flags::Flags;

pub fn measure(target: &Target, round: usize, flags: &Flags, command: &[String]) -> Result<Figures, Failure> {
    let fill = |word: &String| {
        word.replace("{addr}", &target.servers).replace("{name}", &target.name).replace("{round}", &round.to_string())
    };
    let words: Vec<String> = command.iter().map(fill).collect();
    let (program, arguments) = words.split_first().ok_or_else(|| bad("wrap: no command behind `--`".into()))?;
    let gigabytes: f64 = flags.number("gb")?.unwrap_or(0.0);
    let meter = Meter::start(target.pid);
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| bad(format!("{program}: {error}")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(bad(format!("{program} ended with {}:\n{said}", output.status)));
    }
    let seconds = meter.elapsed().as_secs_f64();
    let mut figures: Figures = vec![("MB_s", gigabytes * 1e3 / seconds)];
    // What it measured itself, if its last line is a number: without the time it took to start.
    figures.extend(said.lines().last().and_then(|line| line.trim().parse().ok()).map(|own| ("own_MB_s", own)));
    figures.extend(meter.stop(gigabytes, 0.0));
    Ok(figures)
}
