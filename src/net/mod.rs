//! CARRIES bytes: frames and headers, no API by name.

pub mod schema;
