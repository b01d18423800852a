//! Bundles that a verifier has kept, over HTTP.

use std::fs;

use alloy_primitives::B256;
use mach_node::{
    finality::{Beside, EvidenceFolders, router_with},
    http::serve,
};
use serde_json::{Value, json};

use super::world::{Node, accuse, index, show};
use crate::ports::ROLLUP;

/// Whoever asks has nothing read that was read before, and sees what came since.
#[tokio::test]
async fn a_folder_is_read_again_only_if_it_was_changed() {
    let index = index().await;
    let folder = tempfile::tempdir().unwrap();
    let folders = EvidenceFolders::new([(ROLLUP, folder.path().to_owned())]);
    let router = router_with(
        index,
        Beside {
            evidence: folders,
            ..Beside::default()
        },
    );
    let loopback: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    let server = serve(router, loopback).await.unwrap();
    let found = async || {
        let path = format!("v1/rollups/{ROLLUP}/evidence/{}", B256::ZERO);
        let list = reqwest::get(format!("{}/{path}", server.url()))
            .await
            .unwrap();
        let list: Value = list.json().await.unwrap();
        list.as_array().unwrap().len()
    };
    let put = |fault: &str| {
        let name = format!("{ROLLUP}-7-00000000-{fault}-5b6a7988.json.gz");
        fs::write(folder.path().join(name), b"evidence").unwrap();
    };
    // As time passes, and without its passing: at the same time as before nothing has changed.
    let changed_at = |seconds: u64| {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        let folder = fs::File::open(folder.path()).unwrap();
        folder.set_modified(time).unwrap();
    };
    assert_eq!(found().await, 0);
    for (index, fault) in ["stateRoot", "gasUsed", "receiptsRoot"].iter().enumerate() {
        put(fault);
        assert_eq!(found().await, index + 1, "{fault}");
    }
    changed_at(1_000_000_000);
    assert_eq!(found().await, 3);
    put("extraData");
    changed_at(1_000_000_000);
    assert_eq!(found().await, 3);
    changed_at(1_000_000_001);
    assert_eq!(found().await, 4);
}

#[tokio::test]
async fn a_bundle_is_served_as_it_was_written() {
    let (node, index) = (Node::new(9), index().await);
    show(&index, &node, 0..=9).await;
    accuse(&index, node.reference(8)).await;
    let folder = tempfile::tempdir().unwrap();
    let block = node.reference(8).hash;
    let short = |hash: B256| hash.to_string()[2..10].to_owned();
    let name = format!("{ROLLUP}-8-{}-stateRoot-5b6a7988.json.gz", short(block));
    // More than is read at a time.
    let bundle: Vec<u8> = (0..200_000_u32).map(|it| (it % 251) as u8).collect();
    let other = format!(
        "{ROLLUP}-7-{}-stateRoot-5b6a7988.json.gz",
        short(B256::ZERO)
    );
    let foreign = format!(
        "{}-8-{}-stateRoot-5b6a7988.json.gz",
        ROLLUP + 1,
        short(block)
    );
    let part = format!(
        "{ROLLUP}-8-{}-stateRoot-5b6a7988.json.gz.part",
        short(block)
    );
    fs::write(folder.path().join(&name), &bundle).unwrap();
    for name in [&other, &foreign, &part] {
        fs::write(folder.path().join(name), b"something else").unwrap();
    }
    fs::write(folder.path().join("secret"), b"secret").unwrap();
    let folders = EvidenceFolders::new([(ROLLUP, folder.path().to_owned())]);
    let beside = Beside {
        evidence: folders,
        ..Beside::default()
    };
    let router = router_with(index, beside);
    let loopback: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    let server = serve(router, loopback).await.unwrap();
    let get = async |path: &str| {
        let url = format!("{}/v1/rollups/{path}", server.url());
        let answer = reqwest::get(url).await.unwrap();
        let kind = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        (
            answer.status().as_u16(),
            kind,
            answer.bytes().await.unwrap(),
        )
    };

    let (status, _, list) = get(&format!("{ROLLUP}/evidence/{block}")).await;
    let list: Value = serde_json::from_slice(&list).unwrap();
    assert_eq!(
        (status, list),
        (200, json!([{ "name": name, "bytes": bundle.len() }]))
    );
    let (status, kind, bytes) = get(&format!("{ROLLUP}/evidence/{block}/{name}")).await;
    assert_eq!((status, kind.as_str()), (200, "application/gzip"));
    assert!(bytes == bundle);
    // Nothing else of the machine is, whatever it is called.
    for name in [
        &other,
        &foreign,
        &part,
        "secret",
        "..%2fsecret",
        "%2e%2e",
        ".",
    ] {
        let (status, kind, bytes) = get(&format!("{ROLLUP}/evidence/{block}/{name}")).await;
        assert!(status == 404 || status == 400, "{name}: {status} {bytes:?}");
        assert_eq!(kind, "application/problem+json", "{name}");
    }
    let (status, _, list) = get(&format!("{ROLLUP}/evidence/{}", B256::ZERO)).await;
    assert_eq!((status, &list[..2]), (200, &b"[{"[..]));
    for (path, expected) in [
        (format!("{ROLLUP}/evidence/7"), 400),
        (format!("{}/evidence/{block}", ROLLUP + 1), 404),
        (format!("{}/evidence/{block}/{name}", ROLLUP + 1), 404),
    ] {
        assert_eq!(get(&path).await.0, expected, "{path}");
    }
}
