//! Topics to be made at the start, as compose files name them: `name:partitions:replicas:cleanup.policy`, separated by
//! commas; all but the name may be missing. The form is that of wurstmeister's `KAFKA_CREATE_TOPICS`, which Debezium's
//! `CREATE_TOPICS` shares.

/// A topic that shall be there once the broker runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartingTopic {
    pub name: String,
    /// -1: as many as `num.partitions` says.
    pub partitions: i32,
    /// -1: as many as `default.replication.factor` says. Never more than there are brokers.
    pub replication_factor: i16,
    pub cleanup_policy: Option<String>,
}

/// Reads the list; the error says which part is not understood.
pub fn parse(text: &str) -> Result<Vec<StartingTopic>, String> {
    text.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty()).map(parse_one).collect()
}

fn parse_one(text: &str) -> Result<StartingTopic, String> {
    let wrong = |what: &str| format!("`{text}` {what}; a topic is written name:partitions:replicas:cleanup.policy");
    let mut parts = text.split(':').map(str::trim);
    let name = parts.next().unwrap_or_default();
    crate::types::TopicName::check(name).map_err(|why| wrong(&format!("names no topic ({why})")))?;
    let partitions = count(parts.next()).ok_or_else(|| wrong("has no number of partitions"))?;
    let replicas = count(parts.next()).ok_or_else(|| wrong("has no number of replicas"))?;
    let policy = parts.next().filter(|policy| !policy.is_empty());
    if policy.is_some_and(|policy| !matches!(policy, "compact" | "delete")) {
        return Err(wrong("has a cleanup.policy other than compact and delete"));
    }
    Ok(StartingTopic {
        name: name.into(),
        partitions,
        replication_factor: i16::try_from(replicas).unwrap_or(i16::MAX),
        cleanup_policy: policy.map(str::to_string),
    })
}

fn count(part: Option<&str>) -> Option<i32> {
    match part {
        None | Some("") => Some(-1),
        Some(digits) => digits.parse().ok().filter(|count| *count >= 1 || *count == -1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str, partitions: i32, replication_factor: i16, policy: Option<&str>) -> StartingTopic {
        StartingTopic { name: name.into(), partitions, replication_factor, cleanup_policy: policy.map(str::to_string) }
    }

    #[test]
    fn a_topic_is_a_name_and_what_else_is_said() {
        assert_eq!(
            parse("signups:3:1, mails:1:1,profiles:2:1:compact,\n plain ,half:4,").unwrap(),
            [
                topic("signups", 3, 1, None),
                topic("mails", 1, 1, None),
                topic("profiles", 2, 1, Some("compact")),
                topic("plain", -1, -1, None),
                topic("half", 4, -1, None),
            ]
        );
        assert_eq!(parse(""), Ok(vec![]));
    }

    #[test]
    fn what_is_no_topic_is_told_apart() {
        for (text, reason) in [
            ("a b:1", "names no topic"),
            ("a:x", "has no number of partitions"),
            ("a:0", "has no number of partitions"),
            ("a:1:x", "has no number of replicas"),
            ("a:1:1:rm -rf", "has a cleanup.policy other than"),
        ] {
            assert!(parse(text).unwrap_err().contains(reason), "{text}: {:?}", parse(text));
        }
    }
}
