//! Ranges of blocks on the command line.

use std::{ops::RangeInclusive, str::FromStr};

use alloy_primitives::BlockNumber;

/// Most blocks that one command takes.
const MAX_BLOCKS: u64 = 10_000_000;

/// A range of block numbers as it is written on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlockRange(RangeInclusive<BlockNumber>);

impl BlockRange {
    /// Errors: the range is empty or too long.
    pub(crate) fn new(numbers: RangeInclusive<BlockNumber>) -> Result<Self, String> {
        let (first, last) = (*numbers.start(), *numbers.end());
        if first > last {
            return Err("the range is empty".to_owned());
        }
        if last - first >= MAX_BLOCKS {
            return Err(format!("more than {MAX_BLOCKS} blocks"));
        }
        Ok(Self(numbers))
    }

    pub(crate) fn numbers(&self) -> RangeInclusive<BlockNumber> {
        self.0.clone()
    }

    pub(crate) const fn first(&self) -> BlockNumber {
        *self.0.start()
    }

    pub(crate) const fn count(&self) -> u64 {
        *self.0.end() - *self.0.start() + 1
    }
}

impl FromStr for BlockRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            text.parse::<BlockNumber>()
                .map_err(|error| format!("`{text}` is no block number: {error}"))
        };
        let (first, last) = if let Some((first, last)) = text.split_once("..=") {
            (number(first)?, number(last)?)
        } else if let Some((first, end)) = text.split_once("..") {
            let last = number(end)?.checked_sub(1).ok_or("the range is empty")?;
            (number(first)?, last)
        } else {
            (number(text)?, number(text)?)
        };
        Self::new(first..=last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rust_writes_them() {
        let range = |text: &str| text.parse::<BlockRange>().map(|range| range.0);
        assert_eq!(range("7"), Ok(7..=7));
        assert_eq!(range("3..5"), Ok(3..=4));
        assert_eq!(range("3..=5"), Ok(3..=5));
        for wrong in [
            "",
            "5..3",
            "3..3",
            "0..0",
            "x",
            "1..=99999999999",
            "0x10",
            "-1",
        ] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }
}
