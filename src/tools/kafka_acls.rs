//! `kafka-acls`: lists, adds and removes access rules.

use std::collections::BTreeMap;

use kafka_protocol::messages as m;
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::protocol::StrBytes;

use super::acl_rules::{Resource, Rule, operation_name, permission_name, resources, rules};
use super::flags::{Flag, Flags, Takes, Usage, flag};
use super::{Done, Failure, Output, Tool, target};
use crate::client::{Client, Error};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-acls",
    aliases: &["kafka.admin.AclCommand", "org.apache.kafka.tools.AclCommand"],
    about: "list, add and remove access rules",
    usage: || USAGE,
    run,
};

const USAGE: Usage = Usage { about: "This tool helps to manage acls on kafka.", flags: FLAGS };

static FLAGS: &[Flag] = &[
    flag(&["add"], Takes::Nothing, "Add rules."),
    flag(&["allow-host"], Takes::Value("address"), "Where the allowed may come from; * if not given."),
    flag(&["allow-principal"], Takes::Value("User:name"), "Who is allowed."),
    flag(&["authorizer"], Takes::Value("class"), "Older flag, without effect."),
    flag(&["authorizer-properties"], Takes::Value("name=value"), "Older flag, without effect."),
    flag(&["bootstrap-controller"], Takes::Value("host:port"), "A controller to begin with."),
    target::BOOTSTRAP_SERVER,
    flag(&["cluster"], Takes::Nothing, "The cluster."),
    target::COMMAND_CONFIG,
    flag(&["consumer"], Takes::Nothing, "All that a consumer of --topic in --group needs."),
    flag(&["delegation-token"], Takes::Value("id"), "A delegation token."),
    flag(&["deny-host"], Takes::Value("address"), "Where the denied may not come from; * if not given."),
    flag(&["deny-principal"], Takes::Value("User:name"), "Who is denied."),
    flag(&["force"], Takes::Nothing, "Do not ask before removing."),
    flag(&["group"], Takes::Value("id"), "A consumer group."),
    flag(&["idempotent"], Takes::Nothing, "With --producer: what an idempotent one needs on old brokers."),
    flag(&["list"], Takes::Nothing, "List rules."),
    flag(
        &["operation"],
        Takes::Value("operation"),
        "Read, Write, Create, Delete, Alter, Describe, All (the default) and so on.",
    ),
    flag(&["principal"], Takes::Value("User:name"), "With --list: only rules of this principal."),
    flag(&["producer"], Takes::Nothing, "All that a producer to --topic needs."),
    flag(&["remove"], Takes::Nothing, "Remove rules."),
    flag(
        &["resource-pattern-type"],
        Takes::Value("type"),
        "literal (the default) or prefixed; any and match to list or remove.",
    ),
    flag(&["topic"], Takes::Value("name"), "A topic."),
    flag(&["transactional-id"], Takes::Value("id"), "A transactional id."),
    flag(&["user-principal"], Takes::Value("User:name"), "A user."),
];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    if flags.count(&["list", "add", "remove"]) != 1 {
        return Err(Failure::Usage("Command must include exactly one action: --list, --add, --remove. ".to_owned()));
    }
    if flags.has("add") && flags.count(&["allow-principal", "deny-principal"]) == 0 {
        let sentence = "You must specify one of: --allow-principal, --deny-principal when trying to add ACLs.";
        return Err(Failure::Usage(sentence.to_owned()));
    }
    let asked = resources(&flags)?;
    let rules = rules(&flags, &asked)?;
    let mut client = target::connect(&flags, "milena-acls")?;
    let done = if flags.has("list") {
        list(&mut client, &flags, &asked, out)
    } else if flags.has("add") {
        add(&mut client, &rules, out)
    } else {
        remove(&mut client, &asked, &rules)
    };
    done.map_err(|error| {
        let class = error.java_class();
        out.line(format!("Error while executing ACL command: {class}: {error}"));
        // Kafka's tool goes on with a stack trace, and ends it with an empty line.
        out.line(format!("java.util.concurrent.ExecutionException: {class}: {error}\n"));
        Failure::Exit(1)
    })
}

