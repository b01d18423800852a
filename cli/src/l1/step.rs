//! Transactions, before they are sent.

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolInterface;
use mach_contracts_bindings::{
    Action,
    abi::{
        IMachRegistry::IMachRegistryCalls, IMachServiceManager::IMachServiceManagerCalls,
        IRegistryCoordinator::IRegistryCoordinatorCalls,
    },
};
use serde_json::{Value, json};

/// One transaction.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// What it does, in words.
    pub(crate) what: String,
    pub(crate) to: Address,
    pub(crate) value: U256,
    pub(crate) calldata: Bytes,
}

impl Step {
    /// Name of the function and its arguments, as far as the function is known.
    pub(crate) fn decoded(&self) -> Option<(String, String)> {
        let data = &self.calldata;
        let shown = IRegistryCoordinatorCalls::abi_decode(data)
            .map(|call| format!("{call:?}"))
            .or_else(|_| IMachServiceManagerCalls::abi_decode(data).map(|call| format!("{call:?}")))
            .or_else(|_| IMachRegistryCalls::abi_decode(data).map(|call| format!("{call:?}")))
            .ok()?;
        split(&shown)
    }

    pub(crate) fn to_json(&self) -> Value {
        let decoded = self.decoded();
        json!({
            "what": self.what,
            "to": self.to,
            "value": self.value.to_string(),
            "calldata": self.calldata,
            "function": decoded.as_ref().map(|(name, _)| name),
            "arguments": decoded.as_ref().map(|(_, arguments)| arguments),
        })
    }
}

impl From<Action> for Step {
    fn from(action: Action) -> Self {
        Self {
            what: action.summary,
            to: action.to,
            value: U256::ZERO,
            calldata: action.calldata,
        }
    }
}

impl From<mach_contracts_bindings::Step> for Step {
    fn from(step: mach_contracts_bindings::Step) -> Self {
        Self {
            what: step.what,
            to: step.to,
            value: step.value,
            calldata: step.calldata,
        }
    }
}

/// Takes `name(nameCall { a: 1 })` apart, into `name` and `a: 1`.
fn split(debug: &str) -> Option<(String, String)> {
    let (name, rest) = debug.split_once('(')?;
    let arguments = match rest.split_once('{') {
        Some((_, fields)) => fields.rsplit_once('}')?.0.trim(),
        None => "",
    };
    Some((name.to_owned(), arguments.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    #[test]
    fn calldata_is_told_with_the_names_of_its_arguments() {
        // cast calldata "deregisterOperator(bytes)" 0x0001; the selector is COMPAT's.
        let calldata = hex!(
            "ca4f2d97"
            "0000000000000000000000000000000000000000000000000000000000000020"
            "0000000000000000000000000000000000000000000000000000000000000002"
            "0001000000000000000000000000000000000000000000000000000000000000"
        );
        let step = |calldata: &[u8]| Step {
            what: String::new(),
            to: Address::ZERO,
            value: U256::ZERO,
            calldata: calldata.to_vec().into(),
        };
        assert_eq!(
            step(&calldata).decoded(),
            Some(("deregisterOperator".into(), "quorumNumbers: 0x0001".into()))
        );
        // pauseAll()
        assert_eq!(
            step(&hex!("595c6a67")).decoded(),
            Some(("pauseAll".into(), String::new()))
        );
        assert_eq!(step(&[1, 2, 3]).decoded(), None);
    }
}
