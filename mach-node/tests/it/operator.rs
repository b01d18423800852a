use std::{
    num::NonZeroU64,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy_primitives::B256;
use async_trait::async_trait;
use mach_core::{
    Alert, Attestation, BlockRef, Domain, OperatorId, QuorumNumbers, Round, SignedStatement,
    Statement,
    ports::{
        AggregateError, AlertSink, Progress, SignError, SignatureAggregator, SigningGuard,
        SinkError, StatementSigner,
    },
};
use mach_node::{MemoryGuard, Operator, OperatorConfig, TermsPolicy};

use crate::ports::{
    Confirmer, DOMAIN, FixedHead, HEAD, RETRY, ROLLUP, aggregator, alert, confirmed, digest, id,
    key, percent, quorums, sign_all, signed, statement, until,
};

fn config() -> OperatorConfig {
    OperatorConfig {
        domain: DOMAIN,
        attest_every: NonZeroU64::new(10),
        terms: TermsPolicy {
            quorums: quorums(),
            least_threshold: percent(66),
            max_age: 100,
        },
        retry: RETRY,
    }
}

fn operator(index: u64, aggregators: Vec<Arc<dyn SignatureAggregator>>) -> Operator {
    let signer = mach_bls::LocalSigner::new(key(index));
    let head = FixedHead::new();
    Operator::new(signer, MemoryGuard::new(), aggregators, head, config())
}

/// An aggregator that answers what it is told, and records what it gets.
#[derive(Clone)]
struct Told(Arc<ToldState>);

struct ToldState {
    terms: Round,
    opened: AtomicUsize,
    submitted: Mutex<Vec<SignedStatement>>,
    /// Submissions that find their round gone.
    gone: AtomicUsize,
}

impl Told {
    fn terms(quorums: QuorumNumbers, threshold: u8, reference_block: u64) -> Self {
        let thresholds = vec![percent(threshold); quorums.len()];
        Self(Arc::new(ToldState {
            terms: Round::new(quorums, thresholds, reference_block as u32).unwrap(),
            opened: AtomicUsize::new(0),
            submitted: Mutex::default(),
            gone: AtomicUsize::new(0),
        }))
    }

    fn good() -> Self {
        Self::terms(quorums(), 66, HEAD - 1)
    }

    fn opened(&self) -> usize {
        self.0.opened.load(Ordering::SeqCst)
    }

    fn submitted(&self) -> Vec<SignedStatement> {
        self.0.submitted.lock().unwrap().clone()
    }
}

#[async_trait]
impl SignatureAggregator for Told {
    async fn open(&self, _statement: &Statement) -> Result<Round, AggregateError> {
        self.0.opened.fetch_add(1, Ordering::SeqCst);
        Ok(self.0.terms.clone())
    }

    async fn submit(&self, signed: SignedStatement) -> Result<Progress, AggregateError> {
        let digest = signed.digest();
        self.0.submitted.lock().unwrap().push(signed);
        let left = |gone: usize| gone.checked_sub(1);
        match (self.0.gone).fetch_update(Ordering::SeqCst, Ordering::SeqCst, left) {
            Ok(_) => Err(AggregateError::UnknownRound(digest)),
            Err(_) => Ok(Progress::Collecting { signers: 1 }),
        }
    }
}

/// An aggregator that does not answer, or says at once that it cannot be reached.
#[derive(Clone, Copy)]
enum Dead {
    Silent,
    Unreachable,
}

#[async_trait]
impl SignatureAggregator for Dead {
    async fn open(&self, _statement: &Statement) -> Result<Round, AggregateError> {
        match self {
            Self::Silent => std::future::pending().await,
            Self::Unreachable => Err(AggregateError::Backend("connection refused".into())),
        }
    }

    async fn submit(&self, signed: SignedStatement) -> Result<Progress, AggregateError> {
        self.open(&signed.statement).await?;
        unreachable!("no round is ever opened")
    }
}

/// A signer that counts how often it signs.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

#[async_trait]
impl StatementSigner for Counting {
    fn operator(&self) -> OperatorId {
        id(0)
    }

    async fn sign(&self, it: &Statement, domain: &Domain) -> Result<SignedStatement, SignError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(SignedStatement {
            statement: it.clone(),
            domain: *domain,
            operator: id(0),
            signature: key(0).sign(it.digest(domain)).to_bytes(),
        })
    }
}

