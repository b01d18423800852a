use core::error::Error;

use alloy_primitives::{U256, utils::format_ether};

/// Amounts with up to this many digits are shown as they are: a stand-alone registry counts in small
/// numbers, EigenLayer in 10^-18.
const SMALL_DIGITS: usize = 12;

/// An amount, in whole tokens of 18 decimals unless it and `beside`, which it is compared with, are
/// small.
pub fn amount(value: U256, beside: U256) -> String {
    let text = value.max(beside).to_string();
    if text.len() <= SMALL_DIGITS {
        return value.to_string();
    }
    ether(value)
}

/// Wei in ether, without zeros at the end.
pub fn ether(wei: U256) -> String {
    let text = format_ether(wei);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// An error with its causes.
pub(super) fn chain_of(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Seconds in the unit that people would use.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_told_in_the_unit_of_their_size() {
        let ether = |text: &str| alloy_primitives::utils::parse_ether(text).unwrap();
        let cases = [
            (ether("12.5"), ether("32"), "12.5"),
            (ether("32"), ether("12.5"), "32"),
            (U256::ZERO, ether("32"), "0"),
            (U256::ONE, ether("32"), "0.000000000000000001"),
            (U256::from(100), U256::from(7), "100"),
        ];
        for (value, beside, text) in cases {
            assert_eq!(amount(value, beside), text);
        }
    }
}
