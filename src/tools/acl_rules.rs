//! Access rules as `kafka-acls` names them: resources, operations, and the bundles that a producer or a consumer needs.

use std::fmt;

use super::Failure;
use super::flags::Flags;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// `ResourceType`: 1 any, 2 topic, 3 group, 4 cluster, 5 transactional id, 6 delegation token, 7 user.
    pub kind: i8,
    /// Empty in a filter: any name.
    pub name: String,
    /// `PatternType`: 1 any, 2 match, 3 literal, 4 prefixed.
    pub pattern: i8,
}

impl Resource {
    pub fn any() -> Resource {
        Resource { kind: 1, name: String::new(), pattern: 1 }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = ["UNKNOWN", "ANY", "TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER"];
        let pattern = ["UNKNOWN", "ANY", "MATCH", "LITERAL", "PREFIXED"];
        let named =
            |names: &[&'static str], id: i8| names.get(usize::try_from(id).unwrap_or(0)).copied().unwrap_or("UNKNOWN");
        let (kind, pattern) = (named(&kind, self.kind), named(&pattern, self.pattern));
        write!(f, "ResourcePattern(resourceType={kind}, name={}, patternType={pattern})", self.name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub principal: String,
    pub host: String,
    pub operation: i8,
    /// `AclPermissionType`: 2 deny, 3 allow.
    pub permission: i8,
}

/// `AclOperation` in the order of its numbers.
const OPERATIONS: &[&str] = &[
    "UNKNOWN",
    "ANY",
    "ALL",
    "READ",
    "WRITE",
    "CREATE",
    "DELETE",
    "ALTER",
    "DESCRIBE",
    "CLUSTER_ACTION",
    "DESCRIBE_CONFIGS",
    "ALTER_CONFIGS",
    "IDEMPOTENT_WRITE",
    "CREATE_TOKENS",
    "DESCRIBE_TOKENS",
    "TWO_PHASE_COMMIT",
];

pub fn operation_name(id: i8) -> &'static str {
    OPERATIONS.get(usize::try_from(id).unwrap_or(0)).copied().unwrap_or("UNKNOWN")
}

pub fn permission_name(id: i8) -> &'static str {
    if id == 2 { "DENY" } else { "ALLOW" }
}

/// `IdempotentWrite`, `IDEMPOTENT_WRITE`.
fn operation(text: &str) -> Result<i8, Failure> {
    let plain = |word: &str| word.replace('_', "").to_ascii_uppercase();
    let at = OPERATIONS.iter().position(|known| plain(known) == plain(text) && !matches!(*known, "UNKNOWN" | "ANY"));
    at.and_then(|at| i8::try_from(at).ok()).ok_or_else(|| Failure::Usage(format!("{text} is not a valid operation.")))
}

/// The resources that the flags name, in the flags' order.
pub fn resources(flags: &Flags) -> Result<Vec<Resource>, Failure> {
    let pattern = match flags.value("resource-pattern-type").map(str::to_ascii_lowercase).as_deref() {
        None | Some("literal") => 3,
        Some("prefixed") => 4,
        Some("match") => 2,
        Some("any") => 1,
        Some(other) => return Err(Failure::Usage(format!("Unknown resource-pattern-type: {other}"))),
    };
    let mut resources = Vec::new();
    for (flag, kind) in
        [("topic", 2), ("group", 3), ("transactional-id", 5), ("delegation-token", 6), ("user-principal", 7)]
    {
        let named = |name: &str| Resource { kind, name: name.trim().to_owned(), pattern };
        resources.extend(flags.values(flag).map(named));
    }
    if flags.has("cluster") || flags.has("idempotent") {
        resources.push(Resource { kind: 4, name: "kafka-cluster".to_owned(), pattern: 3 });
    }
    if resources.is_empty() && !flags.has("list") {
        return Err(Failure::Usage(
            "You must provide at least one resource: --topic <topic> or --cluster or --group <group> or --delegation-token <Delegation Token ID>".to_owned(),
        ));
    }
    Ok(resources)
}

/// What is to be added or removed.
pub fn rules(flags: &Flags, resources: &[Resource]) -> Result<Vec<(Resource, Rule)>, Failure> {
    let mut rules = Vec::new();
    for resource in resources {
        for operation in operations(flags, resource)? {
            for (principal, host, permission) in parties(flags) {
                let rule = Rule { principal: principal.to_owned(), host: host.to_owned(), operation, permission };
                rules.push((resource.clone(), rule));
            }
        }
    }
    Ok(rules)
}

fn operations(flags: &Flags, resource: &Resource) -> Result<Vec<i8>, Failure> {
    const READ: i8 = 3;
    const WRITE: i8 = 4;
    const CREATE: i8 = 5;
    const DESCRIBE: i8 = 8;
    const IDEMPOTENT_WRITE: i8 = 12;
    if flags.count(&["producer", "consumer"]) == 0 {
        let named: Vec<i8> = flags.values("operation").map(operation).collect::<Result<_, _>>()?;
        return Ok(if named.is_empty() { vec![2] } else { named });
    }
    let mut operations = Vec::new();
    if flags.has("producer") {
        match resource.kind {
            2 => operations.extend([DESCRIBE, CREATE, WRITE]),
            4 => operations.push(IDEMPOTENT_WRITE),
            5 => operations.extend([DESCRIBE, WRITE]),
            _ => {}
        }
    }
    if flags.has("consumer") {
        match resource.kind {
            2 => operations.extend([DESCRIBE, READ]),
            3 => operations.push(READ),
            _ => {}
        }
    }
    let mut once = Vec::new();
    operations.into_iter().for_each(|operation| {
        if !once.contains(&operation) {
            once.push(operation);
        }
    });
    Ok(once)
}

/// Who, from where, and whether allowed.
fn parties(flags: &Flags) -> Vec<(&str, &str, i8)> {
    let mut parties = Vec::new();
    for (principals, hosts, permission) in [("allow-principal", "allow-host", 3), ("deny-principal", "deny-host", 2)] {
        let hosts: Vec<&str> = flags.values(hosts).collect();
        let hosts = if hosts.is_empty() { vec!["*"] } else { hosts };
        for principal in flags.values(principals) {
            parties.extend(hosts.iter().map(|host| (principal, *host, permission)));
        }
    }
    parties
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_taken_in_both_spellings() {
        assert_eq!(operation("Read").ok(), Some(3));
        assert_eq!(operation("IdempotentWrite").ok(), operation("IDEMPOTENT_WRITE").ok());
        assert!(operation("Nonsense").is_err() && operation("Any").is_err());
    }
}
