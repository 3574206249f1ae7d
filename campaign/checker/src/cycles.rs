//! Cycles among transactions: who read from whom, and on request who wrote behind whom.

use crate::anomaly::{Class, Report, Rules};
use crate::history::{Function, History, Key};
use crate::order::Order;

pub fn check(history: &History, order: &Order, rules: &Rules, report: &mut Report) {
    let mut graph = Graph::new(history);
    graph.draw_reads(history, order);
    if rules.write_order {
        let mut writes = Graph::new(history);
        writes.draw_writes(order);
        for cycle in writes.cycles() {
            report.add(Class::G0, rules.allow(Class::G0), || story(&cycle));
        }
        graph.draw_writes(order);
    }
    for cycle in graph.cycles() {
        report.add(Class::G1c, rules.allow(Class::G1c), || story(&cycle));
    }
}

fn story(cycle: &[u32]) -> String {
    let shown: Vec<String> = cycle.iter().take(8).map(u32::to_string).collect();
    format!("{} transactions depend on each other in a circle: operations {}", cycle.len(), shown.join(", "))
}

/// Edges between transactions, by number.
struct Graph {
    /// The number of an operation that is a transaction.
    numbers: Vec<u32>,
    operations: Vec<u32>,
    edges: Vec<(u32, u32)>,
}

const NONE: u32 = u32::MAX;

impl Graph {
    fn new(history: &History) -> Graph {
        let mut graph =
            Graph { numbers: vec![NONE; history.operation_count()], operations: Vec::new(), edges: Vec::new() };
        for (operation, row) in history.operations() {
            if row.function == Function::Txn {
                graph.numbers[operation as usize] = graph.operations.len() as u32;
                graph.operations.push(operation);
            }
        }
        graph
    }

    fn edge(&mut self, from: u32, to: u32) {
        let (from, to) = (self.numbers[from as usize], self.numbers[to as usize]);
        if from != NONE && to != NONE && from != to {
            self.edges.push((from, to));
        }
    }

    fn draw_reads(&mut self, history: &History, order: &Order) {
        if self.operations.is_empty() {
            return;
        }
        for (reader, event) in history.events().filter(|(_, event)| event.is_poll) {
            if let Some(writer) = order.writer(event.value) {
                self.edge(writer, reader);
            }
        }
    }

    fn draw_writes(&mut self, order: &Order) {
        for key in 0..order.logs.len() as Key {
            let writers: Vec<u32> = order.log(key).filter_map(|(_, _, writer, _)| writer).collect();
            writers.windows(2).for_each(|pair| self.edge(pair[0], pair[1]));
        }
    }

    /// Strongly connected components of more than one transaction (Tarjan's algorithm, without recursion).
    fn cycles(&mut self) -> Vec<Vec<u32>> {
        self.edges.sort_unstable();
        self.edges.dedup();
        let count = self.operations.len();
        let mut search = Search {
            starts: (0..=count as u32).map(|node| self.edges.partition_point(|edge| edge.0 < node)).collect(),
            edges: &self.edges,
            index: vec![NONE; count],
            low: vec![0; count],
            is_open: vec![false; count],
            open: Vec::new(),
            next: 0,
            found: Vec::new(),
        };
        for node in 0..count as u32 {
            if search.index[node as usize] == NONE {
                search.from(node);
            }
        }
        let operations =
            |component: Vec<u32>| component.into_iter().map(|node| self.operations[node as usize]).collect();
        search.found.into_iter().map(operations).collect()
    }
}

struct Search<'a> {
    starts: Vec<usize>,
    edges: &'a [(u32, u32)],
    index: Vec<u32>,
    low: Vec<u32>,
    is_open: Vec<bool>,
    open: Vec<u32>,
    next: u32,
    found: Vec<Vec<u32>>,
}

impl Search<'_> {
    fn from(&mut self, root: u32) {
        let mut path = vec![(root, self.enter(root))];
        while let Some((node, at)) = path.last_mut() {
            let node = *node;
            if *at < self.starts[node as usize + 1] {
                let target = self.edges[*at].1;
                *at += 1;
                if self.index[target as usize] == NONE {
                    let first = self.enter(target);
                    path.push((target, first));
                } else if self.is_open[target as usize] {
                    self.low[node as usize] = self.low[node as usize].min(self.index[target as usize]);
                }
                continue;
            }
            path.pop();
            if let Some((parent, _)) = path.last() {
                self.low[*parent as usize] = self.low[*parent as usize].min(self.low[node as usize]);
            }
            self.leave(node);
        }
    }

    fn enter(&mut self, node: u32) -> usize {
        (self.index[node as usize], self.low[node as usize]) = (self.next, self.next);
        self.next += 1;
        self.open.push(node);
        self.is_open[node as usize] = true;
        self.starts[node as usize]
    }

    fn leave(&mut self, node: u32) {
        if self.low[node as usize] != self.index[node as usize] {
            return;
        }
        let mut component = Vec::new();
        while let Some(member) = self.open.pop() {
            self.is_open[member as usize] = false;
            component.push(member);
            if member == node {
                break;
            }
        }
        if component.len() > 1 {
            component.sort_unstable();
            self.found.push(component);
        }
    }
}
