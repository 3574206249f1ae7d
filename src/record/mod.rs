//! The record batch, the currency of Kafka. Only here does anyone know a byte position inside a batch.
