//! Quorums, stake and thresholds.

use serde::{Deserialize, Serialize};

/// Highest quorum number that EigenLayer's bitmaps hold.
///
/// Source: `BitmapUtils` and `RegistryCoordinator.MAX_QUORUM_COUNT` in eigenlayer-middleware.
pub const MAX_QUORUM_NUMBER: u8 = 191;

/// Numbers of the quorums of a round: not empty, strictly ascending, each at most
/// [`MAX_QUORUM_NUMBER`].
///
/// Source: `BitmapUtils.orderedBytesArrayToBitmap`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct QuorumNumbers(Vec<u8>);

impl QuorumNumbers {
    /// Errors: [`QuorumError`] for an empty, unordered or out-of-range list.
    pub fn new(numbers: impl Into<Vec<u8>>) -> Result<Self, QuorumError> {
        let numbers = numbers.into();
        let last = *numbers.last().ok_or(QuorumError::NoQuorum)?;
        if !numbers.is_sorted_by(|a, b| a < b) {
            return Err(QuorumError::NotAscending);
        }
        if last > MAX_QUORUM_NUMBER {
            return Err(QuorumError::NumberTooHigh(last));
        }
        Ok(Self(numbers))
    }

    /// One byte a quorum, as the contracts take them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The numbers in ascending order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u8> + '_ {
        self.0.iter().copied()
    }

    /// How many quorums there are, at least one.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub const fn len(&self) -> usize {
        self.0.len()
    }
}

impl TryFrom<Vec<u8>> for QuorumNumbers {
    type Error = QuorumError;

    fn try_from(numbers: Vec<u8>) -> Result<Self, QuorumError> {
        Self::new(numbers)
    }
}

impl From<QuorumNumbers> for Vec<u8> {
    fn from(numbers: QuorumNumbers) -> Self {
        numbers.0
    }
}

/// Weight of an operator in a quorum: an unsigned 96-bit number, as in the StakeRegistry.
///
/// In JSON it is a decimal string: JavaScript reads numbers with 53 bits.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Stake(u128);

impl Stake {
    /// No stake.
    pub const ZERO: Self = Self(0);
    /// 2^96 - 1.
    pub const MAX: Self = Self((1 << 96) - 1);

    /// Errors: [`QuorumError::StakeTooHigh`] above 96 bits.
    pub const fn new(weight: u128) -> Result<Self, QuorumError> {
        if weight > Self::MAX.0 {
            return Err(QuorumError::StakeTooHigh(weight));
        }
        Ok(Self(weight))
    }

    /// The weight as a number.
    pub const fn weight(self) -> u128 {
        self.0
    }

    /// Sum that stays at [`Self::MAX`] instead of wrapping.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        let sum = self.0 + other.0;
        if sum > Self::MAX.0 {
            Self::MAX
        } else {
            Self(sum)
        }
    }
}

impl TryFrom<u128> for Stake {
    type Error = QuorumError;

    fn try_from(weight: u128) -> Result<Self, QuorumError> {
        Self::new(weight)
    }
}

impl From<Stake> for u128 {
    fn from(stake: Stake) -> Self {
        stake.0
    }
}

impl TryFrom<String> for Stake {
    type Error = QuorumError;

    /// Reads digits, as [`Self`]'s `Display` writes them.
    fn try_from(text: String) -> Result<Self, QuorumError> {
        let is_canonical = text.bytes().all(|byte| byte.is_ascii_digit())
            && (text == "0" || !text.starts_with('0'));
        match text.parse() {
            Ok(weight) if is_canonical => Self::new(weight),
            _ => Err(QuorumError::NotAStake),
        }
    }
}

impl From<Stake> for String {
    fn from(stake: Stake) -> Self {
        stake.0.to_string()
    }
}

impl core::fmt::Display for Stake {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// Share of a quorum's stake, in percent from 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Threshold(u8);

impl Threshold {
    /// Errors: [`QuorumError::Threshold`] for 0 (which nobody would have to sign) and above 100.
    pub const fn percent(value: u8) -> Result<Self, QuorumError> {
        if value == 0 || value > 100 {
            return Err(QuorumError::Threshold(value));
        }
        Ok(Self(value))
    }

