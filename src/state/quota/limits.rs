//! Which quota holds for a client: the most specific one that there is, in Kafka's order.
//!
//! ```text
//! 1 this user, this client id    4 any user, this client id    7 this client id
//! 2 this user, any client id     5 any user, any client id     8 any client id
//! 3 this user                    6 any user
//! ```
//! Who shares a quota goes with the place it was found in: a quota with a client id in it, by name or by default, is shared by
//! the connections of that client id (of that user); one of a user alone by all connections of the user. "Any" is the default
//! of those that have none of their own, and each of them has it for itself. A client that says no id has no client id's
//! quota.

use std::collections::BTreeMap;

use crate::state::metadata::{EntityName, Image, QuotaEntity};

/// Who shares one quota; empty is everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    pub user: String,
    pub client_id: String,
}

/// The limits of one key, `producer_byte_rate` for one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    users: BTreeMap<String, Clients>,
    any_user: Clients,
    no_user: Clients,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Clients {
    named: BTreeMap<String, f64>,
    any: Option<f64>,
    none: Option<f64>,
}

impl Limits {
    pub fn of(image: &Image, key: &str) -> Limits {
        let mut limits = Limits::default();
        for (entity, quotas) in image.quotas().iter().filter(|(entity, _)| entity.ip.is_none()) {
            if let Some(value) = quotas.get(key) {
                limits.set(entity, value.0);
            }
        }
        limits
    }

    /// The limits of addresses; each stands where that of a client id would, under the name that `canonical` gives it.
    pub fn of_addresses(image: &Image, key: &str, canonical: impl Fn(&str) -> Option<String>) -> Limits {
        let mut limits = Limits::default();
        for (entity, quotas) in image.quotas().iter() {
            let (Some(ip), Some(value)) = (&entity.ip, quotas.get(key)) else { continue };
            match ip {
                EntityName::Default => limits.no_user.any = Some(value.0),
                EntityName::Named(name) => _ = canonical(name).map(|name| limits.no_user.named.insert(name, value.0)),
            }
        }
        limits
    }

    fn set(&mut self, entity: &QuotaEntity, value: f64) {
        let clients = match &entity.user {
            Some(EntityName::Named(user)) => self.users.entry(user.clone()).or_default(),
            Some(EntityName::Default) => &mut self.any_user,
            None => &mut self.no_user,
        };
        match &entity.client_id {
            Some(EntityName::Named(client_id)) => _ = clients.named.insert(client_id.clone(), value),
            Some(EntityName::Default) => clients.any = Some(value),
            None => clients.none = Some(value),
        }
    }

    pub fn is_empty(&self) -> bool {
        *self == Limits::default()
    }

    /// The limit that holds, and who shares it.
    pub fn find(&self, user: &str, client_id: &str) -> Option<(f64, Group)> {
        let group = |user: &str, client_id: &str| Group { user: user.to_owned(), client_id: client_id.to_owned() };
        for clients in self.users.get(user).into_iter().chain([&self.any_user]) {
            if let Some(limit) = clients.of(client_id) {
                return Some((limit, group(user, client_id)));
            }
            if let Some(limit) = clients.none {
                return Some((limit, group(user, "")));
            }
        }
        self.no_user.of(client_id).map(|limit| (limit, group("", client_id)))
    }
}

impl Clients {
    fn of(&self, client_id: &str) -> Option<f64> {
        if client_id.is_empty() {
            return None;
        }
        self.named.get(client_id).copied().or(self.any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Option<EntityName> {
        match text {
            "-" => None,
            "*" => Some(EntityName::Default),
            name => Some(EntityName::Named(name.to_owned())),
        }
    }

    fn limits(set: &[(&str, &str, f64)]) -> Limits {
        let mut limits = Limits::default();
        for (user, client_id, value) in set {
            limits.set(&QuotaEntity { user: name(user), client_id: name(client_id), ip: None }, *value);
        }
        limits
    }

    fn found(limits: &Limits, user: &str, client_id: &str) -> Option<(f64, String)> {
        limits.find(user, client_id).map(|(limit, group)| (limit, format!("{}/{}", group.user, group.client_id)))
    }

    /// Each quota in Kafka's order hides all behind it; who shares it is written after the colon.
    #[test]
    fn the_most_specific_quota_wins_in_kafkas_order() {
        let all = [
            ("u", "c", "u/c"),
            ("u", "*", "u/c"),
            ("u", "-", "u/"),
            ("*", "c", "u/c"),
            ("*", "*", "u/c"),
            ("*", "-", "u/"),
            ("-", "c", "/c"),
            ("-", "*", "/c"),
        ];
        for first in 0..all.len() {
            let set: Vec<_> = (first..all.len()).map(|at| (all[at].0, all[at].1, at as f64)).collect();
            assert_eq!(found(&limits(&set), "u", "c"), Some((first as f64, all[first].2.to_owned())));
        }
        assert!(limits(&[]).is_empty() && !limits(&[all[0]].map(|(user, client, _)| (user, client, 1.0))).is_empty());
    }

    #[test]
    fn others_are_not_meant() {
        let limits = limits(&[("u", "c", 1.0), ("v", "-", 2.0), ("-", "d", 3.0)]);
        assert_eq!(found(&limits, "u", "other"), None);
        assert_eq!(found(&limits, "other", "c"), None);
        assert_eq!(found(&limits, "v", "d"), Some((2.0, "v/".to_owned())));
        assert_eq!(found(&limits, "u", "d"), Some((3.0, "/d".to_owned())));
    }

    #[test]
    fn who_says_no_client_id_has_only_a_users_quota() {
        let limits = limits(&[("u", "*", 1.0), ("*", "-", 2.0), ("-", "*", 3.0)]);
        assert_eq!(found(&limits, "u", ""), Some((2.0, "u/".to_owned())));
        assert_eq!(found(&self::limits(&[("-", "*", 3.0)]), "u", ""), None);
    }
}
