//! A node that says what is not so: an error with a name, and never a block, a claim or a verdict.

use super::*;
use alloy_op_hardforks::OpHardfork;

use crate::{
    cross_check::{BlockHashes, SenderSource},
    source::ProposalSource,
};

type Answers = fn(&str, &Value) -> Result<Value, Value>;
type IsNamed = fn(&SourceError) -> bool;

#[tokio::test]
async fn lies_about_blocks_are_no_blocks() {
    // Another height, another hash, bytes that are none, a head that jumps back.
    let lying = |lie: fn(&str, Value) -> Value| {
        move |method: &str, params: &Value| {
            honest(method, params, 9).map(|value| lie(method, value))
        }
    };
    let server = Scripted::node(lying(|method, value| match method {
        "debug_getRawBlock" => json!(Bytes::from(block(8).encode_rlp())),
        _ => value,
    }))
    .await;
    let error = source(&server, &options()).block(7).await.unwrap_err();
    assert!(
        matches!(
            error,
            SourceError::Malformed {
                field: "number",
                ..
            }
        ),
        "{error:?}"
    );

    let server = Scripted::node(lying(|method, mut value| {
        if method == "eth_getBlockByNumber" {
            value["hash"] = json!(B256::repeat_byte(7));
        }
        value
    }))
    .await;
    let error = source(&server, &options()).block(7).await.unwrap_err();
    assert!(
        matches!(error, SourceError::HashMismatch { number: 7, .. }),
        "{error:?}"
    );

    let server = Scripted::node(lying(|method, value| match method {
        "debug_getRawBlock" => json!("0xc0"),
        _ => value,
    }))
    .await;
    let error = source(&server, &options()).block(7).await.unwrap_err();
    assert!(
        matches!(error, SourceError::Block { number: 7, .. }),
        "{error:?}"
    );

    let server = Scripted::serve(|number, body| {
        let head = 9 - number as u64;
        Reply::Json(answer(body, |method, params| honest(method, params, head)))
    })
    .await;
    let source = source(&server, &options());
    assert_eq!(source.head(L2Head::Unsafe).await.unwrap().number, 9);
    assert_eq!(source.head(L2Head::Unsafe).await.unwrap().number, 8);
    assert!(matches!(source.block(9).await, Err(SourceError::NotYet(9))));
}

/// The JSON of an empty block.
fn json(number: BlockNumber) -> Value {
    honest("eth_getBlockByNumber", &json!([hex(number)]), number).unwrap()
}

fn rlp(number: BlockNumber) -> Vec<u8> {
    alloy_rlp::encode(block(number).header.inner())
}

#[tokio::test]
async fn lies_about_headers_are_no_headers() {
    let is_malformed: IsNamed = |error| {
        matches!(
            error,
            SourceError::Malformed {
                number: 7,
                field: "header",
                ..
            }
        )
    };
    let cases: [(&str, Answers, IsNamed); 6] = [
        (
            "bytes of another height",
            |method, params| match method {
                "debug_getRawHeader" => Ok(json!(Bytes::from(rlp(8)))),
                _ => honest(method, params, 9),
            },
            is_malformed,
        ),
        (
            "bytes of nothing",
            |method, params| match method {
                "debug_getRawHeader" => Ok(json!("0xc0")),
                _ => honest(method, params, 9),
            },
            is_malformed,
        ),
        (
            "a byte too many",
            |method, params| match method {
                "debug_getRawHeader" => Ok(json!(Bytes::from([rlp(7), vec![0]].concat()))),
                _ => honest(method, params, 9),
            },
            is_malformed,
        ),
        (
            "JSON of another height",
            |method, params| match method {
                "eth_getBlockByNumber" => Ok(json(8)),
                _ => honest(method, params, 9),
            },
            is_malformed,
        ),
        (
            "JSON with another hash",
            |method, params| match method {
                "eth_getBlockByNumber" => {
                    let mut json = json(7);
                    json["hash"] = json!(B256::repeat_byte(7));
                    Ok(json)
                }
                _ => honest(method, params, 9),
            },
            |error| matches!(error, SourceError::HashMismatch { number: 7, .. }),
        ),
        (
            "nothing, since it is not there yet",
            |method, params| honest(method, params, 6),
            |error| matches!(error, SourceError::NotYet(7)),
        ),
    ];
    for (name, answers, is_named) in cases {
        let server = Scripted::node(answers).await;
        let error = source(&server, &options()).header_at(7).await.unwrap_err();
        assert!(is_named(&error), "{name}: {error:?}");
    }
}

#[tokio::test]
async fn receipts_that_the_header_does_not_commit_to_are_none() {
    type Receipts = fn() -> Value;
    let cases: [(&str, Receipts, IsNamed); 4] = [
        (
            "nothing",
            || Value::Null,
            |error| matches!(error, SourceError::NotHeld(7)),
        ),
        (
            "one too many",
            || {
                json!([{
                    "type": "0x2", "status": "0x1", "cumulativeGasUsed": "0x5208",
                    "logsBloom": Bytes::from(vec![0; 256]), "logs": []
                }])
            },
            |error| {
                matches!(
                    error,
                    SourceError::Malformed {
                        field: "receipts",
                        ..
                    }
                )
            },
        ),
        (
            "an object",
            || json!({}),
            |error| matches!(error, SourceError::Backend(_)),
        ),
        (
            "half a receipt",
            || json!([{"status": "0x1"}]),
            |error| matches!(error, SourceError::Backend(_)),
        ),
    ];
    let mut header = block(7).header.into_inner();
    header.receipts_root = alloy_consensus::EMPTY_ROOT_HASH;
    let header = Sealed::new(header);
    for (name, receipts, is_named) in cases {
        let server = Scripted::node(move |method, _| match method {
            "eth_getBlockReceipts" => Ok(receipts()),
            _ => Err(not_found()),
        })
        .await;
        let source = source(&server, &options());
        let error = source.block_receipts(&header).await.unwrap_err();
        assert!(is_named(&error), "{name}: {error:?}");
    }
}

