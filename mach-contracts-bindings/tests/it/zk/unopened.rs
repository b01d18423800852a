//! Output roots that no proof reaches.

use super::*;

/// Who posts 32 random bytes has said nothing of any block. No proof and nothing in the EVM leads from there
/// to a header, so that whoever accuses it has nothing to show, however wrong the rollup's blocks are.
#[tokio::test]
async fn a_root_that_nobody_can_open_is_convicted_by_no_proof() {
    let world = World::new().await;
    let garbage = B256::repeat_byte(0x66);
    world.post_root(garbage, 1).await;
    let raise = Raise::OracleOutput {
        index: 0,
        expected: B256::ZERO,
    };
    let id = world.raise(raise).await;
    // Block 1 is proved wrong, and its own output root is on record with it.
    let claim = world.claim(1, 4);
    let proof = world.proof(&world.prover, &claim);
    (world.zk)
        .record_proof(&world.prover, BLOCK_PROGRAM, &claim, &proof)
        .await
        .unwrap();
    let (opening, _) = world.opening(1).await;
    let mut openings = vec![opening.clone(), Opening::default()];
    openings.push(Opening {
        blockHash: garbage,
        ..opening
    });
    let to = world.zk.address();
    for opening in &openings {
        let path = at(opening);
        let accuse = Z::accuseCall {
            kind: Accused::OracleOutput,
            index: U256::ZERO,
            program: BLOCK_PROGRAM,
            claim: claim.clone(),
            proof: proof.clone(),
            path: path.clone(),
        };
        let kind = ProgramKind::Block;
        let header = world.header(1);
        let told = [
            world.submit(id, &claim, &path).await.refusal(),
            (world
                .zk
                .settle(&world.stranger, id, CONFIG, kind, &path)
                .await)
                .refusal(),
            (world
                .zk
                .convict_directly(&world.stranger, id, opening, &header, &[])
                .await)
                .refusal(),
            world.prover.call(to, &accuse).await.refusal(),
        ];
        for told in told {
            assert!(told.starts_with("OpeningMismatch"), "{told}");
        }
    }
    // Operators could tell, if there were any that are believed.
    let judge = Z::judgeByAttestationCall {
        id,
        attested: 1,
        headers: vec![],
        header: Bytes::new(),
        accountProof: vec![],
    };
    let told = world.stranger.call(to, &judge).await.refusal();
    assert!(told.starts_with("NotAttested"), "{told}");
    // Nothing was shown for it either: the bond is lost, and nobody is convicted.
    world.pass(WINDOW);
    world.zk.expire(&world.stranger, id).await.unwrap();
    assert_eq!(world.status(id).await, (Status::Expired, Ground::None));
    assert_eq!(world.withdrawable(world.config.beneficiary).await, BOND);
    assert_eq!(world.convictions().await, 0);
}

/// The root opens, so that withdrawals are shown under it, and names the hash of no header. Nothing that anybody has
/// hashes to it.
#[tokio::test]
async fn a_root_that_names_no_header_is_convicted_by_no_proof() {
    let world = World::new().await;
    let (third, _) = world.opening(3).await;
    let opening = Opening {
        messagePasserStorageRoot: B256::repeat_byte(0x66),
        blockHash: B256::repeat_byte(0x77),
        ..third
    };
    world.post_root(output_root(&opening), 1).await;
    let raise = Raise::OracleOutput {
        index: 0,
        expected: B256::ZERO,
    };
    let id = world.raise(raise).await;
    let (claim, path) = (world.claim(3, 4), at(&opening));
    let told = world.submit(id, &claim, &path).await.refusal();
    assert!(told.starts_with("NoVerdict"), "{told}");
    let (zk, sender) = (&world.zk, &world.stranger);
    let header = world.header(3);
    let told = zk.convict_directly(sender, id, &opening, &header, &[]);
    let told = told.await.refusal();
    assert!(told.starts_with("HeaderMismatch"), "{told}");
    let below = Path {
        headers: vec![header],
        ..path
    };
    let told = zk.settle(sender, id, CONFIG, ProgramKind::Block, &below);
    let told = told.await.refusal();
    assert!(told.starts_with("HeaderMismatch"), "{told}");
    assert_eq!(world.convictions().await, 0);
}

/// Zero stands for "nothing" in alerts, so that none is raised about it: not for a bond, not with a proof and not
/// by what the EVM shows. Without an alert a quorum has nothing to judge either.
#[tokio::test]
async fn a_game_that_claims_zero_is_accused_by_nobody() {
    let world = World::new().await;
    let proposer = submitter(&world.devnet, &PROPOSER).await;
    let game = world.game(&proposer, B256::ZERO, 1).await;
    let (claim, (opening, _)) = (world.claim(1, 4), world.opening(1).await);
    let expected = B256::repeat_byte(0xee);
    let (kind, index) = (Accused::GameClaim, U256::from(game));
    let accuse = Z::accuseCall {
        kind,
        index,
        program: BLOCK_PROGRAM,
        claim: claim.clone(),
        proof: world.proof(&world.prover, &claim),
        path: at(&opening),
    };
    let directly = Z::accuseDirectlyCall {
        kind,
        index,
        opening,
        header: world.header(1),
        accountProof: vec![],
    };
    let raise = Raise::GameClaim {
        index: game,
        expected,
    };
    let (zk, to) = (&world.zk, world.zk.address());
    for told in [
        zk.raise(&world.alerter, &raise).await.refusal(),
        world.prover.call(to, &accuse).await.refusal(),
        world.stranger.call(to, &directly).await.refusal(),
    ] {
        assert!(told.starts_with("InvalidAlert"), "{told}");
    }
    assert_eq!(zk.alert_count().await.unwrap(), U256::ZERO);
    assert_eq!(world.convictions().await, 0);
}