const fn attestation(number: u64) -> Attestation {
    Attestation {
        rollup_chain_id: ROLLUP,
        block: BlockRef {
            number,
            hash: B256::repeat_byte(3),
        },
        state_root: B256::repeat_byte(4),
        output_root: B256::repeat_byte(5),
    }
}

#[tokio::test]
async fn operators_bring_an_alert_to_its_confirmation() {
    let confirmer = Confirmer::default();
    let aggregator = aggregator(&confirmer);
    for index in 0..3 {
        let operator = operator(index, vec![Arc::new(aggregator.clone())]);
        operator.raise(&alert(1)).await.unwrap();
        // Raising it twice has the effect of raising it once.
        operator.raise(&alert(1)).await.unwrap();
    }
    confirmed(&aggregator, 1).await;
    assert_eq!(confirmer.certificates().len(), 1);
    assert_eq!(confirmer.certificates()[0].digest(), digest(1));
}

/// COMPAT 8.1, 7: the original signed the hash that the aggregator sent.
#[tokio::test]
async fn nothing_is_signed_on_bad_terms() {
    let other_quorum = QuorumNumbers::new([1]).unwrap();
    let more_quorums = QuorumNumbers::new([0, 1]).unwrap();
    let bad = [
        Told::terms(quorums(), 65, HEAD - 1),
        Told::terms(quorums(), 66, HEAD - 101),
        Told::terms(quorums(), 66, HEAD),
        Told::terms(other_quorum, 66, HEAD - 1),
        Told::terms(more_quorums, 66, HEAD - 1),
    ];
    for aggregator in bad {
        let signer = Counting::default();
        let operator = Operator::new(
            signer.clone(),
            MemoryGuard::new(),
            vec![Arc::new(aggregator.clone())],
            FixedHead::new(),
            config(),
        );
        let terms = &aggregator.0.terms;
        operator.raise(&alert(1)).await.unwrap_err();
        assert_eq!(signer.0.load(Ordering::SeqCst), 0, "{terms:?}");
        assert!(aggregator.submitted().is_empty(), "{terms:?}");
    }
}

#[tokio::test]
async fn what_is_signed_is_what_was_asked_for() {
    let aggregator = Told::good();
    let operator = operator(0, vec![Arc::new(aggregator.clone())]);
    operator.raise(&alert(1)).await.unwrap();
    assert_eq!(aggregator.submitted(), [signed(1, 0)]);
}

#[tokio::test(start_paused = true)]
async fn an_l1_node_that_is_behind_catches_up() {
    let head = FixedHead::new();
    head.0.store(HEAD - 5, Ordering::SeqCst);
    let aggregator = Told::good();
    let mut config = config();
    config.retry.retries = 20;
    let operator = Operator::new(
        mach_bls::LocalSigner::new(key(0)),
        MemoryGuard::new(),
        vec![Arc::new(aggregator.clone())],
        head.clone(),
        config,
    );
    let raising = tokio::spawn(async move { operator.raise(&alert(1)).await });
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(aggregator.submitted().is_empty());
    head.0.store(HEAD, Ordering::SeqCst);
    raising.await.unwrap().unwrap();
    assert_eq!(aggregator.submitted().len(), 1);
}

