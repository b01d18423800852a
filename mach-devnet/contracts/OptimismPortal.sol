// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @title Takes deposits for the devnet's rollup
/// @notice Interface, checks and event of Optimism's `OptimismPortal2`. There is no market for deposit gas, no
/// withdrawal and no pause.
/// @dev Source: https://specs.optimism.io/protocol/deposits.html#deposit-contract
contract OptimismPortal {
    uint256 internal constant DEPOSIT_VERSION = 0;
    uint64 internal constant RECEIVE_DEFAULT_GAS_LIMIT = 100_000;
    uint160 internal constant ALIAS_OFFSET = uint160(0x1111000000000000000000000000000000001111);

    event TransactionDeposited(address indexed from, address indexed to, uint256 indexed version, bytes opaqueData);

    error BadTarget();
    error LargeCalldata();
    error SmallGasLimit();

    receive() external payable {
        depositTransaction(msg.sender, msg.value, RECEIVE_DEFAULT_GAS_LIMIT, false, "");
    }

    function minimumGasLimit(uint64 byteCount) public pure returns (uint64) {
        return byteCount * 40 + 21_000;
    }

    function depositTransaction(address to, uint256 value, uint64 gasLimit, bool isCreation, bytes memory data)
        public
        payable
    {
        if (isCreation && to != address(0)) revert BadTarget();
        if (data.length > 120_000) revert LargeCalldata();
        if (gasLimit < minimumGasLimit(uint64(data.length))) revert SmallGasLimit();
        // A contract on L1 must not speak for whoever has its address on the rollup.
        address from = msg.sender;
        if (!isExternallyOwned()) {
            unchecked {
                from = address(uint160(from) + ALIAS_OFFSET);
            }
        }
        bytes memory opaqueData = abi.encodePacked(msg.value, value, gasLimit, isCreation, data);
        emit TransactionDeposited(from, to, DEPOSIT_VERSION, opaqueData);
    }

    function isExternallyOwned() private view returns (bool) {
        if (msg.sender == tx.origin) return true;
        bytes memory code = msg.sender.code;
        // An EIP-7702 delegation.
        return code.length == 23 && code[0] == 0xef && code[1] == 0x01 && code[2] == 0x00;
    }
}
