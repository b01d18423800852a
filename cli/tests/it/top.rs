//! `top`.

use std::{
    io::{Read, Write},
    net::SocketAddr,
    process::{Command, Stdio},
    time::Duration,
};

use mach_core::{Domain, Statement};
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
    configured(&url).await;

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
    let told = format!("no answer from the finality API at {url}");
    assert!(errors(&output).contains(&told), "{}", errors(&output));
}

/// The file that `init` writes says where the API is; flags and environment beat it.
async fn configured(url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let file = path("mach.toml");
    let init = {
        let file = file.clone();
        tokio::task::spawn_blocking(move || mach_cli(&["init", "--out", &file]))
    };
    assert_eq!(init.await.unwrap().status.code(), Some(0));
    let text = std::fs::read_to_string(&file).unwrap();
    let listen = "listen = \"127.0.0.1:8080\"";
    assert_eq!(text.matches(listen).count(), 1, "{text}");
    let address = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let served = text.replace(listen, &format!("listen = \"{address}\""));
    std::fs::write(&file, served).unwrap();
    let (code, output) = top(&["--config", &file, "--json"]).await;
    assert_eq!(code, Some(0), "{}", errors(&output));
    assert_eq!(lines(&output)[0]["rollups"][0]["rollup"], 901);

    // The address of another machine's, and a flag.
    let told = path("told.toml");
    let api = "# api = \"http://127.0.0.1:8080\"";
    assert!(text.contains(api), "{text}");
    std::fs::write(&told, text.replace(api, "api = \"http://127.0.0.1:9\"")).unwrap();
    let (code, output) = top(&["--config", &told, "--once"]).await;
    assert_eq!(code, Some(2));
    let error = errors(&output);
    assert!(error.contains("API at http://127.0.0.1:9"), "{error}");
    let (code, output) = top(&["--config", &told, "--once", "--api", url]).await;
    assert_eq!(code, Some(0), "{}", errors(&output));

    // What a flag says needs no file.
    let absent = path("absent.toml");
    let (code, output) = top(&["--config", &absent, "--once", "--api", url]).await;
    assert_eq!(code, Some(0), "{}", errors(&output));

    let silent = path("silent.toml");
    std::fs::write(&silent, "").unwrap();
    let (code, output) = top(&["--config", &silent, "--once"]).await;
    assert_eq!(code, Some(2));
    let error = errors(&output);
    assert!(error.contains("set top.api"), "{error}");
    let (code, output) = top(&["--once"]).await;
    assert_eq!(code, Some(2));
    let error = errors(&output);
    assert!(error.contains("--config <FILE>|--api <URL>"), "{error}");
}

/// On a terminal of its own: what is drawn, and that the terminal is as before in the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_drawn_on_and_given_back() {
    if Command::new("script").arg("--version").output().is_err() {
        println!("skipped: there is no `script`, which makes terminals");
        return;
    }
    let domain = Domain {
        l1_chain_id: 1,
        service_manager: Default::default(),
    };
    let config = FinalityConfig::new(domain, [901, 902]);
    let index = FinalityIndex::open(MemoryStore::new(), config)
        .await
        .unwrap();
    let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let server = serve(router(index, None), loopback).await.unwrap();
    let url = server.url();
    let watched = tokio::task::spawn_blocking(move || {
        let program = env!("CARGO_BIN_EXE_mach-cli");
        let line =
            format!("stty rows 40 cols 110; exec '{program}' top --api {url} --interval 100");
        let mut child = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                let _ = sender.send(bytes[..count].to_vec());
            }
        });
        let mut drawn = Vec::new();
        let mut until = |text: &str| {
            while !letters(&drawn).contains(text) {
                let more = receiver.recv_timeout(Duration::from_secs(30));
                drawn.extend(more.unwrap_or_else(|_| unreachable!("{text}: {}", letters(&drawn))));
            }
            std::mem::take(&mut drawn)
        };
        let begin = until("rollup901(1of2)");
        // The other screen, so that what was there before comes back.
        assert!(String::from_utf8_lossy(&begin).contains("\u{1b}[?1049h"));
        keys.write_all(b"\t").unwrap();
        until("2");
        keys.write_all(b"q").unwrap();
        let code = child.wait().unwrap().code();
        let rest: Vec<u8> = receiver.iter().flatten().collect();
        assert!(String::from_utf8_lossy(&rest).contains("\u{1b}[?1049l"));
        code
    });
    assert_eq!(watched.await.unwrap(), Some(0));
    server.stop().await;
}

/// What is drawn, without where and how: what was blank before is not drawn again.
fn letters(drawn: &[u8]) -> String {
    let text = String::from_utf8_lossy(drawn);
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    let after_code = |part: &str| {
        let end = part.find(|it: char| it.is_ascii_alphabetic());
        end.map_or(String::new(), |end| part[end + 1..].to_owned())
    };
    let letters = std::iter::once(first).chain(parts.map(after_code));
    let letters = letters.collect::<String>();
    letters.split_whitespace().collect()
}
