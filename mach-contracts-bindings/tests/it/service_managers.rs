//! Which service manager watches which rollup.

use alloy_primitives::{Address, U256};
use alloy_sol_types::SolCall;
use mach_contracts_bindings::{
    Artifact, Revert, RollupStatus, ServiceManagers, SubmitError,
    abi::{IMachServiceManager, IMachServiceManagerRegistry as R},
};

use crate::{
    chain::{Chain, Done},
    clients::{Network, submitter},
    fixture::{CONFIRMER, Fixture, OWNER, ROLLUP, STRANGER, refused},
    v2,
};

const OTHER: Address = Address::repeat_byte(0x55);

const UNKNOWN: u8 = 0;
const CLEAR: u8 = 1;
const ALERTED: u8 = 2;
const UNREADABLE: u8 = 3;

struct Registry {
    chain: Chain,
    address: Address,
}

impl Registry {
    fn new() -> Self {
        Self::on(Chain::new())
    }

    fn on(mut chain: Chain) -> Self {
        let constructor = R::constructorCall { owner: OWNER };
        let address = chain
            .deploy(STRANGER, Artifact::MachServiceManagerRegistry, &constructor)
            .unwrap();
        Self { chain, address }
    }

    /// A registry whose rollup 1 is watched by this code.
    fn watched_by(code: Vec<u8>) -> Self {
        let mut this = Self::new();
        this.chain.set_code(OTHER, code);
        this.register(1, OTHER).unwrap();
        this
    }

    fn send(&mut self, from: Address, call: &impl SolCall) -> Result<Done, Revert> {
        self.chain.send(from, self.address, call)
    }

    fn register(&mut self, rollup: u64, service_manager: Address) -> Result<Done, Revert> {
        self.send(
            OWNER,
            &R::registerServiceManagerCall {
                rollupChainId: U256::from(rollup),
                serviceManager: service_manager,
            },
        )
    }

    fn deregister(&mut self, rollup: u64, service_manager: Address) -> Result<Done, Revert> {
        self.send(
            OWNER,
            &R::deregisterServiceManagerCall {
                rollupChainId: U256::from(rollup),
                serviceManager: service_manager,
            },
        )
    }

    fn replace(&mut self, rollup: u64, current: Address, next: Address) -> Result<Done, Revert> {
        self.send(
            OWNER,
            &R::replaceServiceManagerCall {
                rollupChainId: U256::from(rollup),
                current,
                next,
            },
        )
    }

    fn service_manager(&mut self, rollup: u64) -> Address {
        let call = R::serviceManagersCall {
            rollupChainId: U256::from(rollup),
        };
        self.chain.call(self.address, &call).unwrap()
    }

    /// Both reads: the status, and what callers of the original see.
    fn reads(&mut self, rollup: u64) -> (u8, bool) {
        let rollup = U256::from(rollup);
        let status = R::statusCall {
            rollupChainId: rollup,
        };
        let has = R::hasActiveAlertsCall {
            rollupChainId: rollup,
        };
        let status = self.chain.call(self.address, &status).unwrap();
        (status, self.chain.call(self.address, &has).unwrap())
    }
}

/// Answers one function of no more than a selector with `answer`, reverts on all others.
fn answers_only(selector: [u8; 4], answer: &[u8; 32]) -> Vec<u8> {
    [
        // if selector == calldata >> 224, answer; else revert
        &[0x5f, 0x35, 0x60, 0xe0, 0x1c, 0x63][..],
        &selector,
        &[0x14, 0x60, 17, 0x57, 0x5f, 0x5f, 0xfd, 0x5b, 0x7f],
        answer,
        &[0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3],
    ]
    .concat()
}

fn word(value: u64) -> [u8; 32] {
    U256::from(value).to_be_bytes()
}

/// COMPAT 1.1: `totalAlerts()` of the first generation.
const TOTAL_ALERTS_V1: [u8; 4] = [0x4f, 0x2b, 0x85, 0xdb];

#[test]
fn a_rollup_that_nobody_watches_is_unknown_and_not_clear() {
    let mut registry = Registry::new();
    assert_eq!(registry.reads(ROLLUP), (UNKNOWN, false));
}

