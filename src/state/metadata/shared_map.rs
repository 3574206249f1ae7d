//! An ordered map that is cheap to clone and cheap to change after a clone.
//!
//! Two levels: a list of chunks, each a sorted list of entries, all behind `Arc`. A clone shares everything; a change
//! after it copies the list of chunks (one pointer for about a hundred entries) and the one chunk it touches. So an
//! image of ten thousand topics is published after each change for the price of a few hundred pointers.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Half of what a chunk holds at most; a full chunk is split in two of this size.
const HALF: usize = 64;

pub struct SharedMap<K, V> {
    /// Never holds an empty chunk; keys ascend within and across chunks.
    chunks: Arc<Vec<Chunk<K, V>>>,
    len: usize,
}

type Chunk<K, V> = Arc<Vec<(K, V)>>;

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let chunk = self.chunks.get(self.chunk_of(key)?)?;
        let at = chunk.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        Some(&chunk[at].1)
    }

    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// The value to be changed in place, where it is there; copies the chunk if a clone shares it.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let index = self.chunk_of(key)?;
        let at = self.chunks[index].binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        let chunk = Arc::make_mut(&mut Arc::make_mut(&mut self.chunks)[index]);
        Some(&mut chunk[at].1)
    }

    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let chunks = Arc::make_mut(&mut self.chunks);
        if chunks.is_empty() {
            chunks.push(Arc::new(vec![(key, value)]));
            self.len = 1;
            return None;
        }
        let index = chunks.partition_point(|chunk| chunk[0].0 <= key).saturating_sub(1);
        let chunk = Arc::make_mut(&mut chunks[index]);
        match chunk.binary_search_by(|(k, _)| k.cmp(&key)) {
            Ok(at) => Some(std::mem::replace(&mut chunk[at].1, value)),
            Err(at) => {
                chunk.insert(at, (key, value));
                if chunk.len() >= 2 * HALF {
                    let upper = chunk.split_off(HALF);
                    chunks.insert(index + 1, Arc::new(upper));
                }
                self.len += 1;
                None
            }
        }
    }

    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let index = self.chunk_of(key)?;
        let at = self.chunks[index].binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = Arc::make_mut(&mut chunks[index]);
        let (_, value) = chunk.remove(at);
        if chunk.is_empty() {
            chunks.remove(index);
        }
        self.len -= 1;
        Some(value)
    }

    /// All entries, by ascending key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter().map(|(key, value)| (key, value)))
    }

    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The entries whose key is `from` or greater, by ascending key.
    pub fn range_from<'a, Q: Ord + ?Sized>(&'a self, from: &Q) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: Borrow<Q>,
    {
        let index = self.chunk_of(from).unwrap_or(0);
        let skip = self.chunks.get(index).map_or(0, |chunk| chunk.partition_point(|(key, _)| key.borrow() < from));
        self.chunks[index.min(self.chunks.len())..]
            .iter()
            .flat_map(|chunk| chunk.iter().map(|(key, value)| (key, value)))
            .skip(skip)
    }

    /// What differs from an earlier map, by ascending key: the key, its value then and its value now. Chunks that both
    /// share are not looked into, so between a map and its changed clone this costs what was changed.
    pub fn since<'a>(
        &'a self,
        earlier: &'a Self,
        same: impl Fn(&V, &V) -> bool,
    ) -> Vec<(&'a K, Option<&'a V>, Option<&'a V>)> {
        let (mut then, mut now) = (Cursor::new(earlier), Cursor::new(self));
        let mut found = Vec::new();
        loop {
            while then.skip_shared(&mut now) {}
            match (then.entry(), now.entry()) {
                (None, None) => return found,
                (Some((key, old)), other) if other.is_none_or(|(new_key, _)| key < new_key) => {
                    found.push((key, Some(old), None));
                    then.step();
                }
                (Some((key, old)), Some((new_key, new))) if key == new_key => {
                    if !same(old, new) {
                        found.push((key, Some(old), Some(new)));
                    }
                    then.step();
                    now.step();
                }
                (_, Some((key, new))) => {
                    found.push((key, None, Some(new)));
                    now.step();
                }
                (Some(_), None) => unreachable!("an entry with none against it came before"),
            }
        }
    }

    /// The chunk that holds the key if any does.
    fn chunk_of<Q: Ord + ?Sized>(&self, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        self.chunks.partition_point(|chunk| chunk[0].0.borrow() <= key).checked_sub(1)
    }
}

