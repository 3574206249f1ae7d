//! A frame from a stranger: header, walk, decode.
#![no_main]

use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, RequestKind};
use libfuzzer_sys::fuzz_target;
use milena::net::schema::{self, Limits};

fuzz_target!(|frame: &[u8]| {
    let Ok(header) = schema::read_header(frame) else { return };
    assert!(header.body_offset <= frame.len());
    let body = &frame[header.body_offset..];
    let Ok(end) = schema::check(header.api_key, header.version, body, &Limits::default()) else { return };
    // The table also has APIs and versions that the decoder lacks; those never reach it.
    let Ok(key) = ApiKey::try_from(header.api_key) else { return };
    let mut bytes = Bytes::copy_from_slice(&body[..end]);
    if RequestKind::decode(key, &mut bytes, header.version).is_ok() {
        assert!(bytes.is_empty(), "the decoder stopped elsewhere than the walk");
    }
});
