//! `mach-cli opt-in`: an operator joins quorums.

use std::path::PathBuf;

use alloy_primitives::{Address, B256, Bytes};
use clap::Args;
use mach_bls::bn254::hash_to_g1;
use mach_contracts_bindings::{
    Avs, Churn, Consent, Deployment, KeyProof, OptIn, Plan, Registration, Target,
    doctor::{Candidate, Finding, Intent, Severity, Subject, examine},
};
use rand::RngCore;
use serde_json::json;

use super::{
    args::{L1Args, QuorumArgs, SendArgs, WhoArgs},
    churn::read_churn,
    connect::{L1, connect},
    doctor::now,
    key::{self, Keys},
    render::{blocked, say, say_json},
    send::Batch,
};
use crate::outcome::Outcome;

/// Seconds for which a consent holds, unless --expiry says otherwise.
const CONSENT_LIFETIME: u64 = 86_400;

/// Join quorums as an operator
///
/// Examples:
///   mach-cli opt-in --deployment altlayer --l1-rpc $RPC --socket op.example:8901 \
///     --ecdsa-key op.ecdsa.json --bls-key op.bls.json                  shows what would be sent
///   mach-cli opt-in ... --yes                                           sends it
///   mach-cli opt-in ... --operator 0x7099...79C8 --bls-key op.bls.json --print-only
///                                  prints what the account has to sign, wherever its key is
///   mach-cli opt-in ... --print-only --signature 0x... --salt 0x... --expiry 1790000000
///                                  prints the calldata that the account has to send
///
/// Everything that `mach-cli doctor` checks is checked first: nothing is sent if something is in the
/// way. An operator that is a contract signs by EIP-1271: give its --operator and what its owners
/// signed as --signature, and let it send the calldata.
///
/// Exit codes: 0 done (or shown), 1 something is in the way and nothing was sent, 2 failure.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct OptInArgs {
    #[command(flatten)]
    l1: L1Args,

    #[command(flatten)]
    who: WhoArgs,

    #[command(flatten)]
    quorums: QuorumArgs,

    /// Where the operator is reached; anybody can read it
    #[arg(
        long,
        env = "MACH_SOCKET",
        value_name = "HOST:PORT",
        default_value = "Not Needed"
    )]
    socket: String,

    #[command(flatten)]
    consent: ConsentArgs,

    /// JSON file with the churn approver's permission to replace operators in quorums that are full:
    /// salt, expiry (seconds since 1970), operatorsToKick ({"0": "0x..."}, one for each quorum joined)
    /// and signature; without a signature the command prints what the approver has to sign
    #[arg(long, env = "MACH_CHURN_APPROVAL", value_name = "FILE")]
    churn_approval: Option<PathBuf>,

    #[command(flatten)]
    send: SendArgs,
}

/// A consent that is signed elsewhere.
#[derive(Debug, Args)]
struct ConsentArgs {
    /// The operator's signature of the digest that --print-only printed
    #[arg(long, value_name = "HEX", requires_all = ["salt", "expiry"])]
    signature: Option<Bytes>,

    /// Salt of the consent [default: a random one]
    #[arg(long, value_name = "HEX")]
    salt: Option<B256>,

    /// Until when the consent can be used, in seconds since 1970 [default: a day from now]
    #[arg(long, value_name = "SECONDS")]
    expiry: Option<u64>,
}

