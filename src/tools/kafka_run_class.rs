//! `kafka-run-class`: a tool by the name of its Java class, for scripts that call it so. Flags for the JVM are passed over.

use super::flags::Usage;
use super::{Done, Failure, Output, Tool, named};

pub(super) const TOOL: Tool =
    Tool { name: "kafka-run-class", aliases: &[], about: "a tool by the name of its Java class", usage: || USAGE, run };

const USAGE: Usage =
    Usage { about: "kafka-run-class CLASS [arguments]: runs the tool that Kafka has under this class.", flags: &[] };

fn run(arguments: &[String], out: &mut Output) -> Done {
    let mut rest = arguments;
    while let [flag, after @ ..] = rest
        && flag.starts_with('-')
    {
        // Both of Kafka's own flags that come first and take a word name what the process is called, or where it logs.
        let takes_word = matches!(flag.as_str(), "-name" | "-cp" | "-classpath");
        rest = if takes_word { after.get(1..).unwrap_or_default() } else { after };
    }
    let [class, arguments @ ..] = rest else {
        return Err(Failure::Usage("kafka-run-class takes the name of a class".to_owned()));
    };
    // By its class only: `kafka-run-class kafka-topics` is a mistake in Kafka, too.
    let tool = named(class).filter(|tool| class.contains('.') && tool.name != TOOL.name);
    let tool = tool.ok_or_else(|| {
        Failure::Error(format!("{class} is no class of a tool that is here; milena tools lists them"))
    })?;
    (tool.run)(arguments, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_with(arguments: &[&str]) -> Done {
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        run(&arguments, &mut Output::new())
    }

    #[test]
    fn a_class_leads_to_its_tool() {
        assert!(run_with(&["kafka.tools.StorageTool", "random-uuid"]).is_ok());
        assert!(run_with(&["-name", "x", "-loggc", "kafka.tools.StorageTool", "random-uuid"]).is_ok());
        for wrong in [&["kafka.tools.NoSuchTool"][..], &["kafka-storage"], &[], &["-name"], &["kafka-run-class.sh"]] {
            assert!(run_with(wrong).is_err(), "{wrong:?}");
        }
    }
}
