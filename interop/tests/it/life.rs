//! What an operator goes through, from its first deposit to its last goodbye.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_provider::Provider;
use ark_bn254::{Fq, G1Affine, G1Projective};
use ark_ec::CurveGroup;
use ark_ff::{AdditiveGroup, BigInteger, PrimeField};
use mach_bls::{
    LocalSigner, OperatorKeys, Tally,
    bn254::{SecretKey, hash_to_g1},
};
use mach_contracts_bindings::{
    Avs, Churn, Consent, ContractConfirmer, ContractRegistry, EigenLayerCore, KeyProof, OptIn,
    Plan, PlanError, Registration, RegistrationError, ServiceManager, Standing, Target, World,
    abi::{self, IMachServiceManager, IOperatorStateRetriever},
    proof,
};
use mach_core::{
    Alert, AlertKind, Attestation, BlockRef, Certificate, Domain, G1Bytes, QuorumNumbers, Stake,
    Statement,
    legacy::digest_v2,
    ports::{OperatorRegistry, SignatureAggregator, StatementConfirmer, StatementSigner},
};
use mach_devnet::DEV_ACCOUNTS;
use mach_node::{Aggregator, AggregatorConfig, ProviderHead, store::MemoryStore};

use crate::{
    l1::account,
    sets::{self, DEALLOCATION_DELAY, HALF},
    stack::{IToken, MINIMUM, ROLLUP, ROOM, Stack, TOKEN, Weighs},
};

/// Gas of `confirmAlert` with the original's service manager, one operator absent (FACTS).
const GENUINE_GAS: u64 = 337_000;

/// Everything, on one deployment.
pub(crate) async fn run(stack: &Stack) {
    let avs = what_the_chain_says(stack).await;
    nothing_is_sent_to_the_wrong_place(stack, &avs).await;
    for index in 1..=4 {
        joins_eigenlayer(stack, index, 100 * index as u64).await;
        opts_in(stack, index, 0).await;
    }
    refusals_are_told_before(stack, &avs).await;

    let before = past_block(stack).await;
    confirms(stack, alert(10), before, &[1]).await;
    confirms(stack, attestation(11), before, &[]).await;
    confirms(stack, attestation(12), before, &[1, 2]).await;
    an_aggregator_confirms(stack, attestation(13)).await;
    old_clients_confirm(stack, before).await;
    if stack.weighs == Weighs::Slashable {
        is_slashed(stack, &avs, 3, before).await;
    }

    opts_out(stack, 4).await;
    // 100 of 600 absent; and as of then, when operator 4 was still in.
    let after = past_block(stack).await;
    confirms(stack, alert(20), after, &[1]).await;
    confirms(stack, alert(21), before, &[2]).await;
    may_come_back(stack, 4).await;
    opts_in(stack, 4, 1).await;
    let again = past_block(stack).await;
    confirms(stack, alert(22), again, &[3]).await;

    takes_a_place(stack, 5, 1).await;
    for index in 2..=5 {
        opts_out(stack, index).await;
    }
    let set = registry(stack)
        .await
        .operator_set(&quorums(), past_block(stack).await)
        .await
        .unwrap();
    assert_eq!(set.operators().count(), 0);
}

async fn what_the_chain_says(stack: &Stack) -> Avs {
    let avs = Avs::connect(stack.l1.provider(), &target(stack))
        .await
        .unwrap();
    assert_eq!(avs.service_manager(), stack.avs);
    assert_eq!(avs.delegation_manager(), Some(stack.delegation_manager));
    let registration = avs.registration(&quorums()).unwrap();
    assert_eq!(registration.world(), stack.world);
    // The digest that is signed is the one that the genuine coordinator hashes.
    for index in 1..=4 {
        let digest = registration.key_digest(account(index)).await.unwrap();
        let point = registration.key_point(account(index)).await.unwrap();
        assert_eq!(hash_to_g1(digest).to_bytes(), point);
    }
    avs
}

