//! Runs in turns, and what is made of their figures: a table of medians with spread and ratio, and a line of JSON for each.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write;

use super::{Figures, Target, bad};
use crate::tools::flags::Flags;
use crate::tools::{Done, Failure, Output};

/// What is measured how often on whom.
pub struct Runs<'a> {
    pub what: &'a str,
    pub flags: &'a Flags,
    pub targets: &'a [Target],
    pub rounds: usize,
}

impl Runs<'_> {
    /// Measures every target in every round, in changing order, and prints the table.
    pub fn take_turns(
        &self,
        out: &mut Output,
        mut measure: impl FnMut(&Target, usize) -> Result<Figures, Failure>,
    ) -> Done {
        let mut found: Vec<Vec<Figures>> = vec![Vec::new(); self.targets.len()];
        for round in 0..self.rounds {
            let mut order: Vec<usize> = (0..self.targets.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                let figures = measure(&self.targets[index], round)?;
                self.note(&self.targets[index], round, &figures)?;
                found[index].push(figures);
            }
        }
        out.line(format!("== {} {}", self.what, self.flags.value("label").unwrap_or("")));
        table(self.targets, &found).iter().for_each(|line| out.line(line));
        Ok(())
    }

    fn note(&self, target: &Target, round: usize, figures: &Figures) -> Done {
        let Some(path) = self.flags.value("json") else { return Ok(()) };
        let mut line = format!(
            "{{\"cmd\":\"{}\",\"label\":\"{}\",\"target\":\"{}\",\"round\":{round}",
            self.what,
            escaped(self.flags.value("label").unwrap_or("")),
            escaped(&target.name)
        );
        for (name, value) in figures.iter().filter(|(_, value)| value.is_finite()) {
            let _ = write!(line, ",\"{name}\":{value}");
        }
        line.push_str("}\n");
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).map_err(|error| bad(format!("{path}: {error}")))
    }
}

fn escaped(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c]))
        .collect()
}

/// A line for each figure: median and spread of each target, and its ratio to the first one.
fn table(targets: &[Target], found: &[Vec<Figures>]) -> Vec<String> {
    let names: Vec<String> = targets.iter().map(|target| format!("{:>30}", target.name)).collect();
    let mut lines = vec![format!("{:26}{}", "", names.concat())];
    let Some(first) = found.first().and_then(|rounds| rounds.first()) else { return lines };
    for (name, _) in first {
        let mut line = format!("{name:26}");
        for rounds in found {
            let _ = write!(line, "{:>30}", spread(values(rounds, name)));
        }
        for rounds in &found[1..] {
            let _ = write!(line, "   x {}", short(median(ratios(&found[0], rounds, name))));
        }
        lines.push(line);
    }
    lines
}

fn values(rounds: &[Figures], name: &str) -> Vec<f64> {
    rounds
        .iter()
        .filter_map(|figures| figures.iter().find(|(known, _)| *known == name))
        .map(|(_, value)| *value)
        .collect()
}

/// Round by round, so that what disturbs both disturbs the ratio least.
fn ratios(base: &[Figures], other: &[Figures], name: &str) -> Vec<f64> {
    values(base, name).into_iter().zip(values(other, name)).map(|(base, other)| other / base).collect()
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[len / 2],
        len => (values[len / 2 - 1] + values[len / 2]) / 2.0,
    }
}

fn spread(values: Vec<f64>) -> String {
    let (low, high) =
        values.iter().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
    match values.len() {
        0 => "-".to_owned(),
        1 => short(values[0]),
        _ => format!("{} [{}..{}]", short(median(values)), short(low), short(high)),
    }
}

/// Four digits that matter.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 1000.0 || v == 0.0 => 0,
        v if v >= 100.0 => 1,
        v if v >= 10.0 => 2,
        v if v >= 1.0 => 3,
        _ => 4,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_median_spread_and_the_median_of_the_ratios() {
        let target = |name: &str| Target::parse(&format!("{name}=127.0.0.1:1")).ok().unwrap();
        let rounds = |values: [f64; 3]| values.map(|value| vec![("MB_s", value)]).to_vec();
        let lines = table(&[target("a"), target("b")], &[rounds([10.0, 20.0, 30.0]), rounds([20.0, 40.0, 30.0])]);
        assert!(lines[1].contains("20.00 [10.00..30.00]"), "{}", lines[1]);
        assert!(lines[1].ends_with("x 2.000"), "{}", lines[1]);
    }
}
