//! From an output root down to a block far below it.

use alloy_consensus::Header;
use mach_contracts_bindings::zk::abi::IZkEvidence as E;

use super::*;

/// Headers from height `first` up to `last`, each the child of the one before; the newest first, as RLP, and the hash of each.
fn chain(first: u64, last: u64, salt: u8) -> Vec<(B256, Bytes)> {
    let mut parent_hash = B256::repeat_byte(salt);
    let mut headers: Vec<_> = (first..=last)
        .map(|number| {
            let header = Header {
                parent_hash,
                number,
                gas_limit: 60_000_000,
                timestamp: 1_700_000_000 + 2 * number,
                extra_data: vec![0; 9].into(),
                base_fee_per_gas: Some(250),
                withdrawals_root: Some(B256::repeat_byte(0x16)),
                blob_gas_used: Some(0),
                excess_blob_gas: Some(0),
                parent_beacon_block_root: Some(B256::repeat_byte(0xbe)),
                requests_hash: Some(B256::repeat_byte(0x77)),
                ..Header::default()
            };
            let rlp = Bytes::from(alloy_rlp::encode(&header));
            parent_hash = keccak256(&rlp);
            (parent_hash, rlp)
        })
        .collect();
    headers.reverse();
    headers
}

fn rlp(headers: &[(B256, Bytes)]) -> Vec<Bytes> {
    headers.iter().map(|(_, rlp)| rlp.clone()).collect()
}

impl World {
    async fn evidence(&self) -> Address {
        let request = alloy_rpc_types_eth::TransactionRequest::default()
            .to(self.zk.address())
            .input(Z::evidenceCall {}.abi_encode().into());
        let answer = self.l1().call(request).await.unwrap();
        Z::evidenceCall::abi_decode_returns(&answer).unwrap()
    }

    /// The proposer posts an output root that names a header, as a game.
    async fn post(&self, hash: B256, number: u64) -> (U256, Opening) {
        let opening = Opening {
            stateRoot: B256::repeat_byte(0x11),
            messagePasserStorageRoot: B256::repeat_byte(0x16),
            blockHash: hash,
        };
        let proposer = submitter(&self.devnet, &PROPOSER).await;
        let index = self.game(&proposer, output_root(&opening), number).await;
        let raise = Raise::GameClaim {
            index,
            expected: B256::ZERO,
        };
        (self.raise(raise).await, opening)
    }

    /// Proves that a header is wrong.
    async fn prove_wrong(&self, hash: B256, number: u64) {
        let claim = Claim {
            blockHash: hash,
            blockNumber: number,
            ..self.claim(3, 4)
        };
        let proof = self.proof(&self.prover, &claim);
        self.zk
            .record_proof(&self.prover, BLOCK_PROGRAM, &claim, &proof)
            .await
            .unwrap();
    }

    async fn settle_by(&self, id: U256, path: &Path) -> Result<(), SubmitError> {
        let sent = self
            .zk
            .settle(&self.stranger, id, CONFIG, ProgramKind::Block, path)
            .await;
        sent.map(drop)
    }
}

/// As far apart as outputs are posted: every 1,800 blocks.
#[tokio::test]
async fn the_first_block_after_an_output_convicts_the_next_output() {
    let world = World::new().await;
    let headers = chain(10_000, 11_800, 0xaa);
    let (id, opening) = world.post(headers[0].0, 11_800).await;
    world.prove_wrong(headers[1800].0, 10_000).await;
    // From the output's own header to the child of the one that is wrong.
    let way = rlp(&headers[..1800]);
    let path = |headers: &[Bytes]| Path {
        opening: opening.clone(),
        headers: headers.to_vec(),
    };
    // That many are too much for one call: 513 for the contract, all of them for nodes.
    let told = world.settle_by(id, &path(&way[..513])).await;
    assert!(told.refusal().starts_with("TooManyHeaders"));

    let before = world.l1().get_block_number().await.unwrap();
    let rest = world
        .zk
        .descend(&world.stranger, opening.blockHash, &way)
        .await
        .unwrap();
    let after = world.l1().get_block_number().await.unwrap();
    let (mut most, mut total) = (0, 0);
    for number in before + 1..=after {
        let block = world.l1().get_block(number.into()).await.unwrap().unwrap();
        most = most.max(block.header.gas_used);
        total += block.header.gas_used;
    }
    println!(
        "1,800 headers in {} calls and the last {}: {total} gas, at most {most} in one",
        after - before,
        rest.len()
    );
    // EIP-7825: a transaction has 2^24 gas at most.
    assert!(after - before >= 5 && most < 1 << 24, "{most}");
    // Again it costs nothing, and whoever shortens the way leaves the judge another header.
    let again = world
        .zk
        .descend(&world.alerter, opening.blockHash, &way)
        .await
        .unwrap();
    assert_eq!(again, rest);
    assert_eq!(world.l1().get_block_number().await.unwrap(), after);
    let short = path(&rest[..rest.len() - 1]);
    let told = world.settle_by(id, &short).await;
    assert!(told.refusal().starts_with("NoVerdict"));

    world.settle_by(id, &path(&rest)).await.unwrap();
    assert_eq!(world.status(id).await, (Status::Proved, Ground::BlockProof));
    assert_eq!(world.convictions().await, 1);
}