async fn nothing_is_sent_to_the_wrong_place(stack: &Stack, avs: &Avs) {
    let connect = async |target: Target| {
        let connected = Avs::connect(stack.l1.provider(), &target).await;
        connected.map(|_| ()).unwrap_err()
    };
    let good = target(stack);
    let error = connect(Target {
        l1_chain_id: Some(1),
        ..good
    })
    .await;
    assert!(
        matches!(error, RegistrationError::WrongChain { expected: 1, .. }),
        "{error}"
    );
    let error = connect(Target {
        coordinator: account(9),
        ..good
    })
    .await;
    assert!(matches!(error, RegistrationError::NoCode { .. }), "{error}");
    let error = connect(Target {
        coordinator: stack.token,
        ..good
    })
    .await;
    assert!(
        matches!(error, RegistrationError::NotACoordinator(_)),
        "{error}"
    );
    let error = connect(Target {
        service_manager: Some(stack.token),
        ..good
    })
    .await;
    assert!(
        matches!(error, RegistrationError::WrongServiceManager { .. }),
        "{error}"
    );

    // Nobody is an operator yet.
    let registration = avs.registration(&quorums()).unwrap();
    let opt_in = signed(stack, &registration, 1, 0).await;
    let error = registration.register(&opt_in).await.unwrap_err();
    assert!(
        matches!(error, RegistrationError::NotAnOperator(_)),
        "{error}"
    );
    let error = registration
        .deregister(account(1), &quorums())
        .await
        .unwrap_err();
    assert!(
        matches!(error, RegistrationError::NotRegistered(0)),
        "{error}"
    );
}

/// Becomes an operator with a stake, in whole tokens.
async fn joins_eigenlayer(stack: &Stack, index: usize, stake: u64) {
    let submitter = stack.l1.submitter(index).await;
    let core = EigenLayerCore::connect(stack.l1.provider(), stack.delegation_manager)
        .await
        .unwrap();
    assert_eq!(
        core.allocation_manager().is_some(),
        stack.world == World::OperatorSets
    );
    let operator = account(index);
    let plan = core.register(operator, &Default::default()).await.unwrap();
    send(plan, stack, index).await;
    let error = core
        .register(operator, &Default::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("already"), "{error}");

    let amount = U256::from(stake) * U256::from(TOKEN);
    let error = core
        .deposit(operator, stack.strategy, amount)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the account has 0 MCK of the {stake} MCK to deposit: get more of the token {}",
            stack.token
        )
    );
    let mint = IToken::mintCall {
        account: operator,
        amount,
    };
    submitter.call(stack.token, &mint).await.unwrap();
    let plan = core
        .deposit(operator, stack.strategy, amount)
        .await
        .unwrap();
    assert_eq!(plan.steps.len(), 2, "{plan}");
    send(plan, stack, index).await;
    let status = core.status(operator, &[stack.strategy]).await.unwrap();
    assert!(status.is_operator);
    assert_eq!(status.delegated_to, Some(operator));
    assert_eq!(status.shares, [(stack.strategy, amount)]);
    if stack.weighs == Weighs::Slashable {
        let set = abi::OperatorSet {
            avs: stack.avs,
            id: 0,
        };
        let share = [(stack.strategy, HALF)];
        let plan = core.allocate(operator, set, &share).await.unwrap();
        send(plan, stack, index).await;
    }
}

async fn opts_in(stack: &Stack, index: usize, salt: u8) {
    let registration = registration(stack).await;
    let mut opt_in = signed(stack, &registration, index, salt).await;
    if salt > 0 {
        // The coordinator knows the key.
        opt_in.key = None;
    }
    let status = registration.status(account(index)).await.unwrap();
    assert_eq!(status.quorums[0].weight, stake(stack, index));
    let plan = registration.register(&opt_in).await.unwrap();
    plan.simulate(&stack.l1.provider().erased()).await.unwrap();
    send(plan, stack, index).await;
    let status = registration.status(account(index)).await.unwrap();
    assert_eq!(status.standing, Standing::Registered);
    assert_eq!(
        status.operator_id,
        Some(key(index).public_key().operator_id())
    );
    assert_eq!(status.eigenlayer_operator, Some(true));
    let quorum = status.quorums[0];
    assert!(quorum.member);
    assert_eq!(quorum.stake, quorum.weight);
    assert_eq!(quorum.weight, stake(stack, index));
    assert_eq!(quorum.minimum_stake, Stake::new(MINIMUM.into()).unwrap());
    assert_eq!(quorum.max_operators, Some(ROOM));
    assert_eq!(quorum.slashable, stack.world == World::OperatorSets);
    assert_eq!(
        status.allocation_delay.is_some(),
        stack.world == World::OperatorSets
    );
}

