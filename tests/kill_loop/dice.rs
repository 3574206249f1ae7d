//! Random numbers that follow from a seed (SplitMix64), so that the same seed plans the same kills and writes the same
//! records. What the machine's scheduler does in between is not repeated.

pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    /// Dice for one worker: the same seed gives each name its own sequence.
    pub fn named(seed: u64, name: u64) -> Self {
        let mut dice = Dice(seed ^ name.wrapping_mul(0xd6e8_feb8_6659_fd93));
        dice.roll();
        dice
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.roll() % end.max(1)
    }

    /// A place in a list of that length.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// A number from 1 to `end` whose size is as often small as large.
    pub fn uneven(&mut self, end: u64) -> u64 {
        let bits = u64::BITS - end.leading_zeros();
        let top = 1 << (1 + self.below(u64::from(bits)));
        (1 + self.below(top)).min(end)
    }

    /// True `percent` times of a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
