//! Milena: a broker that speaks Kafka's protocol. ARCHITECTURE.md is the map.
#![deny(unsafe_code)]

pub mod api;
pub mod broker;
pub mod net;
pub mod state;
pub mod storage;

pub mod client;
pub mod clock;
pub mod config;
pub mod error_code;
pub mod file;
pub mod house;
pub mod memory;
pub mod metrics;
pub mod record;
pub mod seldom;
pub mod tools;
pub mod types;
pub mod wire;
#[path = "testing/zoo.rs"]
pub mod zoo;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