async fn opts_out(stack: &Stack, index: usize) {
    let registration = registration(stack).await;
    let plan = registration
        .deregister(account(index), &quorums())
        .await
        .unwrap();
    send(plan, stack, index).await;
    let status = registration.status(account(index)).await.unwrap();
    assert_eq!(status.standing, Standing::Deregistered);
    assert!(!status.quorums[0].member);
    assert_eq!(status.quorums[0].stake, Stake::ZERO);
}

/// Loses half of what counts, from the block on in which the quorum took note of it.
async fn is_slashed(stack: &Stack, avs: &Avs, index: usize, before: u32) {
    let manager = avs.allocation_manager().unwrap();
    sets::slash(stack, manager, account(index)).await;
    let after = past_block(stack).await;
    let (registry, id) = (registry(stack).await, key(index).public_key().operator_id());
    let read = async |block| {
        let set = registry.operator_set(&quorums(), block).await.unwrap();
        (set.stake(0, &id).unwrap(), set.total_stake(0))
    };
    let (whole, all) = read(before).await;
    assert_eq!(whole, stake(stack, index));
    let (left, rest) = read(after).await;
    // EigenLayer rounds down, at the eighteenth decimal of each share.
    let lost = whole.weight() - left.weight();
    let half = whole.weight() / 2;
    assert!((half..half + 1_000).contains(&lost), "{lost} of {whole}");
    assert_eq!(all.weight() - rest.weight(), lost);
    let status = registration(stack).await.status(account(index)).await;
    let quorum = status.unwrap().quorums[0];
    assert_eq!((quorum.stake, quorum.weight), (left, left));

    // The contract counts as the reader does, now and as of then.
    for (number, block, total, absent) in [(14, after, rest, 3), (15, before, all, 2)] {
        let statement = attestation(number);
        let certified = certificate(stack, statement.clone(), block, &[absent]).await;
        assert_eq!(certified.quorums[0].total, total);
        confirms(stack, statement, block, &[absent]).await;
    }
}

/// Whoever left an operator set has to wait for the end of the time in which it can be slashed.
async fn may_come_back(stack: &Stack, index: usize) {
    if stack.world == World::M2 {
        return;
    }
    let registration = registration(stack).await;
    let opt_in = signed(stack, &registration, index, 1).await;
    let error = registration.register(&opt_in).await.unwrap_err();
    let slashable = RegistrationError::StillSlashable {
        quorum: 0,
        blocks: DEALLOCATION_DELAY,
    };
    assert_eq!(error.to_string(), slashable.to_string());
    for _ in 0..=DEALLOCATION_DELAY {
        stack.l1.mine().await;
    }
}

/// Four operators are in, and nothing of this gets as far as a transaction.
async fn refusals_are_told_before(stack: &Stack, avs: &Avs) {
    let registration = avs.registration(&quorums()).unwrap();
    let opt_in = signed(stack, &registration, 1, 1).await;
    let error = registration.register(&opt_in).await.unwrap_err();
    assert!(
        matches!(error, RegistrationError::AlreadyRegistered(0)),
        "{error}"
    );
    let unknown = OptIn {
        quorums: QuorumNumbers::new([7]).unwrap(),
        ..opt_in
    };
    let error = registration.register(&unknown).await.unwrap_err();
    assert!(
        matches!(
            error,
            RegistrationError::UnknownQuorum {
                quorum: 7,
                count: 1
            }
        ),
        "{error}"
    );

    joins_eigenlayer(stack, 5, 500).await;
    let opt_in = signed(stack, &registration, 5, 0).await;
    let error = registration.register(&opt_in).await.unwrap_err();
    assert!(
        matches!(
            error,
            RegistrationError::QuorumFull {
                quorum: 0,
                max_operators: ROOM
            }
        ),
        "{error}"
    );
    let stolen = OptIn {
        key: Some(key_proof(&registration, 5, 1).await),
        ..opt_in.clone()
    };
    let error = registration.register(&stolen).await.unwrap_err();
    assert!(
        matches!(error, RegistrationError::KeyTaken { owner, .. } if owner == account(1)),
        "{error}"
    );
    let keyless = OptIn {
        key: None,
        ..opt_in
    };
    let error = registration.register(&keyless).await.unwrap_err();
    assert!(matches!(error, RegistrationError::NoKey(_)), "{error}");
}

