//! wurstmeister's commands: a shell command in `HOSTNAME_COMMAND` and its like, whose output stands wherever a `KAFKA_*`
//! variable says `_{HOSTNAME_COMMAND}`. Run in an image only, where the environment is written for that image.
//!
//! Some ask the Docker daemon, which is not there: then the machine's own name stands in, or the listener's own port.

use std::process::{Command, Stdio};

use super::environment::DIALECT;

/// Commands that fill a place, with what stands in when they say nothing.
const PLACES: [(&str, &str); 4] =
    [("HOSTNAME_COMMAND", ""), ("PORT_COMMAND", "0"), ("BROKER_ID_COMMAND", ""), ("RACK_COMMAND", "")];
/// Commands whose output is the value of a variable.
const VALUES: [(&str, &str); 4] = [
    ("BROKER_ID_COMMAND", "KAFKA_BROKER_ID"),
    ("RACK_COMMAND", "KAFKA_BROKER_RACK"),
    ("KAFKA_NODE_ID_COMMAND", "KAFKA_NODE_ID"),
    ("KAFKA_BROKER_ID_COMMAND", "KAFKA_BROKER_ID"),
];

/// The environment with every command carried out, and what there is to say of it.
pub fn carry_out(mut variables: Vec<(String, String)>, host_name: &str) -> (Vec<(String, String)>, Vec<String>) {
    let mut remarks = Vec::new();
    if !variables.iter().any(|(name, _)| name == DIALECT) {
        return (variables, remarks);
    }
    let value = |variables: &[(String, String)], name: &str| {
        variables.iter().find(|(other, value)| other == name && !value.is_empty()).map(|(_, value)| value.clone())
    };
    for (name, otherwise) in PLACES {
        let Some(command) = value(&variables, name) else { continue };
        let place = format!("_{{{name}}}");
        let is_wanted = |(other, value): &(String, String)| other.starts_with("KAFKA_") && value.contains(&place);
        if !variables.iter().any(is_wanted) {
            continue;
        }
        let output = output_of(&command).unwrap_or_else(|| {
            let otherwise = if name == "HOSTNAME_COMMAND" { host_name } else { otherwise };
            remarks.push(format!("{name} said nothing here, so `{otherwise}` stands in for it"));
            otherwise.to_string()
        });
        for variable in variables.iter_mut().filter(|variable| is_wanted(variable)) {
            variable.1 = variable.1.replace(&place, &output);
        }
    }
    for (name, variable) in VALUES {
        let Some(command) = value(&variables, name).filter(|_| value(&variables, variable).is_none()) else { continue };
        match output_of(&command) {
            Some(output) => variables.push((variable.to_string(), output)),
            None => remarks.push(format!("{name} said nothing here, so {variable} is not set")),
        }
    }
    (variables, remarks)
}

/// What a shell prints for a command, trimmed; `None` if that is nothing, or the command failed.
fn output_of(command: &str) -> Option<String> {
    let output = Command::new("sh").args(["-c", command]).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_string();
    (output.status.success() && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried_out(variables: &[(&str, &str)]) -> (Vec<(String, String)>, Vec<String>) {
        let all = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        carry_out(all, "box")
    }

    fn value<'a>(variables: &'a [(String, String)], name: &str) -> Option<&'a str> {
        variables.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_place_is_filled_by_its_command() {
        let (variables, remarks) = carried_out(&[
            (DIALECT, "auto"),
            ("HOSTNAME_COMMAND", "echo ' here '"),
            ("PORT_COMMAND", "exit 1"),
            ("RACK_COMMAND", "echo r1"),
            ("KAFKA_ADVERTISED_LISTENERS", "A://_{HOSTNAME_COMMAND}:_{PORT_COMMAND}"),
        ]);
        assert_eq!(value(&variables, "KAFKA_ADVERTISED_LISTENERS"), Some("A://here:0"));
        assert_eq!(value(&variables, "KAFKA_BROKER_RACK"), Some("r1"));
        assert_eq!(remarks, ["PORT_COMMAND said nothing here, so `0` stands in for it"]);
    }

    #[test]
    fn a_daemon_that_is_not_there_leaves_this_machines_name() {
        let (variables, remarks) = carried_out(&[
            (DIALECT, "auto"),
            ("HOSTNAME_COMMAND", "no-such-command info | grep ^Name:"),
            ("KAFKA_ADVERTISED_HOST_NAME", "_{HOSTNAME_COMMAND}"),
        ]);
        assert_eq!(value(&variables, "KAFKA_ADVERTISED_HOST_NAME"), Some("box"));
        assert_eq!(remarks.len(), 1);
    }

    #[test]
    fn outside_of_an_image_nothing_is_run() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let command = format!("rm {}; echo 7", file.path().display());
        let (variables, _) = carried_out(&[("BROKER_ID_COMMAND", &command)]);
        assert!(file.path().exists());
        assert_eq!(value(&variables, "KAFKA_BROKER_ID"), None);
    }
}
