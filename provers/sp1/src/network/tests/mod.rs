//! A network that may lie, and whose answers get lost.

mod server;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
};

use alloy_primitives::hex;
use mach_prove::protocol::Failure;
use tempfile::tempdir;

use self::server::{Network, REQUEST, Script, Taken};
use super::*;
use crate::proof::vector::{PROGRAM, PROOF, PUBLIC_VALUES};

const SECRET: &str = "0101010101010101010101010101010101010101010101010101010101010101";
const ELF: &[u8] = b"a guest";
const KEY_OF_ELF: &[u8] = b"its key";

fn answer(public_values: &[u8], proof: &[u8]) -> Vec<u8> {
    let inputs: [String; 5] = Default::default();
    let digits = hex::encode(proof.get(4..).unwrap_or_default());
    let mut digest = [0; 32];
    digest[..4].copy_from_slice(&PROOF[..4]);
    let wrapped = (inputs, digits, String::new(), digest);
    // The fourth kind.
    bincode::serialize(&(3_u32, wrapped, public_values, "v6.1.0")).unwrap()
}

fn status(fulfillment: i32) -> wire::Status {
    wire::Status {
        fulfillment,
        deadline: u64::MAX,
        ..Default::default()
    }
}

fn script() -> Script {
    Script {
        account: service("http://[::1]").address(),
        knows_program: true,
        terms: wire::Terms {
            domain: vec![1; 32],
            auctioneer: vec![2; 20],
            executor: vec![3; 20],
            verifier: vec![4; 20],
            max_price_per_pgu: "1001".to_owned(),
            base_fee: "5".to_owned(),
            treasury: vec![6; 20],
            tick_size: 100,
        },
        orders: Default::default(),
        statuses: vec![
            status(1),
            status(wire::ASSIGNED),
            status(wire::ASSIGNED),
            status(wire::FULFILLED),
        ],
        proof: answer(&PUBLIC_VALUES, &PROOF),
        upload_url: None,
        nonce: 40,
        asked: Vec::new(),
        others: 0,
        unlisted: 0,
        uploaded: Default::default(),
        programs: Vec::new(),
        sent: Vec::new(),
        taken: Vec::new(),
    }
}

/// Enough orders for a test of one thing after the other.
fn service(url: &str) -> Service {
    let market = Market::Auction { max_price: None };
    let service = Service::new(url, SECRET, market).unwrap();
    let mut service = service.with_poll(Duration::from_millis(1));
    service.max_orders = 9;
    service
}

fn job(work_dir: &Path) -> Job<'_> {
    Job {
        elf: ELF,
        key: KEY_OF_ELF,
        program: PROGRAM,
        input: b"input",
        public_values: &PUBLIC_VALUES,
        work_dir,
    }
}

fn ask(service: &Service, work_dir: &Path) -> (Result<Vec<u8>, ProverError>, Vec<Progress>) {
    let mut heard = Vec::new();
    let proved = prove(service, job(work_dir), &mut |progress| heard.push(progress));
    (proved, heard)
}

fn refused(script: Script) -> (Failure, String) {
    let folder = tempdir().unwrap();
    let network = Network::start(script);
    let error = ask(&service(&network.url), folder.path()).0.unwrap_err();
    // What is paid is kept, whatever was given for it.
    let said = error.source.to_string();
    let said = said.split("; what was ordered is kept in ").next().unwrap();
    (error.failure, said.to_owned())
}

