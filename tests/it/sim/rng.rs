//! Chance: from a seed, by splitmix64 (Steele, Lea and Flood, 2014), or from the bytes of a fuzzer.

use std::collections::VecDeque;

/// A stream of numbers that its seed, or its bytes, decide.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
    /// Used up first, one for each choice.
    bytes: VecDeque<u8>,
}

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed,
            bytes: VecDeque::new(),
        }
    }

    /// Choices that a fuzzer makes; when it has no more to say, those of seed 0 follow.
    #[cfg(not(test))]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self {
            state: 0,
            bytes: bytes.iter().copied().collect(),
        }
    }

    fn next(&mut self) -> u64 {
        if let Some(byte) = self.bytes.pop_front() {
            return u64::from(byte) << 56;
        }
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not 0. The bias is below one in a million for the small `n`
    /// here.
    pub fn below(&mut self, n: usize) -> usize {
        let high = (u128::from(self.next()) * n as u128) >> 64;
        usize::try_from(high).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True once in `n` times; never for 0.
    pub fn one_in(&mut self, n: usize) -> bool {
        n > 0 && self.below(n) == 0
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}