#[tokio::test]
async fn nothing_is_signed_that_contradicts_an_earlier_statement() {
    let signer = Counting::default();
    let guard = Arc::new(MemoryGuard::new());
    let aggregator = Told::good();
    let operator = Operator::new(
        signer.clone(),
        Arc::clone(&guard),
        vec![Arc::new(aggregator.clone())],
        FixedHead::new(),
        config(),
    );
    let other = Alert {
        computed: B256::repeat_byte(9),
        ..alert(1)
    };
    operator.raise(&alert(1)).await.unwrap();
    let refused = operator.raise(&other).await.unwrap_err();
    assert!(matches!(refused, SinkError::Refused(_)), "{refused:?}");
    assert_eq!(signer.0.load(Ordering::SeqCst), 1);
    assert_eq!(aggregator.submitted().len(), 1);
    // The guard had it before it was signed.
    assert!(guard.permit(&other.into(), &DOMAIN).await.is_err());
    assert!(guard.permit(&statement(1), &DOMAIN).await.is_ok());
}

#[tokio::test]
async fn one_aggregator_of_two_that_answers_is_enough() {
    for dead in [Dead::Silent, Dead::Unreachable] {
        let confirmer = Confirmer::default();
        let alive = aggregator(&confirmer);
        sign_all(&alive, 1, 1..3).await;
        let operator = operator(0, vec![Arc::new(dead), Arc::new(alive.clone())]);
        tokio::time::timeout(Duration::from_secs(60), operator.raise(&alert(1)))
            .await
            .expect("the silent one is not waited for")
            .unwrap();
        confirmed(&alive, 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_slower_aggregator_gets_the_signature_too() {
    /// An aggregator that takes its time.
    struct Slow(Told);

    #[async_trait]
    impl SignatureAggregator for Slow {
        async fn open(&self, statement: &Statement) -> Result<Round, AggregateError> {
            tokio::time::sleep(Duration::from_secs(20)).await;
            self.0.open(statement).await
        }

        async fn submit(&self, signed: SignedStatement) -> Result<Progress, AggregateError> {
            tokio::time::sleep(Duration::from_secs(20)).await;
            self.0.submit(signed).await
        }
    }

    let (first, second) = (Told::good(), Told::good());
    let slow = Slow(second.clone());
    let operator = operator(0, vec![Arc::new(first.clone()), Arc::new(slow)]);
    operator.raise(&alert(1)).await.unwrap();
    assert_eq!(first.submitted().len(), 1);
    assert!(second.submitted().is_empty());
    until(|| second.submitted() == [signed(1, 0)]).await;
}

#[tokio::test]
async fn a_signature_whose_round_is_gone_is_sent_again() {
    let aggregator = Told::good();
    aggregator.0.gone.store(1, Ordering::SeqCst);
    let operator = operator(0, vec![Arc::new(aggregator.clone())]);
    operator.raise(&alert(1)).await.unwrap();
    assert_eq!(aggregator.opened(), 1);
    assert_eq!(aggregator.submitted(), [signed(1, 0), signed(1, 0)]);
}

#[tokio::test]
async fn without_an_aggregator_that_answers_the_outcome_is_not_delivered() {
    let unreachable = operator(0, vec![Arc::new(Dead::Unreachable)]);
    let error = unreachable.raise(&alert(1)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    // Where one refuses and one is not reached, another try may help.
    let weak = Told::terms(quorums(), 1, HEAD - 1);
    let mixed = operator(0, vec![Arc::new(weak), Arc::new(Dead::Unreachable)]);
    assert!(mixed.raise(&alert(1)).await.unwrap_err().is_transient());
    let nobody = operator(0, vec![]);
    assert!(!nobody.raise(&alert(1)).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn a_refusal_is_not_tried_again() {
    // The operator is none of the aggregator's.
    let confirmer = Confirmer::default();
    let stranger = operator(9, vec![Arc::new(aggregator(&confirmer))]);
    let error = stranger.raise(&alert(1)).await.unwrap_err();
    assert!(matches!(error, SinkError::Refused(_)), "{error:?}");
}

#[tokio::test]
async fn only_every_nth_valid_block_is_attested() {
    let aggregator = Told::good();
    let operator = operator(0, vec![Arc::new(aggregator.clone())]);
    for number in 1..=30 {
        operator.attest(&attestation(number)).await.unwrap();
    }
    let attested: Vec<_> = aggregator
        .submitted()
        .iter()
        .map(|signed| signed.statement.block().number)
        .collect();
    assert_eq!(attested, [10, 20, 30]);
}
