//! What a power cut costs: the same cuts on ext4, under the same load of plain producers with acks=all, of Apache Kafka with its
//! defaults and of this broker in each durability. What was acknowledged and is gone is counted; only where answers wait for the
//! flush must it be nothing.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::Orders;
use crate::broker::Kind;
use crate::image::own_mounts;
use crate::kills::{Trial, run as run_trial};

/// Then a new file system: after a cut that a broker does not start from it is over with that one.
const CUTS_OF_AN_IMAGE: u64 = 10;

#[derive(Default)]
struct Totals {
    cuts: u64,
    images: u64,
    acked_records: u64,
    lost: u64,
    duplicated: u64,
    changed: u64,
    /// Images whose broker did not come back, and what had been acknowledged there.
    not_served_again: u64,
    out_of_reach: u64,
    is_sound: bool,
    findings: Vec<Value>,
}

pub fn run(orders: &Orders, whom: &'static str) -> Value {
    let kind = match whom {
        "kafka" => Kind::Kafka { script: PathBuf::from("scripts/kafka-peer.sh") },
        durability => Kind::Milena { binary: orders.binary.clone(), durability },
    };
    let mut totals = Totals { is_sound: true, ..Totals::default() };
    let error = own_mounts().err();
    while error.is_none() && totals.cuts < orders.count && totals.images < orders.count {
        let count = CUTS_OF_AN_IMAGE.min(orders.count - totals.cuts);
        let seed = orders.seed + totals.images;
        let trial = Trial { kind: kind.clone(), file_system: Some("ext4"), counts_losses: true, count, seed };
        totals.add(&run_trial(&trial));
        println!("loss-{whom}: {} cuts, {} of {} lost", totals.cuts, totals.lost, totals.acked_records);
    }
    let is_kept = whom != "flush" || (totals.is_sound && totals.lost == 0);
    let is_ok = error.is_none() && is_kept && totals.cuts >= orders.count && totals.acked_records > totals.out_of_reach;
    json!({
        "tier": format!("loss-{whom}"), "unit": "power cuts", "seed": orders.seed, "count": totals.cuts,
        "result": if is_ok { "ok" } else { "failed" }, "figures": totals.figures(error),
    })
}

impl Totals {
    fn add(&mut self, result: &Value) {
        let figures = &result["figures"];
        let get = |name: &str| figures[name].as_u64().unwrap_or(0);
        self.images += 1;
        self.cuts += result["count"].as_u64().unwrap_or(0);
        self.acked_records += get("acked_records");
        self.lost += get("lost");
        self.duplicated += get("duplicated");
        self.changed += get("changed");
        self.is_sound &= result["result"] == "ok";
        if get("judged_records") == 0 {
            self.not_served_again += 1;
            self.out_of_reach += get("acked_records");
        }
        self.findings.extend(figures["findings"].as_array().into_iter().flatten().take(2).cloned());
    }

    fn figures(&self, error: Option<String>) -> Value {
        json!({
            "acked_records": self.acked_records, "lost": self.lost,
            "lost_percent": 100.0 * self.lost as f64 / self.acked_records.max(1) as f64,
            "lost_of_a_cut": self.lost as f64 / self.cuts.max(1) as f64,
            "duplicated": self.duplicated, "changed": self.changed, "images": self.images,
            "not_served_again": self.not_served_again, "records_out_of_reach_there": self.out_of_reach,
            "findings": self.findings.iter().take(6).collect::<Vec<_>>(), "error": error,
        })
    }
}