fn add(client: &mut Client, rules: &[(Resource, Rule)], out: &mut Output) -> Result<(), Error> {
    let creation = |(resource, rule): &(Resource, Rule)| {
        AclCreation::default()
            .with_resource_type(resource.kind)
            .with_resource_name(text(&resource.name))
            .with_resource_pattern_type(resource.pattern)
            .with_principal(text(&rule.principal))
            .with_host(text(&rule.host))
            .with_operation(rule.operation)
            .with_permission_type(rule.permission)
    };
    let known = all(client, &Resource::any())?;
    let (old, new): (Vec<_>, Vec<_>) = rules.iter().cloned().partition(|rule| known.contains(rule));
    for (resource, rule) in &old {
        out.line(format!("Acl (pattern={resource}, entry={rule}) already exists."));
    }
    let mut by_resource: BTreeMap<Resource, Vec<Rule>> = BTreeMap::new();
    for (resource, rule) in &new {
        by_resource.entry(resource.clone()).or_default().push(rule.clone());
    }
    for (resource, rules) in &by_resource {
        let lines: Vec<String> = rules.iter().map(|rule| format!("\t{rule}")).collect();
        out.line(format!("Adding ACLs for resource `{resource}`: \n {}\n", lines.join("\n")));
    }
    if new.is_empty() {
        return Ok(());
    }
    let request = m::CreateAclsRequest::default().with_creations(new.iter().map(creation).collect());
    let answer = client.ask_controller(&request, 3)?;
    answer.results.iter().try_for_each(|result| Error::check(result.error_code, result.error_message.as_deref()))
}

fn list(client: &mut Client, flags: &Flags, asked: &[Resource], out: &mut Output) -> Result<(), Error> {
    let any = [Resource::any()];
    let asked = if asked.is_empty() { &any[..] } else { asked };
    let found = asked.iter().map(|resource| all(client, resource)).collect::<Result<Vec<_>, Error>>()?;
    let found: Vec<(Resource, Rule)> = found.into_iter().flatten().collect();
    let principals: Vec<&str> = flags.values("principal").collect();
    if principals.is_empty() {
        print(&found, |_| true, out);
    }
    for principal in principals {
        out.line(format!("ACLs for principal `{principal}`"));
        print(&found, |rule| rule.principal == principal, out);
    }
    Ok(())
}

fn print(found: &[(Resource, Rule)], wanted: impl Fn(&Rule) -> bool, out: &mut Output) {
    let mut by_resource: BTreeMap<&Resource, Vec<String>> = BTreeMap::new();
    for (resource, rule) in found.iter().filter(|(_, rule)| wanted(rule)) {
        by_resource.entry(resource).or_default().push(format!("\t{rule}"));
    }
    for (resource, lines) in by_resource {
        out.line(format!("Current ACLs for resource `{resource}`:\n{}\n", lines.join("\n")));
    }
}

/// Every rule on what a resource filter matches.
fn all(client: &mut Client, resource: &Resource) -> Result<Vec<(Resource, Rule)>, Error> {
    let request = m::DescribeAclsRequest::default()
        .with_resource_type_filter(resource.kind)
        .with_resource_name_filter((!resource.name.is_empty()).then(|| text(&resource.name)))
        .with_pattern_type_filter(resource.pattern)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(ANY)
        .with_permission_type(ANY);
    let answer = client.ask_any_up_to(&request, 3)?;
    Error::check(answer.error_code, answer.error_message.as_deref())?;
    let mut rules = Vec::new();
    for found in answer.resources {
        let resource =
            Resource { kind: found.resource_type, name: found.resource_name.to_string(), pattern: found.pattern_type };
        let rule = |acl: &m::describe_acls_response::AclDescription| Rule {
            principal: acl.principal.to_string(),
            host: acl.host.to_string(),
            operation: acl.operation,
            permission: acl.permission_type,
        };
        rules.extend(found.acls.iter().map(|acl| (resource.clone(), rule(acl))));
    }
    Ok(rules)
}

/// Removes rules, or all rules on the resources where none are named.
fn remove(client: &mut Client, asked: &[Resource], rules: &[(Resource, Rule)]) -> Result<(), Error> {
    let on = |resource: &Resource| {
        DeleteAclsFilter::default()
            .with_resource_type_filter(resource.kind)
            .with_resource_name_filter((!resource.name.is_empty()).then(|| text(&resource.name)))
            .with_pattern_type_filter(resource.pattern)
            .with_principal_filter(None)
            .with_host_filter(None)
            .with_operation(ANY)
            .with_permission_type(ANY)
    };
    let exactly = |(resource, rule): &(Resource, Rule)| {
        on(resource)
            .with_principal_filter(Some(text(&rule.principal)))
            .with_host_filter(Some(text(&rule.host)))
            .with_operation(rule.operation)
            .with_permission_type(rule.permission)
    };
    let filters = if rules.is_empty() { asked.iter().map(on).collect() } else { rules.iter().map(exactly).collect() };
    let request = m::DeleteAclsRequest::default().with_filters(filters);
    let answer = client.ask_controller(&request, 3)?;
    answer.filter_results.iter().try_for_each(|result| Error::check(result.error_code, result.error_message.as_deref()))
}

/// `AclOperation.ANY` and `AclPermissionType.ANY`.
const ANY: i8 = 1;

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (operation, permission) = (operation_name(self.operation), permission_name(self.permission));
        let Rule { principal, host, .. } = self;
        write!(f, "(principal={principal}, host={host}, operation={operation}, permissionType={permission})")
    }
}
