//! Generations of the service manager, told apart by what they answer.
//!
//! The genuine contracts are not here. What stands for them answers exactly the functions that they
//! have, under the selectors that were read off the deployed ones.

use alloy_primitives::{Address, Bytes, U256, hex};
use alloy_provider::Provider;
use mach_contracts_bindings::{DigestKind, Generation, Probe, ProbeError};

use crate::{
    clients::{L1, Network, submitter},
    node::{failure, lying},
};

/// What a function does when a stranger calls it.
#[derive(Clone, Copy)]
pub(crate) enum Does {
    /// Returns a word.
    Return(u64),
    /// Reverts with these four bytes.
    Refuse([u8; 4]),
    /// Returns one word for this first argument, and zero otherwise.
    ReturnIf(u64, u64),
}

type Function = ([u8; 4], Does);

/// `Ownable: caller is not the owner`, shortened to the selector of `Error(string)`.
const NOT_OWNER: Does = Does::Refuse(hex!("08c379a0"));
const NOT_WHITELISTER: Does = Does::Refuse(hex!("b8088f87"));

const COORDINATOR: Function = (hex!("6d14a987"), Does::Return(0xc0));
const TOTAL_ALERTS: Function = (hex!("4f2b85db"), Does::Return(3));
const TOTAL_ALERTS_OF: Function = (hex!("b733cc77"), Does::ReturnIf(10, 5));
const ROLLUPS: Function = (hex!("4c6b05d9"), Does::ReturnIf(10, 1));
const ROLLUP: Function = (hex!("ad971653"), Does::Return(7560));

/// A contract with these functions and no other: it reverts without a word for anything else.
pub(crate) async fn place(l1: &L1, functions: &[Function]) -> Address {
    let submitter = submitter(l1, 7).await;
    submitter.deploy(assemble(functions)).await.unwrap().0
}

fn assemble(functions: &[Function]) -> Bytes {
    // The selector on the stack, then one comparison of 11 bytes for each function, then a revert.
    let mut code = hex!("5f3560e01c").to_vec();
    let mut bodies = Vec::new();
    let start = code.len() + functions.len() * 11 + 3;
    for (selector, does) in functions {
        let target = (start + bodies.len()) as u16;
        code.extend([0x80, 0x63]);
        code.extend(selector);
        code.extend([0x14, 0x61]);
        code.extend(target.to_be_bytes());
        code.push(0x57);
        bodies.push(0x5b);
        match does {
            Does::Return(word) => {
                push(&mut bodies, *word);
                bodies.extend(hex!("5f5260205ff3"));
            }
            Does::Refuse(selector) => {
                bodies.push(0x63);
                bodies.extend(selector);
                // Shifted to the front of the word.
                bodies.extend(hex!("60e01b5f5260045ffd"));
            }
            Does::ReturnIf(argument, word) => {
                push(&mut bodies, *argument);
                bodies.extend(hex!("60043514"));
                push(&mut bodies, *word);
                bodies.extend(hex!("025f5260205ff3"));
            }
        }
    }
    code.extend(hex!("5f5ffd"));
    assert_eq!(code.len(), start);
    code.extend(bodies);
    let length = (code.len() as u16).to_be_bytes();
    let mut creation = vec![0x61, length[0], length[1]];
    creation.extend(hex!("80600a5f395ff3"));
    assert_eq!(creation.len(), 10);
    creation.extend(code);
    creation.into()
}

fn push(code: &mut Vec<u8>, word: u64) {
    code.push(0x67);
    code.extend(word.to_be_bytes());
}