#[tokio::test]
async fn anybody_goes_on_where_another_stopped_and_nobody_elsewhere() {
    let world = World::new().await;
    let evidence = world.evidence().await;
    let headers = chain(100, 130, 0xaa);
    let top = headers[0].0;
    let record = async |sender: &Submitter, from: B256, range: std::ops::Range<usize>| {
        let call = E::recordDescentCall {
            blockHash: from,
            headers: rlp(&headers[range]),
        };
        sender.call(evidence, &call).await
    };
    let known = |from: B256, to: B256| {
        let call = E::isAncestorCall {
            blockHash: from,
            ancestor: to,
        };
        let request = alloy_rpc_types_eth::TransactionRequest::default()
            .to(evidence)
            .input(call.abi_encode().into());
        let l1 = world.l1();
        async move {
            let answer = l1.call(request).await.unwrap();
            E::isAncestorCall::abi_decode_returns(&answer).unwrap()
        }
    };
    let receipt = record(&world.alerter, top, 0..10).await.unwrap();
    let event = receipt
        .inner
        .logs()
        .iter()
        .find_map(|log| E::DescentRecorded::decode_log(&log.inner).ok())
        .unwrap();
    assert_eq!((event.blockHash, event.ancestor), (top, headers[10].0));
    record(&world.stranger, top, 10..20).await.unwrap();
    assert!(known(top, headers[10].0).await && known(top, headers[20].0).await);
    // Only what was shown, from where it was shown, and whole.
    assert!(!known(top, headers[15].0).await);
    assert!(!known(headers[10].0, headers[20].0).await);
    let skipped = record(&world.stranger, top, 21..25).await;
    assert!(skipped.refusal().starts_with("HeaderMismatch"));
    let below = record(&world.stranger, headers[20].0, 21..25).await;
    assert!(below.refusal().starts_with("HeaderMismatch"));
    // What descends from another header does not descend from this one.
    let others = chain(100, 130, 0xbb);
    let foreign = E::recordDescentCall {
        blockHash: top,
        headers: rlp(&others[20..22]),
    };
    let foreign = world.stranger.call(evidence, &foreign).await;
    assert!(foreign.refusal().starts_with("HeaderMismatch"));
    let mut gap = rlp(&headers[20..24]);
    gap.remove(2);
    let gap = E::recordDescentCall {
        blockHash: top,
        headers: gap,
    };
    let gap = world.stranger.call(evidence, &gap).await;
    assert!(gap.refusal().starts_with("HeaderMismatch"));

    // A later output takes the way that an earlier one has.
    record(&world.stranger, headers[20].0, 20..28)
        .await
        .unwrap();
    let missing = world
        .zk
        .join_descents(&world.stranger, top, headers[15].0, headers[28].0)
        .await;
    assert!(missing.refusal().starts_with("NoDescent"));
    let missing = world
        .zk
        .join_descents(&world.stranger, top, headers[20].0, headers[27].0)
        .await;
    assert!(missing.refusal().starts_with("NoDescent"));
    world
        .zk
        .join_descents(&world.stranger, top, headers[20].0, headers[28].0)
        .await
        .unwrap();
    assert!(known(top, headers[28].0).await);
    record(&world.stranger, top, 28..30).await.unwrap();

    // The way of one output is not that of another whose header is another.
    let (id, mut opening) = world.post(others[0].0, 130).await;
    world.prove_wrong(headers[30].0, 100).await;
    let path = Path {
        opening: opening.clone(),
        headers: rlp(&headers[28..30]),
    };
    let told = world.settle_by(id, &path).await;
    assert!(told.refusal().starts_with("HeaderMismatch"));
    opening.blockHash = top;
    let path = Path { opening, ..path };
    let told = world.settle_by(id, &path).await;
    assert!(told.refusal().starts_with("OpeningMismatch"));
    let (id, opening) = world.post(top, 130).await;
    let path = Path { opening, ..path };
    world.settle_by(id, &path).await.unwrap();
    assert_eq!(world.status(id).await, (Status::Proved, Ground::BlockProof));
}
