//! Flags as Kafka's tools take them: `--name value`, `--name=value`, repeated ones, no abbreviations; and the usage that is
//! printed when they make no sense.

use std::fmt;

use super::Failure;

/// Does a flag take a value?
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    /// A value, described for the usage.
    Value(&'static str),
    /// A value if the next word is no flag.
    Maybe(&'static str),
    /// All words up to the next flag.
    Many(&'static str),
}

/// One flag of a tool. A name of one letter is written with one dash.
pub(super) struct Flag {
    pub names: &'static [&'static str],
    pub takes: Takes,
    pub about: &'static str,
}

pub(super) const fn flag(names: &'static [&'static str], takes: Takes, about: &'static str) -> Flag {
    Flag { names, takes, about }
}

/// What a tool is for and which flags it has.
pub(super) struct Usage {
    pub about: &'static str,
    pub flags: &'static [Flag],
}

/// The flags of one call.
pub(super) struct Flags {
    given: Vec<(&'static str, Option<String>)>,
    /// Words that belong to no flag.
    pub words: Vec<String>,
}

impl Usage {
    /// Reads a command line. `--help` and `--version` are answered here.
    pub fn parse(&self, arguments: &[String]) -> Result<Flags, Failure> {
        let mut flags = Flags { given: Vec::new(), words: Vec::new() };
        let mut rest = arguments.iter().peekable();
        while let Some(argument) = rest.next() {
            let Some(dashed) = argument.strip_prefix('-').filter(|name| !name.is_empty()) else {
                flags.words.push(argument.clone());
                continue;
            };
            let long = dashed.strip_prefix('-').unwrap_or(dashed);
            let (name, value) =
                long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value.to_owned())));
            match name {
                "help" => {
                    eprintln!("{}", self.about);
                    eprint!("{self}");
                    return Err(Failure::Exit(1));
                }
                "version" => {
                    println!("{KAFKA_VERSION}");
                    return Err(Failure::Shown);
                }
                _ => {}
            }
            let known = self.find(name).ok_or_else(|| Failure::Usage(format!("{name} is not a recognized option")))?;
            flags.take(known, value, &mut rest)?;
        }
        Ok(flags)
    }

    fn find(&self, name: &str) -> Option<&'static Flag> {
        self.flags.iter().find(|flag| flag.names.contains(&name))
    }
}

impl Flags {
    fn take<'a>(
        &mut self,
        flag: &'static Flag,
        value: Option<String>,
        rest: &mut std::iter::Peekable<impl Iterator<Item = &'a String>>,
    ) -> Result<(), Failure> {
        let name = flag.names[0];
        match flag.takes {
            Takes::Nothing => self.given.push((name, None)),
            Takes::Value(_) => {
                let missing = || Failure::Usage(format!("Option {name} requires an argument"));
                self.given.push((name, Some(value.or_else(|| rest.next().cloned()).ok_or_else(missing)?)));
            }
            Takes::Maybe(_) => {
                let value = value.or_else(|| rest.next_if(|next| !next.starts_with('-')).cloned());
                self.given.push((name, value));
            }
            Takes::Many(_) => {
                self.given.extend(value.map(|value| (name, Some(value))));
                while let Some(next) = rest.next_if(|next| !next.starts_with("--")) {
                    self.given.push((name, Some(next.clone())));
                }
            }
        }
        Ok(())
    }

    pub fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == name)
    }

    /// The last value given.
    pub fn value(&self, name: &str) -> Option<&str> {
        let mut last = None;
        for (given, value) in &self.given {
            if *given == name && value.is_some() {
                last = value.as_deref();
            }
        }
        last
    }

    pub fn values<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
        self.given.iter().filter(move |(given, _)| *given == name).filter_map(|(_, value)| value.as_deref())
    }

    /// The values of several flags as they were given; `None` for one without a value.
    pub fn in_order<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = Option<&'a str>> {
        self.given.iter().filter(|(given, _)| names.contains(given)).map(|(_, value)| value.as_deref())
    }

    pub fn need(&self, name: &str) -> Result<&str, Failure> {
        self.value(name).ok_or_else(|| Failure::Usage(format!("Missing required argument \"[{name}]\"")))
    }

    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Failure> {
        let Some(text) = self.value(name) else { return Ok(None) };
        let bad = || Failure::Error(format!("Cannot parse argument '{text}' of option {name}"));
        text.trim().parse().map(Some).map_err(|_| bad())
    }

    /// Refuses flags that say nothing together with `with`.
    pub fn refuse_with(&self, with: &str, others: &[&str]) -> Result<(), Failure> {
        match others.iter().find(|other| self.has(with) && self.has(other)) {
            Some(other) => Err(Failure::Usage(format!("Option \"[{other}]\" can't be used with option \"[{with}]\""))),
            None => Ok(()),
        }
    }

    pub fn count(&self, names: &[&str]) -> usize {
        names.iter().filter(|name| self.has(name)).count()
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left: Vec<String> = self.flags.iter().map(Flag::heading).collect();
        let width = left.iter().map(String::len).max().unwrap_or(0).clamp(6, 40);
        writeln!(f, "{:width$}  Description", "Option")?;
        writeln!(f, "{:width$}  -----------", "------")?;
        for (flag, heading) in self.flags.iter().zip(left) {
            let mut heading = heading.as_str();
            if heading.len() > width {
                writeln!(f, "{heading}")?;
                heading = "";
            }
            for line in wrapped(flag.about, 78 - width) {
                writeln!(f, "{heading:width$}  {line}")?;
                heading = "";
            }
        }
        Ok(())
    }
}

