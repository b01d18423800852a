//! SP1's prover network: it is given the guest and its input, and gives a Groth16 proof, which the
//! contracts take. Nothing that it says is believed: the proof is verified here, and what it commits to
//! is the digest of the journal that native code gave.

mod lock;
mod order;
mod rpc;
mod service;
mod wire;

use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy_primitives::{B256, U256};
use bincode::Options;
use mach_prove::{
    Progress,
    protocol::{Failure, ProverError},
};
use sha2::{Digest, Sha256};

use self::{
    lock::AccountLock,
    order::OrderFile,
    rpc::{Network, NotOrdered},
    wire::NewRequestBody,
};
use crate::proof::{self, FromNetwork};

pub use service::{
    GAS_LIMIT, KEY, KEY_FILE, MAX_COST, MAX_ORDERS, MAX_PRICE, MODE, Market, Service, URL,
};

/// Release of the circuits, whose proofs this verifier takes.
const VERSION: &str = "sp1-v6.1.0";
/// Cycles are not what is paid: no limit that a guest of ours comes near.
const CYCLE_LIMIT: u64 = 1_000_000_000_000;
/// Longest word of the network that is passed on, in characters.
const MAX_WORDS: usize = 200;
/// Answers that may fail one after the other while it proves.
const MAX_FAILURES: u32 = 30;
/// Seconds after the end of an order's time in which the network is to say what became of it.
const AFTER_DEADLINE: u64 = 120;

/// What the network is to prove.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// What runs.
    pub elf: &'a [u8],
    /// Its verifying key, in bincode.
    pub key: &'a [u8],
    /// What the key hashes to.
    pub program: B256,
    /// What the guest reads.
    pub input: &'a [u8],
    /// What it has to commit to.
    pub public_values: &'a [u8],
    /// Folder for what lets the work go on after it was stopped.
    pub work_dir: &'a Path,
}

/// Has a run proved by the network. What it was asked for is kept in the work folder, so that a run that
/// was stopped does not ask, and pay, twice.
///
/// Errors: [`ProverError`]; with [`Failure::Invalid`](mach_prove::protocol::Failure::Invalid) if the
/// proof proves something else.
pub fn prove(
    service: &Service,
    job: Job<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<u8>, ProverError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let network = Network::new(service)?;
        let waiting = || progress(step("waiting for another order of this account"));
        let lock = AccountLock::take(service, waiting).await?;
        let mut orders = OrderFile::open(service, job)?;
        let request = ordered(service, &network, &mut orders, job, progress).await?;
        drop(lock);
        let bytes = wait(service, &network, &mut orders, request, progress).await?;
        check(&bytes, job).map_err(|error| kept(error, &orders))
    })
}