#[test]
fn the_network_proves_and_the_contract_takes_it() {
    let folder = tempdir().unwrap();
    let network = Network::start(Script {
        knows_program: false,
        ..script()
    });
    let (proved, heard) = ask(&service(&network.url), folder.path());
    assert_eq!(proved.unwrap(), PROOF);
    let ordered = format!("ordered: request {}", hex::encode_prefixed(REQUEST));
    let steps = [
        "handing over the guest and its input",
        ordered.as_str(),
        "waiting for a prover",
        "proving",
        "fetching the proof",
    ];
    assert_eq!(heard, steps.map(step));

    let script = network.script.lock().unwrap();
    let [program] = &script.programs[..] else {
        panic!("one program")
    };
    // What the network calls it: each word of 31 bits in four bytes.
    let name = network_name(PROGRAM);
    assert_eq!(program.vk_hash, name.to_vec());
    assert_eq!(program.vk, KEY_OF_ELF);
    let elf = &script.uploaded[&program.program_uri];
    assert_eq!(*elf, bincode::serialize(ELF).unwrap());
    let [body] = &script.taken[..] else {
        panic!("one order")
    };
    // `SP1Stdin`: buffers, how many are read, proofs.
    let stdin = (vec![b"input".to_vec()], 0_u64, Vec::<u8>::new());
    let stdin = bincode::serialize(&stdin).unwrap();
    assert_eq!(script.uploaded[&body.stdin_uri], stdin);
    assert_eq!(
        (body.nonce, body.mode, body.strategy, &body.vk_hash[..]),
        (41, wire::GROTH16, wire::AUCTION, &name[..])
    );
    // A fifth more than 1001, in whole hundreds.
    assert_eq!(
        (body.max_price_per_pgu.as_str(), body.base_fee.as_str()),
        ("1200", "5")
    );
    assert_eq!(body.whitelist, [vec![9; 20]]);
    assert_eq!(body.treasury, vec![6; 20]);
    let hash = Sha256::digest(PUBLIC_VALUES).to_vec();
    assert_eq!(body.public_values_hash, Some(hash));
    let left = body.deadline - now();
    assert!((490..=500).contains(&left), "{left}");
}

#[test]
fn the_networks_own_provers_are_asked_for_no_bid() {
    let folder = tempdir().unwrap();
    let network = Network::start(script());
    let service = Service::new(&network.url, SECRET, Market::Reserved).unwrap();
    let service = service.with_poll(Duration::from_millis(1));
    assert_eq!(ask(&service, folder.path()).0.unwrap(), PROOF);
    assert_eq!(network.count("GetProofRequestParams"), 0);
    assert_eq!(network.count("CreateProgram"), 0);
    let script = network.script.lock().unwrap();
    let body = &script.taken[0];
    assert_eq!(body.strategy, wire::HOSTED);
    assert!(body.max_price_per_pgu.is_empty() && body.whitelist.is_empty());
}

#[test]
fn what_was_ordered_is_not_ordered_twice() {
    let folder = tempdir().unwrap();
    let mut lost = script();
    let proof = std::mem::take(&mut lost.proof);
    let network = Network::start(lost);
    let service = service(&network.url);
    assert!(ask(&service, folder.path()).0.is_err());
    network.script.lock().unwrap().proof = proof;
    assert_eq!(ask(&service, folder.path()).0.unwrap(), PROOF);
    assert_eq!(network.count("RequestProof"), 1);
    assert_eq!(network.count("CreateArtifact"), 1);
}

#[test]
fn an_order_whose_answer_is_lost_is_found_again_or_sent_again_as_it_was() {
    for (outcome, orders) in [(Taken::Unheard, 1), (Taken::Lost, 2)] {
        let folder = tempdir().unwrap();
        let network = Network::start(Script {
            orders: [outcome].into(),
            ..script()
        });
        let service = service(&network.url);
        let error = ask(&service, folder.path()).0.unwrap_err();
        let said = error.source.to_string();
        assert!(
            said.starts_with("the network answers Unavailable"),
            "{said}"
        );
        assert_eq!(ask(&service, folder.path()).0.unwrap(), PROOF);
        assert_eq!(network.count("RequestProof"), orders);
        let script = network.script.lock().unwrap();
        assert_eq!(script.taken.len(), 1);
        assert!(script.sent.iter().all(|it| *it == script.sent[0]));
    }
}

