//! The classic mistake, noticed: clients that bootstrap, are told an address they cannot reach, and never come back.
//!
//! Such a client asks for the brokers once (Java, which then only tries the address it was told, while its first connection
//! stays open) or over and over (librdkafka, kafka-python), and nothing else ever comes from its address. One that reaches the
//! advertised address asks for something else soon. So an address that has asked, for nothing else, and is still there some
//! seconds later is told of once, in a line that names the setting. This machine's own addresses are left out: health checks
//! look at the list of brokers and go.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};

use crate::types::Monotonic;

/// Clients that come back do so at once; connecting in vain takes Java 10 s.
const PATIENCE_MS: u64 = 15_000;
/// Whoever asked so often without staying connected is there, too.
const TIMES: u32 = 3;
/// Addresses that are remembered; with more, all are forgotten and learnt again.
const REMEMBERED: usize = 4_096;

#[derive(Default)]
pub struct Visitors {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seen: HashMap<IpAddr, Visitor>,
    /// Addresses of this machine.
    own: HashSet<IpAddr>,
}

enum Visitor {
    /// Has asked for the brokers, and for nothing else.
    Asking(Asking),
    /// Came back, or was told of.
    Settled,
}

struct Asking {
    since: Monotonic,
    listener: usize,
    times: u32,
    /// Connections that have asked and are open.
    open: u32,
}

impl Visitors {
    /// Addresses that lead to this machine.
    pub fn know_own(&self, addresses: impl IntoIterator<Item = IpAddr>) {
        self.lock().own.extend(addresses);
    }

    /// A client asked for the brokers; `first` on this connection.
    pub fn asked_for_brokers(&self, ip: IpAddr, listener: usize, first: bool, now: Monotonic) {
        let mut state = self.lock();
        if state.own.contains(&ip)
            || [IpAddr::from([127, 0, 0, 1]), IpAddr::from(std::net::Ipv6Addr::LOCALHOST)].contains(&ip)
        {
            return;
        }
        if state.seen.len() >= REMEMBERED {
            state.seen.clear();
        }
        let new = || Visitor::Asking(Asking { since: now, listener, times: 0, open: 0 });
        if let Visitor::Asking(asking) = state.seen.entry(ip).or_insert_with(new) {
            asking.times += 1;
            asking.open += u32::from(first);
        }
    }

    /// A connection that had asked for the brokers has ended.
    pub fn left(&self, ip: IpAddr) {
        if let Some(Visitor::Asking(asking)) = self.lock().seen.get_mut(&ip) {
            asking.open = asking.open.saturating_sub(1);
        }
    }

    /// A client asked for something that clients ask only a broker they were told of.
    pub fn came_back(&self, ip: IpAddr) {
        let mut state = self.lock();
        if state.seen.len() < REMEMBERED {
            state.seen.insert(ip, Visitor::Settled);
        }
    }

    /// Who asked in vain, and on which listener; each is named once.
    pub fn in_vain(&self, now: Monotonic) -> Vec<(IpAddr, usize)> {
        let mut found = Vec::new();
        for (ip, visitor) in &mut self.lock().seen {
            let Visitor::Asking(asking) = visitor else { continue };
            let is_there = asking.open > 0 || asking.times >= TIMES;
            if is_there && now.ms_since(asking.since) >= PATIENCE_MS {
                found.push((*ip, asking.listener));
                *visitor = Visitor::Settled;
            }
        }
        // The order of a hash must not reach the log.
        found.sort_unstable();
        found
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));
    const LATER: Monotonic = Monotonic(PATIENCE_MS);

    fn asked(ip: IpAddr) -> Visitors {
        let visitors = Visitors::default();
        visitors.asked_for_brokers(ip, 3, true, Monotonic(0));
        visitors
    }

    #[test]
    fn who_asks_stays_and_never_comes_back_is_told_of_once() {
        let visitors = asked(CLIENT);
        assert_eq!(visitors.in_vain(Monotonic(PATIENCE_MS - 1)), []);
        assert_eq!(visitors.in_vain(LATER), [(CLIENT, 3)]);
        visitors.asked_for_brokers(CLIENT, 3, false, LATER);
        assert_eq!(visitors.in_vain(Monotonic(10 * PATIENCE_MS)), []);
    }

    #[test]
    fn who_looks_once_and_goes_is_not() {
        let visitors = asked(CLIENT);
        visitors.left(CLIENT);
        assert_eq!(visitors.in_vain(LATER), []);
        for _ in 0..2 {
            visitors.asked_for_brokers(CLIENT, 3, true, LATER);
            visitors.left(CLIENT);
        }
        assert_eq!(visitors.in_vain(LATER), [(CLIENT, 3)], "but who does so again and again is");
    }

    #[test]
    fn nor_is_who_came_back() {
        let visitors = asked(CLIENT);
        visitors.came_back(CLIENT);
        visitors.asked_for_brokers(CLIENT, 3, true, LATER);
        assert_eq!(visitors.in_vain(Monotonic(10 * PATIENCE_MS)), []);
    }

    #[test]
    fn nor_is_this_machine() {
        assert_eq!(asked([127, 0, 0, 1].into()).in_vain(LATER), []);
        let visitors = Visitors::default();
        visitors.know_own([CLIENT]);
        visitors.asked_for_brokers(CLIENT, 0, true, Monotonic(0));
        assert_eq!(visitors.in_vain(LATER), []);
    }

    #[test]
    fn the_memory_is_bounded() {
        let visitors = Visitors::default();
        for n in 0..10_000_u32 {
            visitors.asked_for_brokers(IpAddr::V4(n.into()), 0, true, Monotonic(0));
        }
        assert!(visitors.lock().seen.len() <= REMEMBERED);
    }
}
