//! `top`.

use std::{net::SocketAddr, time::Duration};

use mach_core::Statement;
use mach_devnet::{
    Lie,
    stack::{Event, ServiceConfig, Stack, StackConfig},
};
use mach_node::{
    finality::{FinalityConfig, FinalityIndex, router},
    http::serve,
    store::MemoryStore,
};
use tokio::time::timeout;

use crate::{errors, lines, mach_cli};

async fn top(args: &[&str]) -> (Option<i32>, std::process::Output) {
    let args: Vec<String> = args.iter().map(|it| (*it).to_owned()).collect();
    let run = move || {
        let mut all = vec!["top"];
        all.extend(args.iter().map(String::as_str));
        mach_cli(&all)
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    (output.status.code(), output)
}

/// What operators certify is shown without a terminal, and the exit code says whether an alert stands.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_shows_what_operators_certified() {
    let stack = Stack::start(&StackConfig {
        operators: 2,
        ..StackConfig::default()
    })
    .await
    .unwrap();
    for operator in stack.operators() {
        stack.opt_in(operator).await.unwrap();
    }
    let config = FinalityConfig::new(stack.domain(), [901]);
    let index = FinalityIndex::open(MemoryStore::new(), config)
        .await
        .unwrap();
    let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let server = serve(router(index.clone(), None), loopback).await.unwrap();
    let url = server.url();

    let (code, output) = top(&["--api", &url, "--once"]).await;
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("rollup 901 (1 of 1)"), "{shown}");
    assert!(shown.contains("clean: no alert stands"), "{shown}");

    let services = ServiceConfig::default();
    let (services, mut events) = stack.start_services(services).await.unwrap();
    stack.devnet().sequencer().lie_next(Lie::GasUsed);
    stack.devnet().step().unwrap();
    let certificate = loop {
        let event = timeout(Duration::from_secs(60), events.recv()).await;
        if let Event::Certified(certificate) = event.unwrap().unwrap() {
            break certificate;
        }
    };
    assert!(matches!(certificate.statement, Statement::Alert(_)));
    index.certified(&certificate).await.unwrap();
    let (code, output) = top(&["--api", &url, "--once"]).await;
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("1 alert stands"), "{shown}");
    let (code, output) = top(&["--api", &url, "--json"]).await;
    assert_eq!(code, Some(1));
    let [picture] = &lines(&output)[..] else {
        panic!("one object");
    };
    assert_eq!(picture["alerts"][0]["block"]["number"], 1);
    assert_eq!(
        picture["alerts"][0]["digest"],
        certificate.digest().to_string()
    );
    services.stop().await;

    // Nothing is drawn where there is no terminal, and nobody is no clean chain.
    let (code, output) = top(&["--api", &url]).await;
    assert_eq!(code, Some(2));
    assert!(errors(&output).contains("use --once or --json"));
    server.stop().await;
    let (code, output) = top(&["--api", &url, "--once"]).await;
    assert_eq!(code, Some(2));
    assert!(errors(&output).contains("no answer from --api"));
}