impl Flag {
    fn heading(&self) -> String {
        let dashed = |name: &&str| if name.len() == 1 { format!("-{name}") } else { format!("--{name}") };
        let names: Vec<String> = self.names.iter().map(dashed).collect();
        match self.takes {
            Takes::Nothing => names.join(", "),
            Takes::Value(what) => format!("{} <{what}>", names.join(", ")),
            Takes::Maybe(what) => format!("{} [{what}]", names.join(", ")),
            Takes::Many(what) => format!("{} <{what}>...", names.join(", ")),
        }
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("one line at least");
        if !line.is_empty() && line.len() + 1 + word.len() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// What `--version` prints: the Kafka whose tools these do as.
pub const KAFKA_VERSION: &str = "4.3.1";

#[cfg(test)]
mod tests {
    use super::*;

    static FLAGS: &[Flag] = &[
        flag(&["topic"], Takes::Value("name"), "A topic."),
        flag(&["list"], Takes::Nothing, "List."),
        flag(&["state"], Takes::Maybe("state"), "A state."),
        flag(&["props"], Takes::Many("k=v"), "Properties."),
        flag(&["bootstrap-server", "b"], Takes::Value("host:port"), "Where."),
    ];

    fn parse(line: &str) -> Result<Flags, Failure> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Usage { about: "", flags: FLAGS }.parse(&words)
    }

    #[test]
    fn flags_come_in_all_spellings() {
        let flags = parse("--topic a --topic=b --list -b x:1 word --state --props k=v l=w --list").ok().unwrap();
        assert_eq!(flags.values("topic").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(flags.value("bootstrap-server"), Some("x:1"));
        assert_eq!(flags.values("props").collect::<Vec<_>>(), ["k=v", "l=w"]);
        assert!(flags.has("state") && flags.value("state").is_none());
        assert_eq!(flags.words, ["word"]);
        assert_eq!(parse("--state Stable").ok().unwrap().value("state"), Some("Stable"));
    }

    #[test]
    fn what_is_no_flag_is_named() {
        for (line, sentence) in
            [("--nope", "nope is not a recognized option"), ("--topic", "Option topic requires an argument")]
        {
            match parse(line) {
                Err(Failure::Usage(said)) => assert_eq!(said, sentence),
                _ => panic!("{line} was taken"),
            }
        }
    }

    #[test]
    fn the_usage_fits_a_terminal() {
        let usage = Usage { about: "", flags: FLAGS }.to_string();
        assert!(usage.lines().all(|line| line.len() <= 80), "{usage}");
    }
}
