//! Many blocks in one file, and what may happen to that file.

use std::{fs, path::Path};

use mach_core::{
    Verdict,
    ports::{BlockValidator, L2Head, L2Source, SourceError},
};
use mach_devnet::{Devnet, OptimismFork};
use mach_verify::source::{
    Archive, ArchiveError, RecordedBlock, RecordedBlocks, RpcSource, StatelessValidator,
};

/// Bytes before the first record, and before a payload.
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 52;

/// The first blocks of a devnet's rollup.
async fn blocks(count: usize) -> Vec<RecordedBlock> {
    let devnet = Devnet::new().unwrap();
    let source = RpcSource::new(devnet.l2().client(), devnet.l2().chain_id());
    let mut blocks = Vec::new();
    for _ in 0..count {
        let number = devnet.sequencer().produce().unwrap();
        blocks.push(source.record(number).await.unwrap());
    }
    blocks
}

fn archive(path: &Path, blocks: &[RecordedBlock]) {
    let mut archive = Archive::append_to(path, blocks[0].block.chain_id).unwrap();
    for block in blocks {
        archive.append(block).unwrap();
    }
}

fn numbers(path: &Path) -> Vec<u64> {
    Archive::open(path).unwrap().numbers().collect()
}

#[tokio::test]
async fn what_was_appended_is_read_and_verified() {
    let blocks = blocks(5).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blocks.mach");
    // In two sittings, out of order, one block twice.
    archive(&path, &[blocks[1].clone(), blocks[3].clone()]);
    archive(
        &path,
        &[blocks[0].clone(), blocks[1].clone(), blocks[2].clone()],
    );

    let archive = Archive::open(&path).unwrap();
    assert_eq!(archive.numbers().collect::<Vec<_>>(), [1, 2, 3, 4]);
    for block in &blocks[..4] {
        let number = block.block.number();
        assert_eq!(archive.hash(number), Some(block.block.hash()));
        assert_eq!(archive.read(number).unwrap().as_ref(), Some(block));
    }
    assert_eq!(archive.read(5).unwrap(), None);

    let chain_id = archive.chain_id();
    let source = RecordedBlocks::from_archive(archive);
    assert_eq!(source.head(L2Head::Unsafe).await.unwrap().number, 4);
    assert!(matches!(source.block(5).await, Err(SourceError::NotYet(5))));
    assert!(matches!(
        source.block(0).await,
        Err(SourceError::NotHeld(0))
    ));
    let block = source.block(3).await.unwrap();
    let validator = StatelessValidator::new(OptimismFork::Jovian.spec(chain_id), source);
    let verdict = validator.validate(&block).await.unwrap();
    assert!(matches!(verdict, Verdict::Valid(_)), "{verdict:?}");
}

#[tokio::test]
async fn a_crash_while_writing_loses_the_unfinished_record_alone() {
    let blocks = blocks(3).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blocks.mach");
    archive(&path, &blocks[..2]);
    let two = fs::read(&path).unwrap().len();
    archive(&path, &blocks[2..]);
    let whole = fs::read(&path).unwrap();

    // Every length at which the third record is not whole, and a file system that wrote zeros.
    let mut torn: Vec<Vec<u8>> = [0, 1, RECORD_HEADER - 1, RECORD_HEADER, RECORD_HEADER + 1]
        .map(|more| whole[..two + more].to_vec())
        .into();
    torn.push(whole[..whole.len() - 1].to_vec());
    torn.push([&whole[..two], &[0; 9000]].concat());
    let mut zeros = whole.clone();
    let half = two + (whole.len() - two) / 2;
    zeros[half..].fill(0);
    torn.push(zeros);
    // The first sector of a header, and a longer file.
    torn.push([&whole[..two + 20], &[0; 9000]].concat());
    for bytes in torn {
        fs::write(&path, &bytes).unwrap();
        assert_eq!(numbers(&path), [1, 2], "{} bytes", bytes.len());
        archive(&path, &blocks[2..]);
        assert_eq!(fs::read(&path).unwrap(), whole, "{} bytes", bytes.len());
    }
    // A crash at the very beginning.
    for length in 0..FILE_HEADER {
        fs::write(&path, &whole[..length]).unwrap();
        archive(&path, &blocks);
        assert_eq!(fs::read(&path).unwrap(), whole, "{length} bytes");
    }
}

#[tokio::test]
async fn damage_is_named_and_never_another_block() {
    let blocks = blocks(3).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blocks.mach");
    archive(&path, &blocks);
    let whole = fs::read(&path).unwrap();
    let length = |at: usize| u32::from_be_bytes(whole[at + 40..at + 44].try_into().unwrap());
    let second = FILE_HEADER + RECORD_HEADER + length(FILE_HEADER) as usize;
    let third = second + RECORD_HEADER + length(second) as usize;

    for at in (0..third).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        match Archive::open(&path) {
            Err(ArchiveError::NotAnArchive(_)) => assert!(at < FILE_HEADER, "{at}"),
            Err(ArchiveError::Damaged { offset }) => {
                assert!(
                    (offset as usize..offset as usize + RECORD_HEADER).contains(&at),
                    "{at}"
                );
            }
            Err(other) => panic!("{at}: {other}"),
            Ok(archive) => {
                let number = if at < second { 1 } else { 2 };
                let error = archive.read(number).unwrap_err();
                assert!(
                    matches!(error, ArchiveError::Damaged { .. }),
                    "{at}: {error}"
                );
                let other = archive.read(3 - number).unwrap().unwrap();
                assert_eq!(other, blocks[2 - number as usize]);
                let source = RecordedBlocks::from_archive(archive);
                let error = source.block(number).await.unwrap_err();
                assert!(matches!(error, SourceError::Malformed { .. }), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn an_archive_is_of_one_chain_and_has_one_writer() {
    let blocks = blocks(2).await;
    let chain_id = blocks[0].block.chain_id;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blocks.mach");
    let mut first = Archive::append_to(&path, chain_id).unwrap();
    assert!(matches!(
        Archive::append_to(&path, chain_id),
        Err(ArchiveError::InUse(_))
    ));
    first.append(&blocks[0]).unwrap();
    // Somebody reads while it grows.
    assert_eq!(numbers(&path), [1]);
    let mut foreign = blocks[1].clone();
    foreign.block.chain_id += 1;
    assert!(matches!(
        first.append(&foreign),
        Err(ArchiveError::OtherChain { .. })
    ));
    let mut other =
        RecordedBlock::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/jovian.json.gz"))
            .unwrap();
    assert_eq!(other.block.chain_id, chain_id);
    first.append(&other).unwrap();
    other.block = RecordedBlock::read(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/lie-gas-used.json.gz"),
    )
    .unwrap()
    .block;
    assert!(matches!(
        first.append(&other),
        Err(ArchiveError::OtherBlock { number: 8, .. })
    ));
    drop(first);
    assert!(matches!(
        Archive::append_to(&path, chain_id + 1),
        Err(ArchiveError::OtherChain { .. })
    ));
    assert_eq!(numbers(&path), [1, 8]);

    let text = folder.path().join("text");
    fs::write(&text, "not an archive, but somebody's only copy").unwrap();
    assert!(matches!(
        Archive::open(&text),
        Err(ArchiveError::NotAnArchive(_))
    ));
    assert!(matches!(
        Archive::append_to(&text, chain_id),
        Err(ArchiveError::NotAnArchive(_))
    ));
    fs::write(&text, "short").unwrap();
    assert!(Archive::append_to(&text, chain_id).is_err());
    assert_eq!(fs::read(&text).unwrap(), b"short");
}
