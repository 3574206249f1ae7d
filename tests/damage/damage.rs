//! What can happen to a file.

use std::fmt;
use std::path::PathBuf;

use crate::disk::MemoryDisk;
use crate::ground::Ground;

/// SplitMix64.
pub struct Dice(u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.roll() % end.max(1) as u64) as usize
    }
}

#[derive(Clone, Debug)]
pub enum Kind {
    /// These bits, by their place in the file.
    Flip(Vec<usize>),
    Truncate(usize),
    Zero(std::ops::Range<usize>),
    Delete,
    /// As the file was some time before.
    Older,
    Swap(PathBuf),
    /// What follows the end.
    Extend(Vec<u8>),
}

/// The image of a broker that was killed.
const KILLED: usize = 1;

pub struct Damage {
    /// Which of the directories of the ground.
    pub image: usize,
    pub file: PathBuf,
    pub kind: Kind,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let image = ["stopped", "killed"][self.image];
        write!(f, "{image}, {}: ", self.file.display())?;
        match &self.kind {
            Kind::Flip(bits) => write!(f, "bits {bits:?} flipped"),
            Kind::Truncate(len) => write!(f, "cut to {len} bytes"),
            Kind::Zero(range) => write!(f, "bytes {range:?} zero"),
            Kind::Delete => write!(f, "deleted"),
            Kind::Older => write!(f, "replaced by an older version"),
            Kind::Swap(other) => write!(f, "swapped with {}", other.display()),
            Kind::Extend(more) => write!(f, "{} bytes behind its end, the first {:?}", more.len(), more.first()),
        }
    }
}

/// The damage of that number in a run.
pub fn choose(ground: &Ground, seed: u64, index: u64) -> Damage {
    let mut dice = Dice(seed.wrapping_mul(0x1000_0000_01b3) ^ index);
    let image = dice.below(2);
    let files = ground.images[image].disk.paths();
    let file = files[dice.below(files.len())].clone();
    let len = ground.images[image].disk.get(&file).map_or(0, |content| content.len());
    let kind = match dice.below(8) {
        0 | 1 if len > 0 => Kind::Flip((0..1 + dice.below(8)).map(|_| dice.below(8 * len)).collect()),
        2 if len > 0 => Kind::Truncate(dice.below(len)),
        3 if len > 0 => {
            let start = dice.below(len);
            Kind::Zero(start..start + 1 + dice.below(len - start))
        }
        4 => Kind::Older,
        5 => Kind::Swap(files[dice.below(files.len())].clone()),
        6 => {
            let zeros = dice.below(2) == 0;
            let more = 1 + dice.below(300);
            Kind::Extend((0..more).map(|_| if zeros { 0 } else { dice.roll() as u8 }).collect())
        }
        _ => Kind::Delete,
    };
    Damage { image, file, kind }
}

impl Damage {
    /// Is it done to the active segment of a log whose broker was killed?
    pub fn is_like_a_crash(&self, ground: &Ground) -> bool {
        let is_log = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "log");
        let paths = ground.images[self.image].disk.paths();
        let active = paths.iter().filter(is_log).filter(|path| path.parent() == self.file.parent()).max();
        self.image == KILLED && active == Some(&self.file)
    }

    /// Does it to a copy of the directory.
    pub fn carry_out(&self, ground: &Ground) -> MemoryDisk {
        let disk = ground.images[self.image].disk.copy();
        let mut content = disk.get(&self.file).unwrap_or_default();
        match &self.kind {
            Kind::Flip(bits) => bits.iter().for_each(|bit| content[bit / 8] ^= 1 << (bit % 8)),
            Kind::Truncate(len) => content.truncate(*len),
            Kind::Zero(range) => content[range.clone()].fill(0),
            Kind::Extend(more) => content.extend_from_slice(more),
            Kind::Older => match ground.older.get(&self.file) {
                Some(older) => content = older,
                None => return without(disk, self),
            },
            Kind::Delete => return without(disk, self),
            Kind::Swap(other) => {
                let others = disk.get(other).unwrap_or_default();
                disk.set(other, &content);
                content = others;
            }
        }
        disk.set(&self.file, &content);
        disk
    }
}

fn without(disk: MemoryDisk, damage: &Damage) -> MemoryDisk {
    milena::storage::disk::Disk::remove_file(&disk, &damage.file).expect("the file is there");
    disk
}