/// Orders what was not ordered before, and answers the network's name for it.
async fn ordered(
    service: &Service,
    network: &Network<'_>,
    orders: &mut OrderFile,
    job: Job<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<B256, ProverError> {
    let mut step = |name: &str| progress(step(name));
    let standing = match orders.standing()? {
        Some((_, Some(request))) => {
            step("asking for what was ordered");
            return Ok(request);
        }
        Some((body, None)) => {
            step("asking whether the order has arrived");
            if let Some(request) = found(network, orders, &body).await? {
                return Ok(request);
            }
            if is_over(body.deadline) {
                // The network has no such order, and proves none of that time any more.
                orders.refused()?;
                None
            } else {
                Some(body)
            }
        }
        None => None,
    };
    let (body, is_new) = match standing {
        // The same number again: the network takes it once.
        Some(body) => (body, false),
        None => {
            let placed = orders.placed();
            if placed >= service.max_orders {
                let reason = format!(
                    "it was ordered {placed} times without a proof, and {MAX_ORDERS} are {}: look at the \
                     network, and delete {} to order again",
                    service.max_orders,
                    orders.path().display()
                );
                return Err(ProverError::new(Failure::Unable, reason));
            }
            step("handing over the guest and its input");
            register(network, job).await?;
            let body = request(service, network, job).await?;
            orders.place(&body)?;
            (body, true)
        }
    };
    let nonce = body.nonce;
    let error = match network.order(body.clone()).await {
        Ok(request) => {
            orders.taken(request)?;
            step(&format!("ordered: {}", rpc::name(request)));
            return Ok(request);
        }
        Err(NotOrdered::Unknown(error)) => return Err(error),
        Err(NotOrdered::Refused(error)) => error,
    };
    // What was sent before may have been taken then: its number tells.
    if !is_new && network.nonce().await? > nonce {
        if let Some(request) = found(network, orders, &body).await? {
            return Ok(request);
        }
        return Err(kept(error, orders));
    }
    orders.refused()?;
    Err(error)
}

/// The network's name for what was sent, if it has arrived.
async fn found(
    network: &Network<'_>,
    orders: &mut OrderFile,
    body: &NewRequestBody,
) -> Result<Option<B256>, ProverError> {
    let request = network.find(body).await?;
    if let Some(request) = request {
        orders.taken(request)?;
    }
    Ok(request)
}

/// What nobody knows the end of is not forgotten: the next run asks again.
fn kept(error: ProverError, orders: &OrderFile) -> ProverError {
    let path = orders.path().display();
    let reason = format!(
        "{}; what was ordered is kept in {path} and asked for again; whoever deletes that file orders, and \
         may pay, anew",
        error.source
    );
    ProverError::new(error.failure, reason)
}

/// Tells the network of the guest if it does not know it.
async fn register(network: &Network<'_>, job: Job<'_>) -> Result<(), ProverError> {
    if network.knows(network_name(job.program)).await? {
        return Ok(());
    }
    let program_uri = network.upload(wire::PROGRAM, &sized(job.elf)).await?;
    let body = wire::NewProgramBody {
        nonce: network.nonce().await?,
        vk_hash: network_name(job.program).to_vec(),
        vk: job.key.to_vec(),
        program_uri,
    };
    network.create(body).await
}

async fn request(
    service: &Service,
    network: &Network<'_>,
    job: Job<'_>,
) -> Result<NewRequestBody, ProverError> {
    // In bincode: a list of inputs, how many are read, and proofs that the guest verifies.
    let stdin = [&1_u64.to_le_bytes(), &sized(job.input)[..], &[0; 16]].concat();
    let stdin_uri = network.upload(wire::STDIN, &stdin).await?;
    let mut body = NewRequestBody {
        vk_hash: network_name(job.program).to_vec(),
        version: VERSION.to_owned(),
        mode: wire::GROTH16,
        strategy: wire::HOSTED,
        stdin_uri,
        cycle_limit: CYCLE_LIMIT,
        gas_limit: service.gas_limit,
        ..Default::default()
    };
    if let Market::Auction { max_price } = service.market {
        let terms = network.terms().await?;
        body.strategy = wire::AUCTION;
        body.whitelist = network.provers().await?;
        let price = price(&terms, max_price)?;
        check_cost(&terms, price, service)?;
        body.max_price_per_pgu = price.to_string();
        body.domain = terms.domain;
        body.auctioneer = terms.auctioneer;
        body.executor = terms.executor;
        body.verifier = terms.verifier;
        body.treasury = terms.treasury;
        body.base_fee = terms.base_fee;
        body.public_values_hash = Some(Sha256::digest(job.public_values).to_vec());
    }
    body.nonce = network.nonce().await?;
    body.deadline = now() + time(service).as_secs();
    Ok(body)
}

/// Highest price that is bid: what the network asks and a fifth more, or what may be paid if that is
/// less, in whole ticks.
fn price(terms: &wire::Terms, most: Option<u128>) -> Result<u128, ProverError> {
    let asked: u128 = terms.max_price_per_pgu.parse()?;
    let price = (asked.saturating_mul(6) / 5).min(most.unwrap_or(u128::MAX));
    match price - price % u128::from(terms.tick_size).max(1) {
        0 => Err(ProverError::other("nobody proves for what may be paid")),
        price => Ok(price),
    }
}

/// Whether an order costs no more than it may, however much gas of its limit it takes.
fn check_cost(terms: &wire::Terms, price: u128, service: &Service) -> Result<(), ProverError> {
    // What is not said costs nothing.
    let fee: u128 = match terms.base_fee.as_str() {
        "" => 0,
        fee => fee.parse()?,
    };
    let cost = price.saturating_mul(service.gas_limit.into());
    let (cost, most) = (cost.saturating_add(fee), service.max_cost);
    if cost > most {
        let reason = format!(
            "an order may cost {cost} wei of PROVE, and {MAX_COST} is {most}: the network asks {} for each of \
             at most {} units of gas, and {fee} for the request",
            terms.max_price_per_pgu, service.gas_limit
        );
        return Err(ProverError::new(Failure::Unable, reason));
    }
    Ok(())
}

/// Time that a proof may take, by its size, as `sp1-sdk` reckons.
fn time(service: &Service) -> Duration {
    Duration::from_secs(match service.market {
        Market::Auction { .. } => (service.gas_limit / 2_000_000).clamp(300, 14_400),
        Market::Reserved => 14_400,
    })
}

/// Asks until it is done, and answers what the network gives.
async fn wait(
    service: &Service,
    network: &Network<'_>,
    orders: &mut OrderFile,
    request: B256,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<u8>, ProverError> {
    let (mut failures, mut told) = (0, None);
    loop {
        match network.status(request).await {
            Ok(status) if status.fulfillment == wire::FULFILLED => {
                progress(step("fetching the proof"));
                let url = status.proof_uri.unwrap_or_default();
                let proof = network.download(&url).await;
                return proof.map_err(|error| kept(error, orders));
            }
            Ok(status) => {
                failures = 0;
                let name = rpc::name(request);
                if let Some(reason) = stopped(&status) {
                    // The next run orders again.
                    orders.ended()?;
                    return Err(ProverError::other(format!(
                        "the network stopped {name}: {reason}"
                    )));
                }
                // By this clock, which may be wrong: what the network says counts.
                if is_over(status.deadline) {
                    let error = ProverError::other(format!(
                        "the time of {name} is over, and the network does not say what becomes of it"
                    ));
                    return Err(kept(error, orders));
                }
                if told != Some(status.fulfillment) {
                    told = Some(status.fulfillment);
                    progress(step(match status.fulfillment {
                        wire::ASSIGNED => "proving",
                        _ => "waiting for a prover",
                    }));
                }
            }
            Err(error) if failures == MAX_FAILURES => return Err(kept(error, orders)),
            Err(_) => failures += 1,
        }
        tokio::time::sleep(service.poll).await;
    }
}

/// Why there will be no proof, as the network says.
fn stopped(status: &wire::Status) -> Option<&'static str> {
    match (status.execution, status.fulfillment) {
        (wire::UNEXECUTABLE, _) => Some("the guest did not end well there"),
        (wire::VALIDATION_FAILED, _) => Some("the guest committed to something else there"),
        (_, wire::UNFULFILLABLE) => Some("it cannot be fulfilled"),
        (_, wire::REVERTED) => Some("it was reverted"),
        (_, wire::EXPIRED) => Some("its prover let it expire"),
        _ => None,
    }
}

/// The bytes for the contract, if they prove what was asked for.
fn check(answer: &[u8], job: Job<'_>) -> Result<Vec<u8>, ProverError> {
    let codec = bincode::options()
        .with_fixint_encoding()
        .with_limit(answer.len() as u64);
    let proof: Result<FromNetwork, _> = codec.deserialize(answer);
    let proof = proof.map_err(|_| ProverError::invalid("the network's proof is malformed"))?;
    if proof.public_values != job.public_values {
        return Err(ProverError::invalid(
            "the network proved another journal than native code gives",
        ));
    }
    let bytes = proof.bytes().map_err(ProverError::invalid)?;
    proof::verify(job.program, job.public_values, &bytes).map_err(ProverError::invalid)?;
    Ok(bytes)
}

/// The network's name for a program: the eight words of 31 bits that the contracts have in one number,
/// in four bytes each.
fn network_name(program: B256) -> B256 {
    let number = U256::from_be_bytes(program.0);
    let mut name = B256::ZERO;
    for (bytes, shift) in name.chunks_exact_mut(4).rev().zip((0_usize..).step_by(31)) {
        let word = ((number >> shift) & U256::from(0x7fff_ffff_u32)).to::<u32>();
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    name
}

/// In bincode.
fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes()[..], bytes].concat()
}

fn step(name: &str) -> Progress {
    Progress::Step { name: clip(name) }
}

fn clip(words: &str) -> String {
    words
        .chars()
        .filter(|it| !it.is_control())
        .take(MAX_WORDS)
        .collect()
}

/// Whether the time of an order is over, and the time to say what became of it.
fn is_over(deadline: u64) -> bool {
    now() > deadline.saturating_add(AFTER_DEADLINE)
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests;