#[test]
fn what_is_refused_or_stopped_is_ordered_anew() {
    let folder = tempdir().unwrap();
    let network = Network::start(Script {
        orders: [Taken::Refused(tonic::Code::FailedPrecondition)].into(),
        ..script()
    });
    let service = service(&network.url);
    let said = |error: ProverError| error.source.to_string();
    assert_eq!(
        ask(&service, folder.path()).0.map_err(said).unwrap_err(),
        "the network answers FailedPrecondition: not this"
    );
    let ends = [
        (status(wire::UNFULFILLABLE), "it cannot be fulfilled"),
        (status(wire::REVERTED), "it was reverted"),
        (status(wire::EXPIRED), "its prover let it expire"),
        (
            wire::Status {
                execution: wire::UNEXECUTABLE,
                ..status(1)
            },
            "the guest did not end well there",
        ),
        (
            wire::Status {
                execution: wire::VALIDATION_FAILED,
                ..status(1)
            },
            "the guest committed to something else there",
        ),
    ];
    for (end, reason) in ends {
        network.script.lock().unwrap().statuses = vec![end];
        let error = ask(&service, folder.path()).0.map_err(said).unwrap_err();
        assert!(error.ends_with(reason), "{error}");
    }
    network.script.lock().unwrap().statuses = vec![status(wire::FULFILLED)];
    assert_eq!(ask(&service, folder.path()).0.unwrap(), PROOF);
    assert_eq!(network.count("RequestProof"), 7);
    let script = network.script.lock().unwrap();
    let numbers: Vec<_> = script.taken.iter().map(|it| it.nonce).collect();
    assert_eq!(numbers, [40, 41, 42, 43, 44, 45]);
}

/// The file with what was ordered.
fn note(folder: &Path) -> PathBuf {
    let mut files = fs::read_dir(folder).unwrap();
    let note = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    note
}

/// The clock of this machine forgets nothing that is paid.
#[test]
fn an_order_stands_until_the_network_says_otherwise() {
    let folder = tempdir().unwrap();
    let late = wire::Status {
        deadline: 1,
        ..status(wire::ASSIGNED)
    };
    let network = Network::start(Script {
        statuses: vec![late.clone()],
        ..script()
    });
    let service = service(&network.url);
    for _ in 0..3 {
        let error = ask(&service, folder.path()).0.unwrap_err();
        let said = error.source.to_string();
        let kept = format!("is kept in {}", note(folder.path()).display());
        assert!(
            said.contains("the time of request") && said.contains(&kept),
            "{said}"
        );
    }
    // It was done in time, or not.
    let proved = wire::Status {
        fulfillment: wire::FULFILLED,
        ..late
    };
    network.script.lock().unwrap().statuses = vec![proved];
    assert_eq!(ask(&service, folder.path()).0.unwrap(), PROOF);
    assert_eq!(network.count("RequestProof"), 1);
}

/// Whoever tries without end pays for so many orders.
#[test]
fn a_person_is_asked_after_some_orders() {
    let folder = tempdir().unwrap();
    let network = Network::start(Script {
        statuses: vec![status(wire::UNFULFILLABLE)],
        ..script()
    });
    let mut service = service(&network.url);
    service.max_orders = 2;
    for _ in 0..2 {
        let error = ask(&service, folder.path()).0.unwrap_err();
        assert_eq!(error.failure, Failure::Other);
    }
    for _ in 0..2 {
        let error = ask(&service, folder.path()).0.unwrap_err();
        assert_eq!(error.failure, Failure::Unable);
        let said = error.source.to_string();
        assert!(said.starts_with("it was ordered 2 times"), "{said}");
        let file = note(folder.path()).display().to_string();
        assert!(said.contains(&format!("delete {file}")), "{said}");
    }
    assert_eq!(network.count("RequestProof"), 2);
    fs::remove_file(note(folder.path())).unwrap();
    network.script.lock().unwrap().statuses = vec![status(wire::FULFILLED)];
    assert_eq!(ask(&service, folder.path()).0.unwrap(), PROOF);
}

/// What the network asks is bounded by what a person said.
#[test]
fn no_order_may_cost_more_than_is_said() {
    let folder = tempdir().unwrap();
    let network = Network::start(script());
    let service = |max_cost| {
        let mut service = service(&network.url);
        (service.gas_limit, service.max_cost) = (10, max_cost);
        service
    };
    // Ten units for 1,200 each, and five for the request.
    let error = ask(&service(12_004), folder.path()).0.unwrap_err();
    assert_eq!(error.failure, Failure::Unable);
    let said = error.source.to_string();
    let expected = "an order may cost 12005 wei of PROVE, and NETWORK_MAX_COST is 12004";
    assert!(said.starts_with(expected), "{said}");
    assert_eq!(network.count("RequestProof"), 0);
    assert_eq!(ask(&service(12_005), folder.path()).0.unwrap(), PROOF);
    let mut terms = script().terms;
    terms.base_fee = "much".to_owned();
    assert!(check_cost(&terms, 1, &service(1)).is_err());
    terms.base_fee = u128::MAX.to_string();
    assert!(check_cost(&terms, u128::MAX, &service(u128::MAX - 1)).is_err());
}