/// What an op-node says of another block is no claim about this one.
#[tokio::test]
async fn claims_about_another_block_are_no_claims() {
    let answer = |number: Value, hash: B256| {
        json!({
            "outputRoot": B256::repeat_byte(5),
            "blockRef": {"hash": hash, "number": number}
        })
    };
    let hash = block(7).hash();
    let cases: [(Value, Option<IsNamed>); 6] = [
        (answer(json!(7), hash), None),
        (answer(json!("0x7"), hash), None),
        (
            answer(json!(8), hash),
            Some(|error| {
                matches!(
                    error,
                    SourceError::Malformed {
                        field: "blockRef.number",
                        ..
                    }
                )
            }),
        ),
        (
            answer(json!(7), B256::ZERO),
            Some(|error| matches!(error, SourceError::HashMismatch { number: 7, .. })),
        ),
        (
            Value::Null,
            Some(|error| matches!(error, SourceError::Backend(_))),
        ),
        (
            json!({"outputRoot": "0x12"}),
            Some(|error| matches!(error, SourceError::Backend(_))),
        ),
    ];
    for (answer, is_named) in cases {
        let shown = answer.to_string();
        let server = Scripted::node(move |_, _| Ok(answer.clone())).await;
        let claimed = OpNode::connect(server.url()).unwrap();
        let claimed = claimed.claimed_output_root(&block(7)).await;
        match (claimed, is_named) {
            (Ok(root), None) => assert_eq!(root, Some(B256::repeat_byte(5))),
            (Err(error), Some(is_named)) => assert!(is_named(&error), "{shown}: {error:?}"),
            (claimed, _) => panic!("{shown}: {claimed:?}"),
        }
    }
}

#[tokio::test]
async fn senders_and_hashes_are_those_of_the_block() {
    let server = Scripted::node(|method, params| honest(method, params, 9)).await;
    let source = source(&server, &options());
    let senders = async |block: L2Block| source.senders(block.reference()).await;
    assert_eq!(senders(block(7)).await.unwrap().len(), 0);
    let other = L2Block::new(
        10,
        Header {
            gas_used: 1,
            ..block(7).header.into_inner()
        },
        vec![],
    );
    assert!(matches!(senders(other).await, Err(SourceError::NotHeld(7))));
    assert!(matches!(
        senders(block(10)).await,
        Err(SourceError::NotYet(10))
    ));
    let hashes = RpcHashes::new(source.clone());
    assert_eq!(hashes.block_hash(7).await.unwrap(), block(7).hash());
    assert!(matches!(
        hashes.block_hash(10).await,
        Err(SourceError::NotYet(10))
    ));
}

/// A witness with another branch's parent stays without one, and is not completed with a lie.
#[tokio::test]
async fn a_parent_of_another_branch_is_not_added_to_a_witness() {
    let server = Scripted::node(|method, params| match method {
        "debug_executionWitness" => Ok(json!({"state": [], "codes": []})),
        _ => honest(method, params, 9),
    })
    .await;
    let source = source(&server, &options());
    let child = |parent_hash| {
        let header = Header {
            number: 7,
            parent_hash,
            ..Default::default()
        };
        L2Block::new(10, header, vec![])
    };
    let witness = source.witness(&child(block(6).hash())).await.unwrap();
    assert_eq!(witness.headers, [Bytes::from(rlp(6))]);
    let witness = source.witness(&child(B256::repeat_byte(6))).await.unwrap();
    assert!(witness.headers.is_empty());
}

/// No proof, an empty one, one of something else: no witness, after few requests.
#[tokio::test]
async fn a_node_that_proves_nothing_is_given_up_soon() {
    let nothing: fn() -> Result<Value, Value> =
        || Err(json!({"code": -32000, "message": "missing trie node"}));
    let empty: fn() -> Result<Value, Value> =
        || Ok(json!({"accountProof": [], "storageProof": []}));
    let foreign: fn() -> Result<Value, Value> = || {
        let node = Bytes::from(vec![0x80; 600]);
        Ok(json!({"accountProof": [node], "storageProof": [{"value": "0x1", "proof": [node]}]}))
    };
    let parent = Header {
        number: 6,
        state_root: B256::repeat_byte(1),
        ..Default::default()
    };
    // Every block of these rules calls the contract of EIP-4788.
    let spec = ChainSpec::optimism(10).with_op_forks_from_genesis(OpHardfork::Ecotone);
    let header = Header {
        number: 7,
        parent_hash: parent.hash_slow(),
        parent_beacon_block_root: Some(B256::ZERO),
        ..Default::default()
    };
    let block = L2Block::new(10, header, vec![]);
    let mut named = serde_json::to_value(&parent).unwrap();
    named["hash"] = json!(parent.hash_slow());
    for proof in [nothing, empty, foreign] {
        let named = named.clone();
        let server = Scripted::node(move |method, _| match method {
            "eth_getProof" => proof(),
            "eth_getCode" => Ok(json!("0x")),
            "eth_getBlockByNumber" => Ok(named.clone()),
            _ => Err(not_found()),
        })
        .await;
        let source = source(&server, &options()).with_proofs_only(spec.clone());
        let error = source.witness(&block).await.unwrap_err();
        assert!(
            matches!(
                error,
                SourceError::Backend(_) | SourceError::Malformed { field: "proof", .. }
            ),
            "{error:?}"
        );
        assert!(server.requests() <= 4, "{}", server.requests());
    }
}