    /// The value in percent.
    pub const fn value(self) -> u8 {
        self.0
    }

    /// Whether `signed` reaches this share of `total`; a quorum without stake never does.
    ///
    /// Source: `signedStake * 100 >= totalStake * threshold` in `MachServiceManager.confirmAlert`.
    pub const fn is_met(self, signed: Stake, total: Stake) -> bool {
        total.0 > 0 && signed.0 * 100 >= total.0 * self.0 as u128
    }
}

impl TryFrom<u8> for Threshold {
    type Error = QuorumError;

    fn try_from(value: u8) -> Result<Self, QuorumError> {
        Self::percent(value)
    }
}

impl From<Threshold> for u8 {
    fn from(threshold: Threshold) -> Self {
        threshold.0
    }
}

/// Why numbers are not quorums, stakes or thresholds.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// The list is empty.
    #[error("no quorum is named")]
    NoQuorum,
    /// The list is not strictly ascending.
    #[error("quorum numbers are not strictly ascending")]
    NotAscending,
    /// A number is above [`MAX_QUORUM_NUMBER`].
    #[error("quorum number {0} is above {MAX_QUORUM_NUMBER}")]
    NumberTooHigh(u8),
    /// A stake has more than 96 bits.
    #[error("stake {0} has more than 96 bits")]
    StakeTooHigh(u128),
    /// A text is not a stake in decimal digits.
    #[error("the stake is not a decimal number of at most 96 bits")]
    NotAStake,
    /// A threshold is not from 1 to 100 percent.
    #[error("threshold of {0} % is not from 1 to 100")]
    Threshold(u8),
    /// Quorums and thresholds are not equally many.
    #[error("{quorums} quorums have {thresholds} thresholds")]
    ThresholdCount {
        /// Number of quorums.
        quorums: usize,
        /// Number of thresholds.
        thresholds: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorum_numbers_follow_the_rule_of_the_bitmap() {
        assert_eq!(QuorumNumbers::new([]), Err(QuorumError::NoQuorum));
        assert_eq!(QuorumNumbers::new([1, 1]), Err(QuorumError::NotAscending));
        assert_eq!(QuorumNumbers::new([2, 1]), Err(QuorumError::NotAscending));
        assert_eq!(
            QuorumNumbers::new([192]),
            Err(QuorumError::NumberTooHigh(192))
        );
        assert_eq!(QuorumNumbers::new([0, 191]).unwrap().as_bytes(), [0, 191]);
    }

    #[test]
    fn a_threshold_is_met_at_exactly_its_share() {
        let stake = |weight| Stake::new(weight).unwrap();
        let two_thirds = Threshold::percent(66).unwrap();
        assert!(two_thirds.is_met(stake(66), stake(100)));
        assert!(!two_thirds.is_met(stake(65), stake(100)));
        assert!(
            Threshold::percent(100)
                .unwrap()
                .is_met(Stake::MAX, Stake::MAX)
        );
    }

    #[test]
    fn a_quorum_without_stake_confirms_nothing() {
        assert!(
            !Threshold::percent(1)
                .unwrap()
                .is_met(Stake::ZERO, Stake::ZERO)
        );
    }

    #[test]
    fn a_stake_is_written_in_decimal_digits() {
        // 2^96 - 1, by another calculator.
        let json = r#""79228162514264337593543950335""#;
        assert_eq!(serde_json::to_string(&Stake::MAX).unwrap(), json);
        assert_eq!(serde_json::from_str::<Stake>(json).unwrap(), Stake::MAX);
        for wrong in [
            "1",
            r#""""#,
            r#""+1""#,
            r#""01""#,
            r#"" 1""#,
            r#""-1""#,
            r#""0x1""#,
            r#""79228162514264337593543950336""#,
            r#""999999999999999999999999999999999999999999""#,
        ] {
            assert!(serde_json::from_str::<Stake>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_threshold_that_nobody_must_meet_is_refused() {
        for value in [0, 101, 255] {
            assert_eq!(
                Threshold::percent(value),
                Err(QuorumError::Threshold(value))
            );
        }
    }
}