pub(crate) async fn run(args: &OptInArgs) -> eyre::Result<Outcome> {
    let (l1, file) = connect(&args.l1).await?;
    let keys = Keys::open(&args.who)?;
    let operator = keys.operator()?;
    let consent = Consent {
        salt: args.consent.salt.unwrap_or_else(salt),
        expiry: match args.consent.expiry {
            Some(expiry) => expiry,
            None => l1.time().await?.saturating_add(CONSENT_LIFETIME),
        },
    };
    let candidate = Candidate {
        operator,
        key: keys.bls_key(),
        quorums: args.quorums.quorums.clone(),
        // What is sent elsewhere may be paid by another: a contract's owner, or a relay.
        payer: (!args.send.print_only).then_some(operator),
        intent: Intent::Join,
        consent: Some(consent),
    };
    let churn = match &args.churn_approval {
        Some(path) => Some(read_churn(path, &candidate.quorums)?),
        None => None,
    };
    let mut examination = examine(l1.provider.clone(), &file, Some(&candidate), now()).await;
    if churn.is_some() {
        // A full quorum is no obstacle then; `register` looks at the quorums again, with the approval.
        let elsewhere = |finding: &Finding| finding.subject != Subject::Quorum;
        examination.findings.retain(elsewhere);
    }
    let Some(deployment) = examination
        .deployment
        .filter(|_| examination.severity() < Severity::Blocker)
    else {
        return Ok(blocked(&examination, args.l1.json));
    };
    let registration = registration(&l1, &deployment, &candidate.quorums).await?;
    let opt_in = opt_in(args, &l1, &*registration, operator, consent, churn).await?;
    let plan = registration
        .register(&opt_in)
        .await
        .map_err(|error| l1.told(&error))?;
    if plan.unsigned().next().is_some() {
        ask_for_signatures(&plan, consent, args.l1.json);
        return Ok(Outcome::Valid);
    }
    Batch::from(plan)
        .carry_out(&l1, &args.send, args.l1.json, || {
            key::wallet(&args.who.ecdsa)
        })
        .await
}

/// How to join and leave `quorums` of the deployment, as the chain says.
pub(super) async fn registration(
    l1: &L1,
    deployment: &Deployment,
    quorums: &mach_core::QuorumNumbers,
) -> eyre::Result<Box<dyn Registration>> {
    let target = Target {
        coordinator: deployment.registry_coordinator,
        // The coordinator's own: that of the deployment may only count its stake.
        service_manager: None,
        l1_chain_id: Some(deployment.l1_chain_id),
    };
    let avs = Avs::connect(l1.provider.clone(), &target)
        .await
        .map_err(|error| l1.told(&error))?;
    avs.registration(quorums).map_err(|error| l1.told(&error))
}

/// The wish to join, with whatever signatures the keys at hand can give.
async fn opt_in(
    args: &OptInArgs,
    l1: &L1,
    registration: &dyn Registration,
    operator: Address,
    consent: Consent,
    churn: Option<Churn>,
) -> eyre::Result<OptIn> {
    let key = match &args.who.bls_key {
        Some(path) => {
            let secret = key::bls(path, &args.who.bls_password)?;
            let digest = registration
                .key_digest(operator)
                .await
                .map_err(|error| l1.told(&error))?;
            let point = hash_to_g1(digest);
            let proof = secret.prove_possession(&point);
            Some(KeyProof {
                key_g1: proof.key_g1,
                key_g2: proof.key_g2,
                signature: proof.signature,
            })
        }
        None => None,
    };
    let opt_in = OptIn {
        operator,
        quorums: args.quorums.quorums.clone(),
        socket: args.socket.clone(),
        key,
        consent,
        signature: args.consent.signature.clone(),
        churn,
    };
    if opt_in.signature.is_some() || args.send.print_only {
        return Ok(opt_in);
    }
    match key::signer(&args.who.ecdsa)? {
        Some(signer) => opt_in
            .signed_by(registration, &signer)
            .await
            .map_err(|error| l1.told(&error)),
        None => Ok(opt_in),
    }
}

/// Says what has to be signed elsewhere, and how to go on.
fn ask_for_signatures(plan: &Plan, consent: Consent, json: bool) {
    let Consent { salt, expiry } = consent;
    if json {
        let unsigned: Vec<_> = plan.unsigned().collect();
        say_json(&json!({
            "sent": false, "sender": plan.sender, "unsigned": unsigned, "salt": salt, "expiry": expiry,
        }));
        return;
    }
    for unsigned in plan.unsigned() {
        say(&format!(
            "{}: sign this digest as it is, without a prefix,",
            unsigned.what
        ));
        say(&format!("  digest  {}", unsigned.digest));
        say(&format!("  with    the key of {}", unsigned.signer));
    }
    say("then run the command again with");
    if plan
        .unsigned()
        .any(|unsigned| unsigned.signer == plan.sender)
    {
        say(&format!(
            "  --salt {salt} --expiry {expiry} --signature 0x..."
        ));
    }
    if plan
        .unsigned()
        .any(|unsigned| unsigned.signer != plan.sender)
    {
        say("  the approver's signature as `signature` in the file of --churn-approval");
    }
    say("nothing was sent");
}

fn salt() -> B256 {
    let mut salt = B256::ZERO;
    rand::rng().fill_bytes(salt.as_mut_slice());
    salt
}