/// A note that cannot be read is no empty one.
#[test]
fn who_does_not_know_what_was_ordered_orders_nothing() {
    let folder = tempdir().unwrap();
    let network = Network::start(Script {
        orders: [Taken::Unheard].into(),
        ..script()
    });
    let service = service(&network.url);
    assert!(ask(&service, folder.path()).0.is_err());
    let file = note(folder.path());
    let good = fs::read(&file).unwrap();
    let mut other: serde_json::Value = serde_json::from_slice(&good).unwrap();
    other["order"]["body"] = "0xff".into();
    for bad in [
        &good[..good.len() / 2],
        b"",
        &other.to_string().into_bytes(),
    ] {
        fs::write(&file, bad).unwrap();
        let error = ask(&service, folder.path()).0.unwrap_err();
        let said = error.source.to_string();
        let expected = format!("{} says what was ordered", file.display());
        assert!(said.starts_with(&expected), "{said}");
    }
    assert_eq!(network.count("RequestProof"), 1);
    fs::write(&file, good).unwrap();
    assert_eq!(ask(&service, folder.path()).0.unwrap(), PROOF);
    assert_eq!(network.count("RequestProof"), 1);
}

/// One network's order is not another's, nor one input's, nor one account's.
#[test]
fn orders_are_kept_apart() {
    let folder = tempdir().unwrap();
    let networks = [Network::start(script()), Network::start(script())];
    for network in &networks {
        assert_eq!(ask(&service(&network.url), folder.path()).0.unwrap(), PROOF);
        assert_eq!(network.count("RequestProof"), 1);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    let service = service(&networks[0].url);
    let job = job(folder.path());
    let path = |service: &Service, job| {
        let file = OrderFile::open(service, job).unwrap();
        file.path().to_owned()
    };
    let other_input = Job {
        input: b"other",
        ..job
    };
    let other_program = Job {
        program: B256::ZERO,
        ..job
    };
    let other_account = Service::new(&networks[0].url, &"02".repeat(32), Market::Reserved);
    let paths = [
        path(&service, job),
        path(&service, other_input),
        path(&service, other_program),
        path(&other_account.unwrap(), job),
    ];
    let different: std::collections::BTreeSet<_> = paths.iter().collect();
    assert_eq!(different.len(), paths.len());
    assert!(paths[0].exists() && !paths[1].exists());
}

/// An order that was sent before, and is refused now, may have been taken then.
#[test]
fn a_refusal_of_what_was_sent_before_forgets_it_only_if_its_number_is_free() {
    let refusal = Taken::Refused(tonic::Code::FailedPrecondition);
    // It never arrived: the next run orders anew.
    let folder = tempdir().unwrap();
    let network = Network::start(Script {
        orders: [Taken::Lost, refusal].into(),
        ..script()
    });
    let service_of = |network: &Network| service(&network.url);
    for _ in 0..2 {
        assert!(ask(&service_of(&network), folder.path()).0.is_err());
    }
    assert_eq!(ask(&service_of(&network), folder.path()).0.unwrap(), PROOF);
    assert_eq!(network.count("CreateArtifact"), 2);
    assert_eq!(network.script.lock().unwrap().taken.len(), 1);

    // It did, and nothing lists it yet.
    let folder = tempdir().unwrap();
    let network = Network::start(Script {
        orders: [Taken::Unheard].into(),
        unlisted: 3,
        ..script()
    });
    assert!(ask(&service_of(&network), folder.path()).0.is_err());
    let error = ask(&service_of(&network), folder.path()).0.unwrap_err();
    let said = error.source.to_string();
    assert!(said.contains("is kept in"), "{said}");
    // The second look finds it.
    assert_eq!(ask(&service_of(&network), folder.path()).0.unwrap(), PROOF);
    assert_eq!(network.count("CreateArtifact"), 1);
    assert_eq!(network.script.lock().unwrap().taken.len(), 1);
}

/// Ends the order that is noted so many seconds ago.
fn end(folder: &Path, seconds: u64) {
    let file = note(folder);
    let mut noted: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let body = hex::decode(noted["order"]["body"].as_str().unwrap()).unwrap();
    let mut body = <NewRequestBody as prost::Message>::decode(&body[..]).unwrap();
    body.deadline = now() - seconds;
    let body = prost::Message::encode_to_vec(&body);
    noted["order"]["body"] = hex::encode_prefixed(body).into();
    fs::write(&file, noted.to_string()).unwrap();
}

/// Its number was taken by another order of the account: it cannot arrive any more.
#[test]
fn an_order_that_never_arrived_is_ordered_anew_when_its_time_is_over() {
    let folder = tempdir().unwrap();
    let network = Network::start(Script {
        orders: [Taken::Lost].into(),
        ..script()
    });
    let mut service = service(&network.url);
    // What never arrived is not counted.
    service.max_orders = 1;
    assert!(ask(&service, folder.path()).0.is_err());
    network.script.lock().unwrap().nonce += 1;
    let kept = |service: &Service| {
        let error = ask(service, folder.path()).0.unwrap_err();
        let said = error.source.to_string();
        assert!(said.contains("is kept in"), "{said}");
    };
    kept(&service);
    // Its time is over, and the network may still have to say so.
    end(folder.path(), AFTER_DEADLINE - 60);
    kept(&service);
    assert_eq!(network.count("CreateArtifact"), 1);
    end(folder.path(), AFTER_DEADLINE + 1);
    assert_eq!(ask(&service, folder.path()).0.unwrap(), PROOF);
    let script = network.script.lock().unwrap();
    let numbers: Vec<_> = script.taken.iter().map(|it| it.nonce).collect();
    assert_eq!(numbers, [41]);
}

/// However late, and however many others there are.
#[test]
fn an_order_that_arrived_is_found_among_all_of_the_account() {
    let folder = tempdir().unwrap();
    let network = Network::start(Script {
        orders: [Taken::Unheard].into(),
        others: 250,
        ..script()
    });
    let service = service(&network.url);
    assert!(ask(&service, folder.path()).0.is_err());
    end(folder.path(), AFTER_DEADLINE + 1);
    assert_eq!(ask(&service, folder.path()).0.unwrap(), PROOF);
    assert_eq!(network.count("GetFilteredProofRequests"), 3);
    assert_eq!(network.count("RequestProof"), 1);

    // Who cannot look through all of them orders nothing.
    let folder = tempdir().unwrap();
    let network = Network::start(Script {
        orders: [Taken::Unheard].into(),
        others: 2_000,
        ..script()
    });
    let service = self::service(&network.url);
    assert!(ask(&service, folder.path()).0.is_err());
    end(folder.path(), AFTER_DEADLINE + 1);
    let error = ask(&service, folder.path()).0.unwrap_err();
    assert_eq!(
        error.source.to_string(),
        "the network lists requests without end"
    );
    assert_eq!(network.count("RequestProof"), 1);
}

#[test]
fn an_account_orders_one_after_another() {
    let folder = tempdir().unwrap();
    let network = Network::start(script());
    let held = File::create(lock::path(&service(&network.url))).unwrap();
    held.lock().unwrap();
    let (service, path) = (service(&network.url), folder.path().to_owned());
    let (tell, told) = mpsc::channel();
    let asking = thread::spawn(move || {
        prove(&service, job(&path), &mut |progress| {
            tell.send(progress).unwrap();
        })
    });
    let waits = step("waiting for another order of this account");
    assert_eq!(told.recv().unwrap(), waits);
    assert!(network.script.lock().unwrap().asked.is_empty());
    drop(held);
    assert_eq!(asking.join().unwrap().unwrap(), PROOF);

    let asking: Vec<_> = (0..4_u8)
        .map(|input| {
            let service = self::service(&network.url);
            thread::spawn(move || {
                let (folder, input) = (tempdir().unwrap(), [input]);
                let job = Job {
                    input: &input,
                    ..job(folder.path())
                };
                prove(&service, job, &mut |_| ())
            })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.join().unwrap().unwrap(), PROOF);
    }
    assert_eq!(network.count("RequestProof"), 5);
}

/// What earlier versions wrote, in a file for whatever was ordered.
#[test]
fn an_order_of_an_earlier_version_is_not_ordered_twice() {
    let network = Network::start(script());
    let service = service(&network.url);
    let body = prost::Message::encode_to_vec(&NewRequestBody {
        stdin_uri: "artifacts/before".to_owned(),
        ..Default::default()
    });
    let old = |program: B256| {
        serde_json::json!({
            "url": network.url,
            "program": program,
            "body": hex::encode_prefixed(&body),
            "request": B256::new(REQUEST),
        })
    };
    let folder = tempdir().unwrap();
    let file = folder.path().join("sp1-network.json");
    let mut damaged = old(PROGRAM);
    damaged["body"] = "0xff".into();
    for bad in ["{".to_owned(), damaged.to_string()] {
        fs::write(&file, bad).unwrap();
        let error = ask(&service, folder.path()).0.unwrap_err();
        let said = error.source.to_string();
        let expected = format!("{} says what was ordered", file.display());
        assert!(said.starts_with(&expected), "{said}");
    }
    assert!(network.script.lock().unwrap().asked.is_empty());
    fs::write(&file, old(PROGRAM).to_string()).unwrap();
    assert_eq!(ask(&service, folder.path()).0.unwrap(), PROOF);
    assert_eq!(network.count("RequestProof"), 0);
    assert_ne!(note(folder.path()), file);
    // Another program's is another's.
    let folder = tempdir().unwrap();
    let file = folder.path().join("sp1-network.json");
    fs::write(&file, old(B256::ZERO).to_string()).unwrap();
    assert_eq!(ask(&service, folder.path()).0.unwrap(), PROOF);
    assert_eq!(network.count("RequestProof"), 1);
    assert!(file.exists());
}

#[test]
fn a_proof_of_something_else_is_refused() {
    let with = |proof: Vec<u8>| refused(Script { proof, ..script() });
    let invalid = |reason: &str| (Failure::Invalid, reason.to_owned());
    let mut other = PROOF;
    other[355] ^= 1;
    let (failure, reason) = with(answer(&PUBLIC_VALUES, &other));
    assert_eq!(failure, Failure::Invalid);
    assert!(reason.starts_with("the proof does not verify"), "{reason}");
    assert_eq!(
        with(answer(&PUBLIC_VALUES[1..], &PROOF)),
        invalid("the network proved another journal than native code gives")
    );
    assert_eq!(
        with(answer(&PUBLIC_VALUES, &[])),
        invalid("nothing was proved: this is what a mock prover gives")
    );
    let malformed = invalid("the network's proof is malformed");
    let good = answer(&PUBLIC_VALUES, &PROOF);
    assert_eq!(with(good[..good.len() - 1].to_vec()), malformed);
    assert_eq!(with(vec![0xff; 100]), malformed);
    // A kind that is for no contract.
    assert_eq!(with(vec![0; 100]), malformed);
    assert_eq!(
        with(vec![0; 2 * 1024 * 1024]),
        (
            Failure::Other,
            "the network's proof is too large".to_owned()
        )
    );
    let mut elsewhere = script();
    elsewhere.upload_url = Some("http://example.org/".to_owned());
    assert_eq!(
        refused(elsewhere).1,
        "the network wants an upload in the clear"
    );
}

#[test]
fn no_more_is_bid_than_may_be_paid() {
    let terms = |price: &str, tick_size| wire::Terms {
        max_price_per_pgu: price.to_owned(),
        tick_size,
        ..Default::default()
    };
    let price = |terms: &wire::Terms, most| price(terms, most).map_err(|_| ());
    assert_eq!(price(&terms("1000", 0), None), Ok(1200));
    assert_eq!(price(&terms("1000", 7), None), Ok(1197));
    assert_eq!(price(&terms("1000", 100), Some(1099)), Ok(1000));
    assert_eq!(price(&terms("1000", 100), Some(99)), Err(()));
    for bad in ["", "-1", "1e9", "9".repeat(40).as_str()] {
        assert_eq!(price(&terms(bad, 1), None), Err(()), "{bad}");
    }
    let most = u128::MAX.to_string();
    assert_eq!(price(&terms(&most, 1), Some(5)), Ok(5));
}

#[test]
fn the_network_has_another_name_for_a_program() {
    // Words 1 to 8.
    let words: [u32; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
    let number = words
        .iter()
        .fold(U256::ZERO, |sum, word| (sum << 31) | U256::from(*word));
    let bytes: Vec<u8> = words.iter().flat_map(|it| it.to_be_bytes()).collect();
    assert_eq!(network_name(number.into()), B256::from_slice(&bytes));
}
