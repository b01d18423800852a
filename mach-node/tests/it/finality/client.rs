//! The TypeScript client, run by node against a server of this process.

use std::{
    env,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use alloy_primitives::{U256, hex};
use ark_bn254::{Fq2, G2Affine};
use ark_ff::PrimeField;
use mach_core::CertificateFile;
use mach_node::{
    finality::{openapi, router},
    http::{HttpConfig, serve},
};
use serde_json::json;

use super::world::{Node, accuse, attest, index, show, transaction};
use crate::ports::{DOMAIN, ROLLUP, confirmation};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../clients/typescript")
}

/// The client is made of the document that is served. `MACH_WRITE=1` writes it.
#[test]
fn the_document_of_the_client_is_that_of_this_release() {
    let path = folder().join("openapi.json");
    let document = openapi().to_pretty_json().unwrap() + "\n";
    if env::var_os("MACH_WRITE").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(
        committed == document,
        "run `just client` and commit the result"
    );
}

#[tokio::test]
async fn the_typescript_client_understands_what_is_served() {
    if !folder().join("dist/index.js").exists() {
        println!("skipped: the client is not built (`just client`)");
        return;
    }
    let (node, index) = (Node::new(1000), index().await);
    show(&index, &node, 0..=9).await;
    let digest = attest(&index, node.reference(4)).await;
    index.confirmed(&confirmation(digest)).await.unwrap();
    let alert = accuse(&index, node.reference(8)).await;
    let file = index.certificate(ROLLUP, digest).await.unwrap();
    let file: CertificateFile = CertificateFile::from_json(&file).unwrap();
    let expected = json!({
        "rollup": ROLLUP,
        "domain": DOMAIN,
        "attested": node.reference(4),
        "accused": node.reference(8),
        "transaction": transaction(3),
        "digest": digest,
        "alert": alert,
        "operators": file.0.operators_digest(),
        "outsideTheSubgroup": outside_the_subgroup(),
    });
    let config = HttpConfig::new((Ipv4Addr::LOCALHOST, 0).into());
    let server = serve(router(index.clone(), None), config).await.unwrap();
    let growing = tokio::spawn(async move {
        for number in 10..=1000 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            show(&index, &node, number..=number).await;
        }
    });
    let url = server.url();
    let tested = tokio::task::spawn_blocking(move || {
        Command::new("node")
            .args(["--test", "test/served.test.mjs"])
            .current_dir(folder())
            .env("MACH_URL", url)
            .env("MACH_EXPECTED", expected.to_string())
            .stdin(Stdio::null())
            .output()
    });
    let tested = tested.await.unwrap().unwrap();
    growing.abort();
    let said = String::from_utf8_lossy(&tested.stdout);
    assert!(tested.status.success(), "{said}");
    assert!(
        said.contains("pass 5") && said.contains("skipped 0"),
        "{said}"
    );
}

/// Most points of the twist are.
fn outside_the_subgroup() -> String {
    let point = (0u64..)
        .find_map(|x| G2Affine::get_point_from_x_unchecked(Fq2::new(x.into(), 1u64.into()), false))
        .unwrap();
    let words = [point.x.c0, point.x.c1, point.y.c0, point.y.c1]
        .map(|it| U256::from_limbs(it.into_bigint().0).to_be_bytes::<32>());
    hex::encode_prefixed(words.concat())
}