/// A walk through a map, entry by entry or over whole chunks.
struct Cursor<'a, K, V> {
    chunks: &'a [Chunk<K, V>],
    at: usize,
}

impl<'a, K, V> Cursor<'a, K, V> {
    fn new(map: &'a SharedMap<K, V>) -> Self {
        Cursor { chunks: &map.chunks, at: 0 }
    }

    fn entry(&self) -> Option<(&'a K, &'a V)> {
        self.chunks.first().map(|chunk| (&chunk[self.at].0, &chunk[self.at].1))
    }

    fn step(&mut self) {
        self.at += 1;
        if self.at == self.chunks[0].len() {
            (self.chunks, self.at) = (&self.chunks[1..], 0);
        }
    }

    fn skip_shared(&mut self, other: &mut Self) -> bool {
        let shared = self.at == 0
            && other.at == 0
            && matches!((self.chunks, other.chunks), ([ours, ..], [theirs, ..]) if Arc::ptr_eq(ours, theirs));
        if shared {
            (self.chunks, other.chunks) = (&self.chunks[1..], &other.chunks[1..]);
        }
        shared
    }
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        SharedMap { chunks: Arc::new(Vec::new()), len: 0 }
    }
}

impl<K, V> Clone for SharedMap<K, V> {
    fn clone(&self) -> Self {
        SharedMap { chunks: Arc::clone(&self.chunks), len: self.len }
    }
}

/// Equal when the entries are: where chunks are cut depends on the order of insertion and means nothing.
impl<K: Ord + Clone, V: Clone + PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Ord + Clone + fmt::Debug, V: Clone + fmt::Debug> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against `BTreeMap`, the obvious second implementation; a clone taken on the way must not move.
        #[test]
        fn it_does_what_an_ordered_map_does(changes in prop::collection::vec((any::<bool>(), 0u16..700), 0..2000)) {
            let (mut ours, mut model) = (SharedMap::default(), BTreeMap::new());
            let mut kept = (ours.clone(), model.clone());
            for (i, (insert, key)) in changes.into_iter().enumerate() {
                if insert {
                    prop_assert_eq!(ours.insert(key, i), model.insert(key, i));
                } else {
                    prop_assert_eq!(ours.remove(&key), model.remove(&key));
                }
                if i == 500 {
                    kept = (ours.clone(), model.clone());
                }
            }
            let all = |map: &BTreeMap<u16, usize>, key: &u16| map.get(key).copied();
            let mut keys: Vec<u16> = model.keys().chain(kept.1.keys()).copied().collect();
            keys.sort_unstable();
            keys.dedup();
            keys.retain(|key| all(&model, key) != all(&kept.1, key));
            let expected: Vec<_> = keys.iter().map(|key| (*key, all(&kept.1, key), all(&model, key))).collect();
            let since = ours.since(&kept.0, |then, now| then == now);
            let since: Vec<_> = since.into_iter().map(|(key, then, now)| (*key, then.copied(), now.copied())).collect();
            prop_assert_eq!(since, expected);
            for (ours, model) in [(ours, model), kept] {
                prop_assert_eq!(ours.len(), model.len());
                prop_assert!(ours.iter().eq(model.iter()));
                for from in [0, 1, 63, 350, 699, 1000] {
                    prop_assert!(ours.range_from(&from).eq(model.range(from..)));
                    prop_assert_eq!(ours.get(&from), model.get(&from));
                }
            }
        }
    }
}