#[test]
fn alerts_of_the_service_manager_are_seen_until_they_are_removed() {
    let mut f = Fixture::new();
    let call = v2::signed(&mut f, &[0], &[66], &[]);
    let service_manager = f.service_manager;
    let mut registry = Registry::on(f.chain);
    registry.register(ROLLUP, service_manager).unwrap();
    assert_eq!(registry.reads(ROLLUP), (CLEAR, false));

    let message = call.alertHeader.messageHash;
    registry
        .chain
        .send(CONFIRMER, service_manager, &call)
        .unwrap();
    assert_eq!(registry.reads(ROLLUP), (ALERTED, true));
    assert_eq!(registry.reads(ROLLUP + 1), (UNKNOWN, false));

    let remove = IMachServiceManager::removeAlertCall {
        rollupChainId: U256::from(ROLLUP),
        messageHash: message,
    };
    registry
        .chain
        .send(OWNER, service_manager, &remove)
        .unwrap();
    assert_eq!(registry.reads(ROLLUP), (CLEAR, false));
}

#[test]
fn a_service_manager_of_the_first_generation_is_asked_in_its_words() {
    for (alerts, expected) in [
        (0, (CLEAR, false)),
        (1, (ALERTED, true)),
        (u64::MAX, (ALERTED, true)),
    ] {
        let mut registry = Registry::watched_by(answers_only(TOTAL_ALERTS_V1, &word(alerts)));
        assert_eq!(registry.reads(1), expected, "{alerts}");
    }
}

#[test]
fn a_service_manager_that_does_not_answer_makes_no_read_revert() {
    let silent: [(&str, Vec<u8>); 6] = [
        ("reverts", vec![0x5f, 0x5f, 0xfd]),
        ("answers nothing", vec![0x00]),
        ("answers half a word", vec![0x60, 0x10, 0x5f, 0xf3]),
        ("answers 20,000 bytes", vec![0x61, 0x4e, 0x20, 0x5f, 0xf3]),
        ("runs for ever", vec![0x5b, 0x5f, 0x56]),
        ("is an invalid instruction", vec![0xfe]),
    ];
    for (behaviour, code) in silent {
        let mut registry = Registry::watched_by(code);
        // To a caller that knows only yes and no, silence is no all-clear.
        assert_eq!(registry.reads(1), (UNREADABLE, true), "{behaviour}");
        // A contract that is gone.
        registry.chain.set_code(OTHER, Vec::new());
        assert_eq!(registry.reads(1), (UNREADABLE, true), "{behaviour}");
    }
}

#[test]
fn nothing_is_overwritten() {
    let mut registry = Registry::new();
    let (one, two) = (Address::repeat_byte(0x51), Address::repeat_byte(0x52));
    for address in [one, two] {
        registry.chain.set_code(address, vec![0x00]);
    }
    let done = registry.register(1, one).unwrap();
    let event = done.event::<R::ServiceManagerRegistered>();
    assert_eq!(
        (event.rollupChainId, event.serviceManager, event.sender),
        (U256::from(1), one, OWNER)
    );
    for next in [one, two] {
        assert_eq!(refused(registry.register(1, next)), "AlreadyAdded");
    }
    assert_eq!(registry.service_manager(1), one);

    let cases = [
        (one, one, "AlreadyAdded".to_owned()),
        (two, one, "NotAdded".to_owned()),
        (Address::ZERO, two, "NotAdded".to_owned()),
        (one, Address::ZERO, "ZeroAddress".to_owned()),
        (
            one,
            STRANGER,
            format!("NotAContract {{ serviceManager: {STRANGER} }}"),
        ),
    ];
    for (current, next, error) in cases {
        assert_eq!(refused(registry.replace(1, current, next)), error);
        assert_eq!(registry.service_manager(1), one);
    }
    let done = registry.replace(1, one, two).unwrap();
    let left = done.event::<R::ServiceManagerDeregistered>();
    assert_eq!((left.serviceManager, left.sender), (one, OWNER));
    let came = done.event::<R::ServiceManagerRegistered>();
    assert_eq!((came.serviceManager, came.sender), (two, OWNER));
    assert_eq!(registry.service_manager(1), two);

    assert_eq!(refused(registry.deregister(1, one)), "NotAdded");
    assert_eq!(refused(registry.deregister(2, Address::ZERO)), "NotAdded");
    registry.deregister(1, two).unwrap();
    assert_eq!(registry.reads(1), (UNKNOWN, false));
    assert_eq!(refused(registry.deregister(1, two)), "NotAdded");
    registry.register(1, one).unwrap();
}

#[test]
fn what_is_no_contract_is_not_entered() {
    let mut registry = Registry::new();
    assert_eq!(refused(registry.register(1, Address::ZERO)), "ZeroAddress");
    assert_eq!(
        refused(registry.register(1, STRANGER)),
        format!("NotAContract {{ serviceManager: {STRANGER} }}")
    );
}

