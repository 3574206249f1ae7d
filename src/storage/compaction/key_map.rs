//! The newest offset of every key in the dirty part of a log, in bounded memory.
//!
//! ```text
//! slot | 16 bytes of hash | 8 bytes of offset |        open addressing, at most nine tenths full
//! ```
//! Keys themselves are not kept, so 128 MiB hold five million of whatever length. Two keys with one hash would cost a
//! record; with 128 bits and a salt that is drawn for every cleaning that is rarer than a disk that lies, and nobody can
//! choose keys to bring it about.

use std::hash::{DefaultHasher, Hasher};

use crate::types::Offset;

/// A slot: 16 bytes of hash, 8 of offset.
pub const SLOT_BYTES: usize = 24;

/// So few slots make progress on any log, however small the memory.
const MIN_SLOTS: usize = 64;

#[derive(Clone, Copy)]
struct Slot {
    hash: [u64; 2],
    /// -1: nothing in it.
    offset: Offset,
}

const EMPTY: Slot = Slot { hash: [0; 2], offset: Offset::NONE };
const _: () = assert!(std::mem::size_of::<Slot>() == SLOT_BYTES);

/// The map is full, and the key was not put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

pub struct KeyMap {
    slots: Vec<Slot>,
    count: usize,
    max_count: usize,
    salt: u64,
}

impl KeyMap {
    /// A map in at most `max_bytes`, and no larger than `keys` keys need. `load_factor` is how full it may get.
    pub fn new(max_bytes: usize, load_factor: f64, keys: u64, salt: u64) -> Self {
        // Beyond nine tenths, searches become walks.
        let load_factor = load_factor.clamp(0.1, 0.9);
        let wanted = ((keys as f64 / load_factor).ceil() as usize).saturating_add(1);
        let slots = wanted.min(max_bytes / SLOT_BYTES).max(MIN_SLOTS);
        let max_count = (slots as f64 * load_factor) as usize;
        KeyMap { slots: vec![EMPTY; slots], count: 0, max_count, salt }
    }

    /// Notes that `key` has a record at `offset`; offsets come in order.
    pub fn put(&mut self, key: &[u8], offset: Offset) -> Result<(), Full> {
        let hash = self.hash(key);
        let at = self.find(hash);
        let slot = &mut self.slots[at];
        if slot.offset == Offset::NONE {
            if self.count == self.max_count {
                return Err(Full);
            }
            self.count += 1;
        }
        *slot = Slot { hash, offset: offset.max(slot.offset) };
        Ok(())
    }

    /// The newest offset of a key, if it has a record in the part that was read.
    pub fn newest(&self, key: &[u8]) -> Option<Offset> {
        let slot = &self.slots[self.find(self.hash(key))];
        (slot.offset != Offset::NONE).then_some(slot.offset)
    }

    /// The slot that has this hash, or the empty one where it would be.
    fn find(&self, hash: [u64; 2]) -> usize {
        let mut at = (hash[0] % self.slots.len() as u64) as usize;
        loop {
            let slot = &self.slots[at];
            if slot.offset == Offset::NONE || slot.hash == hash {
                return at;
            }
            at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
        }
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        [1u8, 2].map(|half| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(self.salt);
            hasher.write_u8(half);
            hasher.write(key);
            hasher.finish()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_newest_offset_of_every_key_is_found_and_no_other_key() {
        let mut map = KeyMap::new(1 << 20, 0.9, 10_000, 7);
        let mut model = HashMap::new();
        for offset in 0..10_000i64 {
            let key = format!("key-{}", (offset * 7919) % 3001);
            map.put(key.as_bytes(), Offset(offset)).unwrap();
            model.insert(key, Offset(offset));
        }
        assert_eq!(map.count, model.len());
        for (key, offset) in &model {
            assert_eq!(map.newest(key.as_bytes()), Some(*offset));
        }
        for other in 0..3001 {
            assert_eq!(map.newest(format!("other-{other}").as_bytes()), None);
        }
    }

    #[test]
    fn a_full_map_takes_no_new_key_but_newer_offsets_of_the_ones_it_has() {
        let mut map = KeyMap::new(100 * SLOT_BYTES, 0.9, u64::MAX, 1);
        let mut put = 0;
        while map.put(&i64::to_be_bytes(put), Offset(put)).is_ok() {
            put += 1;
        }
        assert_eq!(put, 90);
        assert_eq!(map.put(&0i64.to_be_bytes(), Offset(1_000)), Ok(()));
        assert_eq!(map.newest(&0i64.to_be_bytes()), Some(Offset(1_000)));
        assert_eq!(map.put(b"new", Offset(1_001)), Err(Full));
        assert_eq!(map.newest(b"new"), None);
    }

    #[test]
    fn memory_follows_the_need_and_stays_below_the_limit() {
        let slots = |bytes, keys| KeyMap::new(bytes, 0.9, keys, 0).slots.len();
        assert_eq!(slots(128 << 20, 9_000), 10_001);
        assert_eq!(slots(128 << 20, u64::MAX), (128 << 20) / SLOT_BYTES);
        // Even no memory at all lets a cleaning get on.
        assert_eq!(slots(0, u64::MAX), MIN_SLOTS);
        let mut small = KeyMap::new(1 << 20, 0.9, 900, 0);
        assert!((0..900).all(|key| small.put(&i64::to_be_bytes(key), Offset(key)).is_ok()));
    }
}
