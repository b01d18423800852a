//! Provers in processes of their own. These are shell scripts: what they do wrong is what is tested.

use std::{
    path::{Path, PathBuf},
    sync::Mutex,
    time::{Duration, Instant},
};

use alloy_primitives::{B256, Bytes};
use mach_prove::{
    BackendName, Journal, ProcessBackend, Program, Progress, Proof, ProofBackend, ProofRequest,
    ProveError, Task, Worth,
};
use tempfile::TempDir;

use crate::fixture::input;

const ID: B256 = B256::repeat_byte(7);

/// A prover that answers `info` and `verify` and does `script` to prove.
struct Prover {
    folder: TempDir,
}

impl Prover {
    fn new(script: &str) -> Self {
        Self::verifying("echo '{\"type\":\"done\"}'", script)
    }

    fn verifying(verify: &str, script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("verify"), verify).unwrap();
        std::fs::write(folder.path().join("prove"), script).unwrap();
        // Not a copy: a file that was just written may be busy while another test starts a process.
        let prover = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/prover.sh");
        std::os::unix::fs::symlink(prover, folder.path().join("prover")).unwrap();
        Self { folder }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn backend(&self) -> ProcessBackend {
        ProcessBackend::new(BackendName::OpenVm, self.at("work")).with_prover(self.at("prover"))
    }

    /// Puts the proof of `request` where the script finds it.
    fn with_proof(self, request: &ProofRequest, change: impl FnOnce(&mut Proof)) -> Self {
        let mut proof = proof(request);
        change(&mut proof);
        proof.write(self.at("made")).unwrap();
        self
    }

    fn calls(&self, of: &str) -> usize {
        let calls = std::fs::read_to_string(self.at("calls")).unwrap_or_default();
        calls.lines().filter(|line| line.starts_with(of)).count()
    }
}

const COPY: &str = r#"echo '{"type":"segment","done":1,"total":2}'
echo 'a library says something'
echo '{"type":"segment","done":2,"total":2}'
cp "$here/made" "$out"
echo '{"type":"done"}'"#;

fn request() -> ProofRequest {
    ProofRequest::block(&input("lie-state-root", Task::Accuse)).unwrap()
}

fn proof(request: &ProofRequest) -> Proof {
    Proof {
        backend: BackendName::OpenVm,
        program: request.program(),
        program_id: ID,
        journal: *request.journal(),
        proof: Bytes::from_static(b"proof"),
    }
}

async fn prove(prover: &Prover) -> Result<Proof, ProveError> {
    prover.backend().prove(&request(), &|_| {}).await
}

#[tokio::test]
async fn a_proof_is_made_once_and_found_again() {
    let request = request();
    let prover = Prover::new(COPY).with_proof(&request, |_| {});
    let heard = Mutex::new(Vec::new());
    let hear = |progress| heard.lock().unwrap().push(progress);
    let made = prover.backend().prove(&request, &hear).await.unwrap();
    assert_eq!(made, proof(&request));
    let segment = |done| Progress::Segment { done, total: 2 };
    assert_eq!(*heard.lock().unwrap(), [segment(1), segment(2)]);
    assert_eq!(
        prover.backend().program_id(Program::Block).await.unwrap(),
        ID
    );

    // Another process, the same folder.
    let again = prover.backend().prove(&request, &|_| {}).await.unwrap();
    assert_eq!(
        (again, prover.calls("prove"), prover.calls("verify")),
        (made, 1, 1)
    );
    // What lies there and is damaged is made again.
    let folder = prover.at("work").join(format!("{:x}", request.digest()));
    std::fs::write(folder.join("proof.json"), b"{}").unwrap();
    prover.backend().prove(&request, &|_| {}).await.unwrap();
    assert_eq!(prover.calls("prove"), 2);
    assert_eq!(
        std::fs::read(folder.join("input")).unwrap(),
        request.input()[..]
    );
    let journal = std::fs::read(folder.join("journal.json")).unwrap();
    let journal: Journal = serde_json::from_slice(&journal).unwrap();
    assert_eq!(journal, *request.journal());
}