#[tokio::test]
async fn every_generation_is_known_by_its_functions() {
    let network = Network::start().await;
    let l1 = &network.l1;
    let batch = (hex!("432de9c8"), NOT_WHITELISTER);
    let single = (hex!("f8e86ece"), NOT_WHITELISTER);
    let update = (hex!("159214cc"), NOT_OWNER);
    let cases: [(&[Function], Generation); 5] = [
        (&[COORDINATOR, TOTAL_ALERTS, single], Generation::V1_0),
        (
            &[COORDINATOR, TOTAL_ALERTS, ROLLUP, single],
            Generation::V1_1,
        ),
        (
            &[COORDINATOR, TOTAL_ALERTS, ROLLUP, single, update],
            Generation::V1_2,
        ),
        (
            &[COORDINATOR, TOTAL_ALERTS_OF, ROLLUPS, single],
            Generation::V1_5,
        ),
        (
            &[COORDINATOR, TOTAL_ALERTS_OF, ROLLUPS, batch],
            Generation::V2,
        ),
    ];
    for (functions, generation) in cases {
        let address = place(l1, functions).await;
        let probe = Probe::read(l1.provider(), address).await.unwrap();
        assert_eq!(probe.generation, generation);
        let coordinator = Address::from_word(U256::from(0xc0).into());
        assert_eq!(probe.registry_coordinator, coordinator);
        let (rollup, digest, enabled) = match generation {
            Generation::V1_0 => (None, DigestKind::V1, vec![7560, 10]),
            Generation::V1_1 | Generation::V1_2 => (Some(7560), DigestKind::V1, vec![7560]),
            Generation::V1_5 => (None, DigestKind::V1, vec![10]),
            _ => (None, DigestKind::V2, vec![10]),
        };
        assert_eq!(probe.rollup, rollup);
        assert_eq!(generation.digest(), digest);
        assert_eq!(probe.enabled_rollups(&[7560, 10]).await.unwrap(), enabled);
        let alerts = if generation.has_rollups() { 5 } else { 3 };
        assert_eq!(probe.active_alerts(10).await.unwrap(), Some(alerts));
    }

    let ours = Probe::read(l1.provider(), network.contracts.service_manager)
        .await
        .unwrap();
    assert_eq!(ours.generation, Generation::V3);
    assert_eq!(ours.generation.digest(), DigestKind::V3);
    assert_eq!(
        ours.registry_coordinator,
        network.contracts.registry_coordinator
    );
    let enabled = ours.enabled_rollups(&[1, crate::clients::ROLLUP]).await;
    assert_eq!(enabled.unwrap(), [crate::clients::ROLLUP]);
}

#[tokio::test]
async fn what_is_no_service_manager_is_told_so() {
    let network = Network::start().await;
    let l1 = &network.l1;
    let zk = place(l1, &[COORDINATOR, (hex!("f926337b"), Does::Return(0))]).await;
    let half = place(l1, &[COORDINATOR, TOTAL_ALERTS_OF]).await;
    let retriever = network.contracts.operator_state_retriever;
    let nobody = Address::repeat_byte(0x22);
    let chain = network.contracts.l1_chain_id;
    let cases = [
        (
            nobody,
            format!("there is no contract at {nobody} on chain {chain}: is it the right chain?"),
        ),
        (
            retriever,
            format!("the contract at {retriever} is not a MACH service manager"),
        ),
        (
            zk,
            format!(
                "the contract at {zk} is a ZK service manager, which takes proofs and no signatures"
            ),
        ),
        (
            half,
            format!("the service manager at {half} is of a generation that is not known here"),
        ),
    ];
    for (address, message) in cases {
        let error = Probe::read(l1.provider(), address).await.unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

/// A limit that the node hits in the middle must not make a V2 look like a V1.
#[tokio::test]
async fn a_failing_node_makes_no_generation() {
    let network = Network::start().await;
    let batch = (hex!("432de9c8"), NOT_WHITELISTER);
    let v2 = place(&network.l1, &[COORDINATOR, TOTAL_ALERTS_OF, batch]).await;
    for selector in ["6d14a987", "b733cc77", "432de9c8"] {
        let node = lying(network.l1.chain(), move |method, params, _| {
            (method == "eth_call" && params.contains(&format!("\"0x{selector}")))
                .then(|| failure(-32005, "limit exceeded"))
        });
        let error = Probe::read(node.erased(), v2).await.unwrap_err();
        assert!(matches!(error, ProbeError::Transport(_)), "{selector}");
        assert!(error.is_transient());
    }
}
