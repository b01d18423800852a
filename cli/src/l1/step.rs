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
    pub(crate) fn decoded(&self) -> Option<(String, Vec<String>)> {
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

/// Takes `name(nameCall { a: 1, b: 2 })` apart, into `name`, `a: 1` and `b: 2`.
fn split(debug: &str) -> Option<(String, Vec<String>)> {
    let (name, rest) = debug.split_once('(')?;
    let fields = match rest.split_once('{') {
        Some((_, fields)) => fields.rsplit_once('}')?.0.trim(),
        None => "",
    };
    let mut arguments = Vec::new();
    let (mut depth, mut quoted, mut escaped, mut argument) = (0_u32, false, false, String::new());
    for character in fields.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '{' | '[' | '(' if !quoted => depth += 1,
            '}' | ']' | ')' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                arguments.push(core::mem::take(&mut argument).trim().to_owned());
                continue;
            }
            _ => {}
        }
        argument.push(character);
    }
    arguments.extend(Some(argument.trim().to_owned()).filter(|last| !last.is_empty()));
    Some((name.to_owned(), arguments))
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
            Some((
                "deregisterOperator".into(),
                vec!["quorumNumbers: 0x0001".into()]
            ))
        );
        // pauseAll()
        assert_eq!(
            step(&hex!("595c6a67")).decoded(),
            Some(("pauseAll".into(), vec![]))
        );
        assert_eq!(step(&[1, 2, 3]).decoded(), None);
        // What an operator writes into its socket stays one argument.
        assert_eq!(
            split(r#"f(fCall { a: "x, \"y}", b: P { c: [1, 2] } })"#),
            Some((
                "f".into(),
                vec![r#"a: "x, \"y}""#.into(), "b: P { c: [1, 2] }".into()]
            ))
        );
    }
}
