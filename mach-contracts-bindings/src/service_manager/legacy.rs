//! Functions that older generations of the service manager have and the newest has not.
//!
//! Source: the MACH AVS contracts of March to May 2024.

alloy_sol_types::sol! {
    interface IMachServiceManagerV1 {
        function rollupChainId() external view returns (uint256);
        function updateRollupChainId(uint256 rollupChainId) external;
        function totalAlerts() external view returns (uint256);
        function contains(bytes32 messageHash) external view returns (bool);
        function queryMessageHashes(uint256 start, uint256 querySize) external view returns (bytes32[]);
        function removeAlert(bytes32 messageHash) external;
        function addToAllowlist(address operator) external;
        function removeFromAllowlist(address operator) external;
    }

    /// The service manager of ZK mode.
    interface IMachOptimismZkServiceManager {
        function getAlertsLength() external view returns (uint256);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::IMachServiceManagerV1::confirmAlertCall;
    use alloy_primitives::hex;
    use alloy_sol_types::SolCall;

    #[test]
    fn selectors_are_the_originals() {
        use IMachServiceManagerV1 as V1;
        let cases = [
            (confirmAlertCall::SELECTOR, hex!("008f38e7")),
            (V1::rollupChainIdCall::SELECTOR, hex!("ad971653")),
            (V1::updateRollupChainIdCall::SELECTOR, hex!("159214cc")),
            (V1::totalAlertsCall::SELECTOR, hex!("4f2b85db")),
            (V1::containsCall::SELECTOR, hex!("1d1a696d")),
            (V1::queryMessageHashesCall::SELECTOR, hex!("54f4a917")),
            (V1::removeAlertCall::SELECTOR, hex!("d8ff953d")),
            (V1::addToAllowlistCall::SELECTOR, hex!("f8e86ece")),
            (V1::removeFromAllowlistCall::SELECTOR, hex!("5da93d7e")),
            (
                IMachOptimismZkServiceManager::getAlertsLengthCall::SELECTOR,
                hex!("f926337b"),
            ),
        ];
        for (ours, original) in cases {
            assert_eq!(ours, original);
        }
    }
}