/// Joins a full quorum in place of another operator.
async fn takes_a_place(stack: &Stack, index: usize, other: usize) {
    let registration = registration(stack).await;
    let mut opt_in = signed(stack, &registration, index, 0).await;
    opt_in.churn = Some(Churn {
        kicks: vec![(0, account(other))],
        salt: keccak256("churn"),
        expiry: stack.l1.time().await + 600,
        signature: None,
    });
    let asked = registration.register(&opt_in).await.unwrap();
    let missing: Vec<_> = asked.unsigned().collect();
    assert_eq!(missing.len(), 1);
    assert_eq!(
        (missing[0].signer, missing[0].what.as_str()),
        (account(0), "churn approval")
    );
    let refused = asked
        .send(&stack.l1.submitter(index).await)
        .await
        .unwrap_err();
    assert!(matches!(refused, PlanError::Unsigned(_)), "{refused}");

    // Signed by the wrong key, then by the approver, who is elsewhere.
    for (signer, good) in [(3, false), (0, true)] {
        let signature = sign(missing[0].digest, signer);
        let churn = opt_in.churn.as_mut().unwrap();
        churn.signature = Some(signature);
        let answer = registration.register(&opt_in).await;
        if good {
            send(answer.unwrap(), stack, index).await;
        } else {
            let error = answer.unwrap_err();
            assert!(
                matches!(error, RegistrationError::OtherSigner { signer, .. } if signer == account(3)),
                "{error}"
            );
        }
    }
    let standing = async |index| registration.status(account(index)).await.unwrap().standing;
    assert_eq!(standing(index).await, Standing::Registered);
    assert_eq!(standing(other).await, Standing::Deregistered);

    if stack.world == World::M2 {
        consents_are_checked(stack, &registration, other).await;
    }
}

/// Operator `index` was in and left.
async fn consents_are_checked(stack: &Stack, registration: &dyn Registration, index: usize) {
    opts_out(stack, 4).await;
    let used = signed(stack, registration, index, 0).await;
    let error = registration.register(&used).await.unwrap_err();
    assert!(
        matches!(error, RegistrationError::SaltSpent { .. }),
        "{error}"
    );
    let mut late = signed(stack, registration, index, 1).await;
    late.consent.expiry = 1;
    let error = registration.register(&late).await.unwrap_err();
    assert!(
        matches!(error, RegistrationError::Expired { expiry: 1, .. }),
        "{error}"
    );
    let mut open = signed(stack, registration, index, 1).await;
    let signature = open.signature.take();
    let plan = registration.register(&open).await.unwrap();
    let missing: Vec<_> = plan.unsigned().collect();
    let digest = registration.consent_digest(account(index), open.consent);
    assert_eq!(missing[0].digest, digest.await.unwrap().unwrap());
    // The key was elsewhere; its signature comes back.
    open.signature = signature;
    send(registration.register(&open).await.unwrap(), stack, index).await;
    opts_out(stack, index).await;
    opts_in(stack, 4, 2).await;
}

/// A V3 statement, signed by everybody but `absent`, from certificate to contract.
async fn confirms(stack: &Stack, statement: Statement, reference_block: u32, absent: &[usize]) {
    let certificate = certificate(stack, statement.clone(), reference_block, absent).await;
    assert_eq!(certificate.non_signers.len(), absent.len());
    let manager = manager(stack).await;
    assert!(!manager.stands(&statement).await.unwrap());
    let confirmation = confirmer(stack).await.confirm(&certificate).await.unwrap();
    assert_eq!(confirmation.digest, certificate.digest());
    assert!(confirmation.transaction.is_some());
    assert!(manager.stands(&statement).await.unwrap());
    let kind = match statement {
        Statement::Alert(_) => "an alert",
        Statement::Attestation(_) => "an attestation",
    };
    println!(
        "{:?}: {} gas for {kind}, {} absent",
        stack.world,
        confirmation.gas_used.unwrap(),
        absent.len()
    );
}