#[tokio::test]
async fn another_proof_than_the_one_asked_for_is_refused() {
    let request = request();
    let prover = Prover::new(COPY).with_proof(&request, |it| it.journal.fault = 6);
    assert!(matches!(
        prove(&prover).await,
        Err(ProveError::OtherJournal(_))
    ));
    let prover = Prover::new(COPY).with_proof(&request, |it| it.program_id = B256::ZERO);
    assert!(matches!(
        prove(&prover).await,
        Err(ProveError::OtherProgram { .. })
    ));
    let prover = Prover::new(COPY).with_proof(&request, |it| it.backend = BackendName::Native);
    assert!(matches!(
        prove(&prover).await,
        Err(ProveError::OtherBackend { .. })
    ));
}

#[tokio::test]
async fn the_memory_limit_is_passed_on() {
    let request = request();
    let script = format!("echo \"${{10}} ${{11}}\" > \"$here/limit\"\n{COPY}");
    let prover = Prover::new(&script).with_proof(&request, |_| {});
    let backend = prover.backend().with_memory_limit(5 << 30);
    backend.prove(&request, &|_| {}).await.unwrap();
    let limit = std::fs::read_to_string(prover.at("limit")).unwrap();
    assert_eq!(limit, "--memory-limit 5368709120\n");
    // Killed, as Linux does it when memory is short.
    let prover = Prover::new("kill -9 $$");
    let backend = prover.backend().with_memory_limit(1);
    let error = backend.prove(&request, &|_| {}).await.unwrap_err();
    assert!(
        matches!(error, ProveError::Memory { limit: 1 }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_prover_that_fails_says_why() {
    let says = |failure: &str| {
        format!("echo '{{\"type\":\"failed\",\"failure\":\"{failure}\",\"message\":\"so\"}}'")
    };
    let error = prove(&Prover::new(&says("unable"))).await.unwrap_err();
    assert!(matches!(error, ProveError::Unable { .. }), "{error:?}");
    let error = prove(&Prover::new(&says("invalid"))).await.unwrap_err();
    assert!(matches!(error, ProveError::Invalid(_)), "{error:?}");
    assert!(!error.is_transient());

    let error = prove(&Prover::new("echo oh dear >&2; exit 3"))
        .await
        .unwrap_err();
    let ProveError::Backend(source) = &error else {
        panic!("{error:?}")
    };
    assert!(error.is_transient());
    assert!(source.to_string().contains("oh dear"), "{source}");
    // Without its last word nothing was done, whatever it wrote.
    let silent = Prover::new("cp \"$here/made\" \"$out\"").with_proof(&request(), |_| {});
    assert!(matches!(prove(&silent).await, Err(ProveError::Backend(_))));
    let absent = ProcessBackend::new(BackendName::Sp1, "work").with_prover("/absent");
    let error = absent.program_id(Program::Block).await.unwrap_err();
    assert!(matches!(error, ProveError::Backend(_)), "{error:?}");
}

#[tokio::test]
async fn what_a_prover_says_is_bounded() {
    let endless = Prover::new("yes | tr -d '\\n'");
    let error = prove(&endless).await.unwrap_err();
    let ProveError::Backend(source) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(source.to_string(), "a line of the prover is too long");
}

#[tokio::test]
async fn stopping_kills_the_prover() {
    let prover = Prover::new("echo $$ > \"$here/pid\"; exec sleep 600");
    let backend = prover.backend();
    let request = request();
    let work = backend.prove(&request, &|_| {});
    let started = async {
        let pid = || std::fs::read_to_string(prover.at("pid"));
        while !pid().is_ok_and(|it| it.ends_with('\n')) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // Drops the work.
    tokio::select! {
        ended = work => panic!("{ended:?}"),
        () = started => {}
    }
    let pid = std::fs::read_to_string(prover.at("pid")).unwrap();
    let process = PathBuf::from(format!("/proc/{}/cmdline", pid.trim()));
    let until = Instant::now() + Duration::from_secs(10);
    // A process that is dead and not yet waited for has no command line.
    while std::fs::read(&process).is_ok_and(|line| !line.is_empty()) {
        assert!(Instant::now() < until, "process {pid} lives");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Kill -9 lets nobody say good-bye: what is left of the process that started the prover is a pipe that
/// closes.
#[tokio::test]
async fn a_prover_is_told_to_watch_its_standard_input() {
    let request = request();
    let script = format!(
        "echo \"${{@: -1}}\" > \"$here/last\"\nreadlink /proc/$$/fd/0 > \"$here/stdin\"\n{COPY}"
    );
    let prover = Prover::new(&script).with_proof(&request, |_| {});
    prover.backend().prove(&request, &|_| {}).await.unwrap();
    let told = |name: &str| std::fs::read_to_string(prover.at(name)).unwrap();
    assert_eq!(told("last"), "--watch-stdin\n");
    assert!(told("stdin").starts_with("pipe:"), "{}", told("stdin"));
}

/// Two provers in one folder would write over each other's work.
#[tokio::test]
async fn one_process_at_a_time_proves_a_request() {
    let request = request();
    let wait = format!("while ! [ -e \"$here/go\" ]; do sleep 0.05; done\n{COPY}");
    let prover = Prover::new(&wait).with_proof(&request, |_| {});
    let backend = prover.backend();
    let first = tokio::spawn({
        let (backend, request) = (backend.clone(), request.clone());
        async move { backend.prove(&request, &|_| {}).await }
    });
    while prover.calls("prove") == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let second = backend.prove(&request, &|_| {}).await.unwrap_err();
    assert!(matches!(second, ProveError::InUse(_)), "{second:?}");
    assert!(second.is_transient());
    std::fs::write(prover.at("go"), []).unwrap();
    first.await.unwrap().unwrap();
    // Free again, and the proof is found.
    backend.prove(&request, &|_| {}).await.unwrap();
    assert_eq!(prover.calls("prove"), 1);
}

/// A prover that does not say so makes no proofs for a contract.
#[tokio::test]
async fn what_proofs_are_worth_is_for_the_prover_to_say() {
    let prover = Prover::new(COPY);
    assert_eq!(prover.backend().worth().await.unwrap(), Worth::Proof);
    std::fs::write(prover.at("worth"), r#","worth":"onChain""#).unwrap();
    assert_eq!(prover.backend().worth().await.unwrap(), Worth::OnChain);
    // What is missing is said, and nothing more is believed for it.
    let missing = r#","worth":"proof","missing":"set A""#;
    std::fs::write(prover.at("worth"), missing).unwrap();
    assert_eq!(prover.backend().worth().await.unwrap(), Worth::Proof);
    let programs = prover.backend().programs().await.unwrap();
    assert_eq!(programs[0].missing.as_deref(), Some("set A"));
    let native = ProcessBackend::new(BackendName::Native, prover.at("work"))
        .with_prover(prover.at("prover"));
    assert_eq!(native.worth().await.unwrap(), Worth::NotAProof);
    assert!(Worth::NotAProof < Worth::Proof && Worth::Proof < Worth::OnChain);
}

#[tokio::test]
async fn a_proof_that_does_not_verify_is_an_error_by_name() {
    let says = r#"echo '{"type":"failed","failure":"invalid","message":"no"}'"#;
    let prover = Prover::verifying(says, COPY).with_proof(&request(), |_| {});
    let proof = proof(&request());
    let error = prover.backend().verify(&proof).await.unwrap_err();
    assert!(matches!(error, ProveError::Invalid(_)), "{error:?}");
    let native = ProcessBackend::new(BackendName::Native, prover.at("work"))
        .with_prover(prover.at("prover"));
    let error = native.verify(&proof).await.unwrap_err();
    assert!(matches!(error, ProveError::NotAProof(_)), "{error:?}");
}
