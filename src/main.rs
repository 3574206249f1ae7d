//! Reads flags and settings, starts the broker, waits for a signal, stops it in order.

fn main() {}