/// The same through mach-node: operators send signatures, the aggregator does the rest.
async fn an_aggregator_confirms(stack: &Stack, statement: Statement) {
    let terms = manager(stack).await.terms().await.unwrap();
    let config = AggregatorConfig::new(
        domain(stack).await,
        [ROLLUP],
        terms.quorums.clone(),
        terms.thresholds.clone(),
    );
    let head = Arc::new(ProviderHead::new(stack.l1.provider()));
    stack.l1.mine().await;
    let (registry, confirmer) = (registry(stack).await, confirmer(stack).await);
    let aggregator = Aggregator::new(MemoryStore::new(), registry, head, confirmer, config);
    let round = aggregator.open(&statement).await.unwrap();
    assert_eq!(round.quorums(), &terms.quorums);
    for index in [2, 3, 4] {
        let signer = LocalSigner::new(key(index));
        let signed = signer.sign(&statement, &domain(stack).await).await.unwrap();
        aggregator.submit(signed).await.unwrap();
    }
    let manager = manager(stack).await;
    for _ in 0..2400 {
        if manager.stands(&statement).await.unwrap() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the aggregator did not confirm");
}

/// A V2 alert, as clients of the original send it.
async fn old_clients_confirm(stack: &Stack, reference_block: u32) {
    let message_hash = keccak256("an output root that is wrong");
    let digest = digest_v2(message_hash, reference_block, ROLLUP);
    let absent = [1];
    // Keys, quorums and non-signers do not depend on what is signed.
    let certificate = certificate(stack, alert(99), reference_block, &absent).await;
    let certificate = Certificate {
        sigma: sum((2..=4).map(|index| key(index).sign(digest).to_bytes())),
        ..certificate
    };
    let submitter = stack.l1.submitter(0).await;
    let indices = IOperatorStateRetriever::getCheckSignaturesIndicesCall {
        registryCoordinator: stack.coordinator,
        referenceBlockNumber: reference_block,
        quorumNumbers: Bytes::from_static(&[0]),
        nonSignerOperatorIds: certificate
            .non_signers
            .iter()
            .map(|absent| absent.id.0)
            .collect(),
    };
    let indices = read(stack, stack.retriever, &indices).await;
    let call = IMachServiceManager::confirmAlertCall {
        alertHeader: abi::AlertHeader {
            messageHash: message_hash,
            quorumNumbers: Bytes::from_static(&[0]),
            quorumThresholdPercentages: Bytes::from_static(&[66]),
            referenceBlockNumber: reference_block,
            rollupChainID: U256::from(ROLLUP),
        },
        nonSignerStakesAndSignature: proof(&certificate, indices),
    };
    let receipt = submitter.call(stack.service_manager, &call).await.unwrap();
    println!(
        "{:?}: {} gas for confirmAlert, one absent",
        stack.world, receipt.gas_used
    );
    assert!(
        receipt.gas_used * 100 <= GENUINE_GAS * 105,
        "{}",
        receipt.gas_used
    );
    let call = IMachServiceManager::containsCall {
        rollupChainId: U256::from(ROLLUP),
        messageHash: message_hash,
    };
    assert!(read(stack, stack.service_manager, &call).await);
}

async fn certificate(
    stack: &Stack,
    statement: Statement,
    reference_block: u32,
    absent: &[usize],
) -> Certificate {
    let terms = manager(stack).await.terms().await.unwrap();
    let round = terms.round(reference_block).unwrap();
    let set = registry(stack)
        .await
        .operator_set(round.quorums(), reference_block)
        .await
        .unwrap();
    let keys = Arc::new(OperatorKeys::new(&set).unwrap());
    let mut tally = Tally::new(statement.clone(), domain(stack).await, round, keys).unwrap();
    for index in (1..=5).filter(|index| !absent.contains(index)) {
        let signer = LocalSigner::new(key(index));
        if set.operator(&signer.operator()).is_some() {
            let signed = signer.sign(&statement, &domain(stack).await).await.unwrap();
            tally.add(&signed).unwrap();
        }
    }
    let attempt = tally.certificate();
    assert!(attempt.rejected.is_empty());
    attempt.certificate.unwrap()
}

async fn signed(stack: &Stack, registration: &dyn Registration, index: usize, salt: u8) -> OptIn {
    let opt_in = OptIn {
        operator: account(index),
        quorums: quorums(),
        socket: "operator.example:8901".to_owned(),
        key: Some(key_proof(registration, index, index).await),
        consent: Consent {
            salt: B256::with_last_byte(salt),
            expiry: stack.l1.time().await + 3600,
        },
        signature: None,
        churn: None,
    };
    let signer = DEV_ACCOUNTS[index].signer();
    opt_in.signed_by(registration, &signer).await.unwrap()
}

/// Proof for operator `index` of the key of `owner`.
async fn key_proof(registration: &dyn Registration, index: usize, owner: usize) -> KeyProof {
    let digest = registration.key_digest(account(index)).await.unwrap();
    let proof = key(owner).prove_possession(&hash_to_g1(digest));
    KeyProof {
        key_g1: proof.key_g1,
        key_g2: proof.key_g2,
        signature: proof.signature,
    }
}

async fn send(plan: Plan, stack: &Stack, index: usize) {
    plan.send(&stack.l1.submitter(index).await).await.unwrap();
}

fn sign(digest: B256, index: usize) -> Bytes {
    use alloy_signer::SignerSync;
    let signature = DEV_ACCOUNTS[index].signer().sign_hash_sync(&digest);
    Bytes::copy_from_slice(&signature.unwrap().as_bytes())
}

async fn registration(stack: &Stack) -> Box<dyn Registration> {
    let avs = Avs::connect(stack.l1.provider(), &target(stack)).await;
    avs.unwrap().registration(&quorums()).unwrap()
}

async fn registry(stack: &Stack) -> ContractRegistry {
    ContractRegistry::connect(
        stack.l1.provider(),
        stack.coordinator,
        stack.retriever,
        stack.first_block,
    )
    .await
    .unwrap()
}

async fn manager(stack: &Stack) -> ServiceManager {
    ServiceManager::connect(stack.l1.provider(), stack.service_manager)
        .await
        .unwrap()
}

async fn confirmer(stack: &Stack) -> ContractConfirmer {
    // Anybody may submit V3 statements.
    let submitter = stack.l1.submitter(8).await;
    ContractConfirmer::connect(submitter, stack.service_manager, stack.retriever)
        .await
        .unwrap()
}

async fn domain(stack: &Stack) -> Domain {
    manager(stack).await.domain()
}

async fn read<C: alloy_sol_types::SolCall>(stack: &Stack, to: Address, call: &C) -> C::Return {
    let request = alloy_rpc_types_eth::TransactionRequest {
        to: Some(to.into()),
        input: call.abi_encode().into(),
        ..Default::default()
    };
    let answer = stack.l1.provider().call(request).await.unwrap();
    C::abi_decode_returns(&answer).unwrap()
}

/// A block of now that is past when the next transaction is in.
async fn past_block(stack: &Stack) -> u32 {
    stack.l1.mine().await;
    stack.l1.head().await - 1
}

fn target(stack: &Stack) -> Target {
    Target {
        coordinator: stack.coordinator,
        service_manager: Some(stack.avs),
        l1_chain_id: Some(31337),
    }
}

fn key(index: usize) -> SecretKey {
    SecretKey::from_bytes(&keccak256([index as u8]).0.map(|byte| byte >> 3)).unwrap()
}

fn quorums() -> QuorumNumbers {
    QuorumNumbers::new([0]).unwrap()
}

/// What counts of operator `index`, who deposited a hundred tokens for each number.
fn stake(stack: &Stack, index: usize) -> Stake {
    let whole = 100 * index as u64;
    tokens(match stack.weighs {
        Weighs::Delegated => whole,
        Weighs::Slashable => whole / 2,
    })
}

fn tokens(whole: u64) -> Stake {
    Stake::new(u128::from(whole) * u128::from(TOKEN)).unwrap()
}

fn alert(number: u64) -> Statement {
    Alert {
        kind: AlertKind::InvalidBlock,
        rollup_chain_id: ROLLUP,
        block: block(number),
        rule: 1,
        claimed: keccak256("claimed"),
        computed: keccak256("computed"),
    }
    .into()
}

fn attestation(number: u64) -> Statement {
    Attestation {
        rollup_chain_id: ROLLUP,
        block: block(number),
        state_root: keccak256("state"),
        output_root: keccak256("output"),
    }
    .into()
}

fn block(number: u64) -> BlockRef {
    BlockRef {
        number,
        hash: keccak256(number.to_be_bytes()),
    }
}

/// Sum of points, by arkworks.
fn sum(points: impl Iterator<Item = G1Bytes>) -> G1Bytes {
    let mut total = G1Projective::ZERO;
    for point in points {
        let (x, y) = point.0.split_at(32);
        let [x, y] = [x, y].map(Fq::from_be_bytes_mod_order);
        total += G1Affine::new(x, y);
    }
    let total = total.into_affine();
    let bytes = [total.x, total.y].map(|value| value.into_bigint().to_bytes_be());
    G1Bytes(alloy_primitives::FixedBytes::from_slice(&bytes.concat()))
}
