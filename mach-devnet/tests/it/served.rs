//! The same RPC over a socket, and what it refuses.

use std::{net::SocketAddr, time::Duration};

use alloy_primitives::{B256, U256};
use alloy_provider::{Provider, ProviderBuilder, RootProvider};
use alloy_rpc_types_eth::TransactionRequest;
use mach_devnet::{DEV_ACCOUNTS, Devnet};
use serde_json::{Value, json};

const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

#[tokio::test(flavor = "multi_thread")]
async fn http_answers_what_the_process_answers() {
    let devnet = Devnet::new().unwrap();
    for _ in 0..3 {
        devnet.step().unwrap();
    }
    let servers = devnet.serve(ANY_PORT, ANY_PORT).await.unwrap();
    let http: RootProvider = RootProvider::new_http(servers.l2.http_url().parse().unwrap());
    let inside = devnet.l2().provider::<alloy_network::Ethereum>();
    let questions = [
        ("eth_chainId", json!([])),
        ("eth_getBlockByNumber", json!(["0x2", true])),
        ("eth_getBlockReceipts", json!(["0x3"])),
        ("debug_executionWitness", json!(["0x3"])),
        ("debug_getRawBlock", json!(["latest"])),
        (
            "eth_getLogs",
            json!([{"fromBlock": "0x0", "toBlock": "latest"}]),
        ),
        ("eth_feeHistory", json!(["0x2", "latest", [10.0, 50.0]])),
        ("optimism_outputAtBlock", json!(["0x1"])),
        ("optimism_syncStatus", json!([])),
    ];
    for (method, params) in questions {
        let over_http: Value = http
            .raw_request(method.into(), params.clone())
            .await
            .unwrap();
        let direct: Value = inside.raw_request(method.into(), params).await.unwrap();
        assert_eq!(over_http, direct, "{method}");
        assert_ne!(over_http, Value::Null, "{method}");
    }
    let url = servers.l1.http_url().parse().unwrap();
    let wallet = ProviderBuilder::new()
        .wallet(DEV_ACCOUNTS[3].signer())
        .connect_http(url);
    let transfer = TransactionRequest::default()
        .to(DEV_ACCOUNTS[4].address)
        .value(U256::from(1));
    let receipt = wallet
        .send_transaction(transfer)
        .await
        .unwrap()
        .get_receipt()
        .await
        .unwrap();
    assert_eq!(receipt.gas_used, 21_000);
}

#[tokio::test]
async fn bad_requests_get_named_errors() {
    let devnet = Devnet::new().unwrap();
    devnet.sequencer().produce().unwrap();
    let provider = devnet.l2().provider::<alloy_network::Ethereum>();
    let many: Vec<B256> = vec![B256::ZERO; 1025];
    let deposit = "0x7ef8";
    let cases = [
        ("eth_nonsense", json!([]), -32601),
        ("eth_getBalance", json!([]), -32602),
        ("eth_getBalance", json!(["0x12"]), -32602),
        (
            "eth_getBalance",
            json!([DEV_ACCOUNTS[0].address, "0xffff"]),
            -32000,
        ),
        (
            "eth_getBalance",
            json!([DEV_ACCOUNTS[0].address, "0xfffffffffffffffffff"]),
            -32602,
        ),
        (
            "eth_call",
            json!([{}, "latest", {"0x0000000000000000000000000000000000000001": {}}]),
            -32602,
        ),
        (
            "eth_getProof",
            json!([DEV_ACCOUNTS[0].address, many, "latest"]),
            -32005,
        ),
        ("eth_getLogs", json!([{"blockHash": B256::ZERO}]), -32000),
        ("eth_getFilterChanges", json!(["0x7"]), -32000),
        ("eth_sendRawTransaction", json!([deposit]), -32000),
        (
            "eth_sendRawTransaction",
            json!([format!("0x{}", "02".repeat(131_073))]),
            -32000,
        ),
        (
            "eth_feeHistory",
            json!(["0x1", "latest", [50.0, 10.0]]),
            -32602,
        ),
        ("debug_executionWitness", json!(["0x0"]), -32603),
        ("debug_executionWitness", json!(["0x77"]), -32000),
        ("optimism_outputAtBlock", json!(["0x77"]), -32000),
        ("evm_increaseTime", json!([u64::MAX]), -32602),
    ];
    for (method, params, code) in cases {
        let error = provider
            .raw_request::<_, Value>(method.into(), params.clone())
            .await;
        let error = error.unwrap_err();
        let answer = error.as_error_resp().unwrap();
        assert_eq!(answer.code, code, "{method} {params}: {answer}");
    }
    let head: Value = provider
        .raw_request("eth_getBlockByNumber".into(), ("0x77", false))
        .await
        .unwrap();
    assert_eq!(head, Value::Null);
}

#[tokio::test]
async fn a_running_devnet_makes_blocks_until_it_is_dropped() {
    let devnet = Devnet::new().unwrap();
    let mut heads = devnet.l2().subscribe();
    let running = devnet.run(Duration::from_millis(1));
    heads.wait_for(|head| *head >= 5).await.unwrap();
    drop(running);
    tokio::task::yield_now().await;
    let head = devnet.l2().head();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(devnet.l2().head(), head);
}

/// A GET request without a client of its own.
async fn get(url: &str, path: &str) -> (u16, serde_json::Value) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let host = url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[tokio::test]
async fn blobs_are_served_as_a_beacon_node_does() {
    let devnet = mach_devnet::Devnet::new().unwrap();
    for _ in 0..6 {
        devnet.step().unwrap();
    }
    let local = ([127, 0, 0, 1], 0).into();
    let servers = devnet.serve(local, local).await.unwrap();
    let url = servers.l1.http_url();
    let (_, genesis) = get(&url, "/eth/v1/beacon/genesis").await;
    let time: u64 = genesis["data"]["genesis_time"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let (_, spec) = get(&url, "/eth/v1/config/spec").await;
    let period: u64 = spec["data"]["SECONDS_PER_SLOT"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let block = devnet.l1().l2_block(1).unwrap();
    let slot = (block.header.timestamp - time) / period;
    let (status, sidecars) = get(&url, &format!("/eth/v1/beacon/blob_sidecars/{slot}")).await;
    assert_eq!(status, 200);
    let sidecar = &sidecars["data"][0];
    let bytes = |value: &serde_json::Value| -> alloy_primitives::Bytes {
        serde_json::from_value(value.clone()).unwrap()
    };
    let (_, blobs) = get(&url, &format!("/eth/v1/beacon/blobs/{slot}")).await;
    assert_eq!(blobs["data"][0], sidecar["blob"]);
    // The proof is checked by the library that the precompile of EIP-4844 is made of.
    let proven = c_kzg::ethereum_kzg_settings(0)
        .verify_blob_kzg_proof(
            &c_kzg::Blob::from_bytes(&bytes(&sidecar["blob"])).unwrap(),
            &c_kzg::Bytes48::from_bytes(&bytes(&sidecar["kzg_commitment"])).unwrap(),
            &c_kzg::Bytes48::from_bytes(&bytes(&sidecar["kzg_proof"])).unwrap(),
        )
        .unwrap();
    assert!(proven);
    let (status, _) = get(&url, "/eth/v1/beacon/blobs/77").await;
    assert_eq!(status, 404);
    // A rollup has no consensus layer of its own.
    let (status, _) = get(&servers.l2.http_url(), "/eth/v1/beacon/genesis").await;
    assert_ne!(status, 200);
}