#[test]
fn the_owner_is_set_at_creation_and_nobody_else_writes() {
    let mut registry = Registry::new();
    let owner = registry
        .chain
        .call(registry.address, &R::ownerCall {})
        .unwrap();
    assert_eq!(owner, OWNER);
    registry.chain.set_code(OTHER, vec![0x00]);
    registry.register(1, OTHER).unwrap();
    let unauthorized = format!("OwnableUnauthorizedAccount {{ account: {STRANGER} }}");
    let rollup = U256::from(1);
    let calls = [
        R::registerServiceManagerCall {
            rollupChainId: U256::from(2),
            serviceManager: OTHER,
        }
        .abi_encode(),
        R::deregisterServiceManagerCall {
            rollupChainId: rollup,
            serviceManager: OTHER,
        }
        .abi_encode(),
        R::replaceServiceManagerCall {
            rollupChainId: rollup,
            current: OTHER,
            next: registry.address,
        }
        .abi_encode(),
    ];
    for call in calls {
        let result = registry
            .chain
            .send_raw(STRANGER, registry.address, call.into());
        assert_eq!(refused(result), unauthorized);
    }
    // `initialize()` of the original: there is nothing to be first at.
    let initialize = registry.chain.send_raw(
        STRANGER,
        registry.address,
        vec![0x81, 0x29, 0xfc, 0x1c].into(),
    );
    assert_eq!(refused(initialize), "no reason given");
    assert_eq!(registry.service_manager(1), OTHER);
    let none = R::constructorCall {
        owner: Address::ZERO,
    };
    let refusal = registry
        .chain
        .deploy(STRANGER, Artifact::MachServiceManagerRegistry, &none);
    assert_eq!(
        refused(refusal),
        format!("OwnableInvalidOwner {{ owner: {} }}", Address::ZERO)
    );
}

/// A caller who grants the read less gas than it needs cannot hide an alert.
#[test]
fn too_little_gas_never_reads_as_clear() {
    let mut f = Fixture::new();
    let call = v2::signed(&mut f, &[0], &[66], &[]);
    f.send(CONFIRMER, &call).unwrap();
    let service_manager = f.service_manager;
    let mut registry = Registry::on(f.chain);
    registry.register(ROLLUP, service_manager).unwrap();
    let read = R::statusCall {
        rollupChainId: U256::from(ROLLUP),
    };
    let mut answers = Vec::new();
    for gas in (22_000..60_000).step_by(500) {
        let answer = registry.chain.call_with_gas(registry.address, &read, gas);
        answers.extend(answer);
    }
    assert!(answers.contains(&ALERTED));
    assert!(!answers.contains(&CLEAR) && !answers.contains(&UNKNOWN));
}

#[tokio::test]
async fn a_client_reads_the_registry_on_a_chain() {
    let network = Network::start().await;
    let owner = submitter(&network.l1, 0).await;
    let client = ServiceManagers::deploy(&owner, owner.sender())
        .await
        .unwrap();
    let status = client.status(ROLLUP).await.unwrap();
    assert_eq!(status, RollupStatus::Unknown);
    assert_eq!(client.service_manager(ROLLUP).await.unwrap(), None);

    let service_manager = network.contracts.service_manager;
    client
        .register(&owner, ROLLUP, service_manager)
        .await
        .unwrap();
    let status = client.status(ROLLUP).await.unwrap();
    assert_eq!(status, RollupStatus::Clear);
    let watching = client.service_manager(ROLLUP).await.unwrap();
    assert_eq!(watching, Some(service_manager));
    let again = client.register(&owner, ROLLUP, service_manager).await;
    assert!(refusal(again).contains("AlreadyAdded"));
    let registry = client.address();
    client
        .replace(&owner, ROLLUP, service_manager, registry)
        .await
        .unwrap();
    let status = client.status(ROLLUP).await.unwrap();
    assert_eq!(status, RollupStatus::Unreadable);
    let left = client.deregister(&owner, ROLLUP, service_manager).await;
    assert!(refusal(left).contains("NotAdded"));
    client.deregister(&owner, ROLLUP, registry).await.unwrap();
    let status = client.status(ROLLUP).await.unwrap();
    assert_eq!(status, RollupStatus::Unknown);

    let nothing = ServiceManagers::new(network.l1.provider(), Address::repeat_byte(0x77));
    assert!(nothing.status(ROLLUP).await.is_err());
}

fn refusal<T: std::fmt::Debug>(result: Result<T, SubmitError>) -> String {
    format!("{:?}", result.unwrap_err().revert().unwrap())
}
