//! Blobs from a beacon node, and from files.

use std::fs;

use alloy_consensus::Header;
use alloy_primitives::{B256, Sealed, hex};
use mach_core::ports::{BlobSource, L1Source, SourceError};
use mach_devnet::{BatcherConfig, Devnet, OptimismFork};
use mach_verify::{
    derive::{decode_blob, versioned_hash},
    source::{BeaconNode, BlobFolder},
};

use super::encode;

/// An L1 block with blobs of the devnet's batcher, and their hashes.
async fn posted(devnet: &Devnet) -> (Sealed<Header>, Vec<B256>) {
    use alloy_consensus::{Transaction, TxEnvelope};
    use alloy_eips::eip2718::Decodable2718;
    devnet.batcher().set_config(Some(BatcherConfig {
        frame_bytes: 200,
        ..BatcherConfig::of(OptimismFork::Jovian)
    }));
    for _ in 0..6 {
        devnet.step().unwrap();
    }
    devnet.publish().unwrap();
    let l1: &dyn L1Source = devnet.l1();
    for number in 1..=devnet.l1().head() {
        let block = l1.block(number).await.unwrap();
        let hashes = block.transactions.iter().flat_map(|bytes| {
            let transaction = TxEnvelope::decode_2718_exact(bytes).unwrap();
            let hashes = transaction.blob_versioned_hashes().unwrap_or_default();
            hashes.to_vec()
        });
        let hashes = hashes.collect::<Vec<_>>();
        if hashes.len() > 1 {
            return (block.header, hashes);
        }
    }
    panic!("no blobs");
}

#[tokio::test]
async fn a_beacon_node_gives_blobs_in_the_order_that_is_asked_for() {
    let devnet = Devnet::new().unwrap();
    let (header, mut hashes) = posted(&devnet).await;
    let local = ([127, 0, 0, 1], 0).into();
    let servers = devnet.serve(local, local).await.unwrap();
    let node = BeaconNode::new(servers.l1.http_url().parse().unwrap()).unwrap();
    for _ in 0..2 {
        let blobs = node.blobs(&header, &hashes).await.unwrap();
        assert_eq!(blobs.len(), hashes.len());
        for (blob, hash) in blobs.iter().zip(&hashes) {
            assert_eq!(versioned_hash(blob), Some(*hash));
            assert!(decode_blob(blob).is_ok());
        }
        hashes.reverse();
    }
    // A blob that the block has not.
    let error = node.blobs(&header, &[B256::ZERO]).await.unwrap_err();
    assert!(matches!(error, SourceError::NotHeld(_)), "{error:?}");
    assert!(BeaconNode::new("ftp://localhost".parse().unwrap()).is_err());
}

#[tokio::test]
async fn blobs_come_from_files_that_their_hashes_name() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = [encode::blob(b"one"), encode::blob(b"two")];
    let hashes = blobs.each_ref().map(|blob| versioned_hash(blob).unwrap());
    let path = |hash: &B256| folder.path().join(format!("{hash}.blob"));
    fs::write(path(&hashes[0]), blobs[0].as_slice()).unwrap();
    let text = format!("{}\n", hex::encode_prefixed(blobs[1].as_slice()));
    fs::write(path(&hashes[1]), text).unwrap();

    let source = BlobFolder::new(folder.path());
    let header = Sealed::new(Header::default());
    let asked = [hashes[1], hashes[0]];
    let found = source.blobs(&header, &asked).await.unwrap();
    assert_eq!(found, [blobs[1].clone(), blobs[0].clone()]);

    let error = source.blobs(&header, &[B256::ZERO]).await.unwrap_err();
    assert!(matches!(error, SourceError::NotHeld(0)));
    for content in [vec![0; 131_071], vec![b'0'; 300_000], b"0x12".to_vec()] {
        fs::write(path(&hashes[0]), content).unwrap();
        let error = source.blobs(&header, &hashes).await.unwrap_err();
        assert!(matches!(error, SourceError::Malformed { .. }), "{error:?}");
    }
}
