//! The dashboard in a browser: headless Chromium, driven over its DevTools protocol.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use futures::{SinkExt, StreamExt};
use mach_core::BlockRef;
use mach_node::{
    RoundEvent, VerifierStatus, dashboard,
    finality::{self, EvidenceFolders, FinalityConfig, FinalityIndex},
    http::serve,
    store::MemoryStore,
};
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::mpsc, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};
use tokio_util::sync::CancellationToken;

use crate::ports::{
    Confirmer, DOMAIN, ROLLUP, aggregator, alert, confirmation, digest, id, sign_all,
};

const PATIENCE: Duration = Duration::from_secs(120);

/// One page of a browser of its own.
struct Page {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: Option<String>,
    sent: u64,
    /// What the browser told meanwhile.
    told: VecDeque<Value>,
    _browser: Browser,
    _profile: tempfile::TempDir,
}

struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Page {
    async fn open(chromium: &str, url: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Command::new(chromium)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .arg("--remote-debugging-port=0")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(browser.stderr.take().unwrap()).lines();
        let (sender, mut told) = mpsc::channel(1);
        // What it says further is read, so that it never waits for that.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("DevTools listening on ") {
                    let _ = sender.blocking_send(address.trim().to_owned());
                }
            }
        });
        let address = timeout(PATIENCE, told.recv()).await.unwrap().unwrap();
        let (socket, _) = connect_async(address).await.unwrap();
        let mut page = Self {
            socket,
            session: None,
            sent: 0,
            told: VecDeque::new(),
            _browser: Browser(browser),
            _profile: profile,
        };
        let target = page
            .ask("Target.createTarget", json!({ "url": "about:blank" }))
            .await["targetId"]
            .clone();
        let attach = json!({ "targetId": target, "flatten": true });
        let session = page.ask("Target.attachToTarget", attach).await;
        page.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Runtime.enable", "Log.enable", "Page.enable"] {
            page.ask(domain, json!({})).await;
        }
        page.ask("Page.navigate", json!({ "url": url })).await;
        page
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let mut message = json!({ "id": self.sent, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let message = Message::text(message.to_string());
        self.socket.send(message).await.unwrap();
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.unwrap();
            let Message::Text(text) = message.unwrap().unwrap() else {
                continue;
            };
            let message: Value = serde_json::from_str(text.as_str()).unwrap();
            if message["id"] == self.sent {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.told.push_back(message);
        }
    }

    /// What an expression gives on the page.
    async fn value(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true });
        let result = self.ask("Runtime.evaluate", params).await;
        assert!(
            result["exceptionDetails"].is_null(),
            "{expression}: {result}"
        );
        result["result"]["value"].clone()
    }

    async fn until(&mut self, expression: &str) {
        let started = Instant::now();
        // Before the page is there, nothing of it is.
        let tried =
            format!("(() => {{ try {{ return {expression} }} catch {{ return false }} }})()");
        while self.value(&tried).await != true {
            if started.elapsed() > PATIENCE {
                let text = self.value("document.body.innerText").await;
                panic!("not {expression}: {text:#} {:?}", self.complaints());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Errors, and violations of the security policy.
    fn complaints(&self) -> Vec<&Value> {
        let is_complaint = |message: &&Value| match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Log.entryAdded") => message["params"]["entry"]["level"] == "error",
            _ => false,
        };
        self.told.iter().filter(is_complaint).collect()
    }
}

/// The module that takes in events needs no browser.
#[test]
fn what_the_page_knows_is_what_the_node_said_last() {
    if Command::new("node").arg("--version").output().is_err() {
        println!("skipped: there is no node");
        return;
    }
    let tested = Command::new("node")
        .args(["--test", "tests/dashboard/state.test.mjs"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&tested.stdout);
    assert!(tested.status.success(), "{said}");
    assert!(said.contains("pass 2"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_shows_what_happens_in_a_browser() {
    let Ok(chromium) = std::env::var("MACH_CHROMIUM") else {
        println!("skipped: MACH_CHROMIUM names no browser");
        return;
    };
    let aggregator = aggregator(&Confirmer::default());
    let config = FinalityConfig::new(DOMAIN, [ROLLUP]);
    let index = FinalityIndex::open(MemoryStore::new(), config)
        .await
        .unwrap();
    let rounds = finality::Rounds::new({
        let aggregator = aggregator.clone();
        move || aggregator.rounds()
    });
    let folder = tempfile::tempdir().unwrap();
    let folders = EvidenceFolders::new([(ROLLUP, folder.path().to_owned())]);
    // A verifier in another process, and one that is never there.
    let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let head = |number| BlockRef {
        number,
        hash: B256::repeat_byte(number as u8),
    };
    let status = VerifierStatus {
        next: 1_235,
        head: Some(head(1_240)),
        verified: Some(head(1_234)),
        ..VerifierStatus::default()
    };
    let told = move || vec![finality::VerifiedView::new(ROLLUP, &status)];
    let verifier = finality::verified_router("operator-1".to_owned(), told);
    let verifier = serve(verifier, loopback).await.unwrap();
    let urls = [verifier.url(), "http://127.0.0.1:1".to_owned()];
    let urls = urls.map(|url| url.parse().unwrap());
    let verifiers = finality::Verifiers::new(urls).unwrap();
    let asking = CancellationToken::new();
    let (asked, stop) = (verifiers.clone(), asking.clone());
    let asking = (
        asking.drop_guard(),
        tokio::spawn(async move { asked.watch(stop).await }),
    );
    let leads = Arc::new(AtomicBool::new(true));
    let leading = Arc::clone(&leads);
    let beside = finality::Beside {
        rounds: Some(rounds),
        evidence: folders,
        verifiers: Some(verifiers),
        leads: Some(Arc::new(move || leading.load(Relaxed))),
    };
    let api = finality::router_with(index.clone(), beside);
    let router = dashboard::router().merge(api);
    let server = serve(router, loopback).await.unwrap();

    let mut page = Page::open(&chromium, &server.url()).await;
    page.until("document.body.innerText.includes('Clean')")
        .await;
    page.until("document.getElementById('live').textContent === 'live'")
        .await;

    // How far verifiers are, each of them and the best.
    page.until("document.querySelector('.heads').innerText.includes('Verified\\n1,234')")
        .await;
    page.until("document.querySelector('.verifiers tbody').innerText.includes('operator-1')")
        .await;
    page.until("document.querySelector('.verifiers tbody').innerText.includes('6 behind')")
        .await;
    leads.store(false, Relaxed);
    page.until("document.body.innerText.includes('This instance stands by')")
        .await;
    leads.store(true, Relaxed);

    // Three of four operators sign an alert; the page is told, and asks for nothing.
    let mut events = aggregator.events();
    sign_all(&aggregator, 1, 0..3).await;
    let certificate = loop {
        let event = timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
        if let RoundEvent::Certified { certificate, .. } = event {
            break certificate;
        }
    };
    index.certified(&certificate).await.unwrap();
    page.until("document.querySelector('.banner.bad')?.innerText.includes('An alert stands')")
        .await;
    let claimed = format!("document.body.innerText.includes('0x{}')", "01".repeat(32));
    page.until(&claimed).await;
    page.until("document.body.innerText.includes('stateRoot (4)')")
        .await;
    page.until("document.querySelector('a[download^=\"alert-\"]') !== null")
        .await;
    index.confirmed(&confirmation(digest(1))).await.unwrap();
    page.until("document.querySelector('.item.bad .facts')?.innerText.includes('1,000')")
        .await;

    // What a verifier wrote against the block can be had from the page, as soon as it is there.
    let bundle = format!("{ROLLUP}-1-00000000-stateRoot-5b6a7988.json.gz");
    std::fs::write(folder.path().join(&bundle), b"evidence").unwrap();
    page.until("document.querySelector('a[download$=\".json.gz\"]') !== null")
        .await;
    let read = "(async () => { const link = document.querySelector('a[download$=\".json.gz\"]'); \
                window.evidence = link.download + ' ' + await (await fetch(link.href)).text() })()";
    page.value(read).await;
    page.until(&format!("window.evidence === '{bundle} evidence'"))
        .await;

    // What others raised on L1 has no certificate here.
    let found = alert(0);
    let on_l1 = confirmation(B256::repeat_byte(0xf0));
    index.found(&found, &on_l1).await.unwrap();
    let item = format!("document.querySelector('[data-key=\"{}\"]')", on_l1.digest);
    page.until(&format!("{item}.innerText.includes('checked by L1')"))
        .await;
    let link = format!("{item}.querySelector('a[download^=\"alert-\"]')");
    assert_eq!(page.value(&link).await, Value::Null);
    index.resolved(on_l1.digest).await.unwrap();

    // Who signed, who did not, and why.
    page.until("document.querySelectorAll('.columns tbody tr').length === 4")
        .await;
    let absent = format!(
        "[...document.querySelectorAll('.columns tbody tr')].find((row) => \
         row.querySelector('[title]').title === '{}').innerText.includes('absent')",
        id(3)
    );
    page.until("document.querySelector('.columns details').open = true")
        .await;
    page.until(&absent).await;
    page.until(&absent.replace("'absent'", "'signed nothing in the rounds that are open'"))
        .await;
    let meter = page
        .value("document.querySelector('[role=meter]').getAttribute('aria-label')")
        .await;
    assert_eq!(meter, "quorum 0: 75.0 % of the stake, 66 % needed");
    // What is open stays open when something else happens.
    index.resolved(digest(1)).await.unwrap();
    page.until("document.querySelector('.banner.good') !== null")
        .await;
    page.until("document.querySelector('.columns details').open")
        .await;
    page.until("document.querySelector('.pill.good') !== null")
        .await;

    // On a phone nothing is cut off, and it has what readers of the page aloud need.
    let phone = json!({ "width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": true });
    page.ask("Emulation.setDeviceMetricsOverride", phone).await;
    page.until("document.documentElement.scrollWidth <= innerWidth")
        .await;
    let unnamed = "[...document.querySelectorAll('button, a, svg[role], [role=meter]')].filter((it) => \
                   !(it.textContent.trim() || it.getAttribute('aria-label'))).length";
    assert_eq!(page.value(unnamed).await, 0);
    assert_eq!(page.value("document.documentElement.lang").await, "en");
    assert_eq!(page.complaints(), [] as [&Value; 0]);

    // The node goes, and the page says so.
    drop(asking);
    verifier.stop().await;
    server.stop().await;
    page.until("document.getElementById('live').textContent === 'offline'")
        .await;
}
