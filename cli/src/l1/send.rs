//! What becomes of transactions: shown, printed to be sent elsewhere, or sent.

use std::time::Duration;

use alloy_network::{Ethereum, EthereumWallet, NetworkWallet};
use alloy_primitives::{Address, Bytes, U256};
use alloy_provider::Provider;
use alloy_rpc_types_eth::{TransactionInput, TransactionReceipt, TransactionRequest};
use eyre::bail;
use mach_contracts_bindings::{Plan, Revert, SubmitPolicy, doctor::ether};
use serde_json::{Value, json};

use super::{
    args::SendArgs,
    connect::L1,
    journal::Journal,
    render::{say, say_json},
    step::Step,
};
use crate::outcome::Outcome;

/// Transactions of one account, in order.
pub(crate) struct Batch {
    pub(crate) sender: Address,
    pub(crate) steps: Vec<Step>,
}

impl From<Plan> for Batch {
    fn from(plan: Plan) -> Self {
        Self {
            sender: plan.sender,
            steps: plan.steps.into_iter().map(Step::from).collect(),
        }
    }
}

/// What a step would take.
struct Quote {
    gas: u64,
    cost: U256,
}

impl Batch {
    /// Does with the steps what the flags say. `wallet` is opened only if something is sent.
    pub(crate) async fn carry_out(
        &self,
        l1: &L1,
        args: &SendArgs,
        json: bool,
        wallet: impl FnOnce() -> eyre::Result<Option<EthereumWallet>>,
    ) -> eyre::Result<Outcome> {
        if args.print_only {
            self.print(l1, json);
            return Ok(Outcome::Valid);
        }
        let quotes = match self.quotes(l1).await? {
            Ok(quotes) => quotes,
            Err(refusal) => return Ok(refused(&refusal, json)),
        };
        if !args.yes {
            self.show(l1, &quotes, json);
            return Ok(Outcome::Valid);
        }
        let Some(wallet) = wallet()? else {
            bail!(
                "sending needs a key: give --ecdsa-key, or send elsewhere what --print-only prints"
            );
        };
        let signer = NetworkWallet::<Ethereum>::default_signer_address(&wallet);
        if signer != self.sender {
            bail!(
                "{} has to send this and the key file is of {signer}: give the key file of {}, or send \
                 elsewhere what --print-only prints",
                self.sender,
                self.sender
            );
        }
        let journal = Journal::open(l1, wallet, &args.journal).await?;
        self.send(l1, &journal, json).await
    }

    fn print(&self, l1: &L1, json: bool) {
        if json {
            let steps: Vec<_> = self.steps.iter().map(Step::to_json).collect();
            say_json(&json!({
                "sent": false, "chainId": l1.chain_id, "sender": self.sender, "steps": steps,
            }));
            return;
        }
        say(&format!(
            "to be sent by {} on chain {}",
            self.sender, l1.chain_id
        ));
        for (number, step) in self.steps.iter().enumerate() {
            say(&format!("{}. {}", number + 1, step.what));
            say(&format!("   to        {}", step.to));
            say(&format!("   value     {} wei", step.value));
            say(&format!("   calldata  {}", step.calldata));
        }
    }

    fn show(&self, l1: &L1, quotes: &[Option<Quote>], json: bool) {
        if json {
            let steps: Vec<_> = self.steps.iter().zip(quotes).map(quoted).collect();
            say_json(&json!({
                "sent": false, "chainId": l1.chain_id, "sender": self.sender, "steps": steps,
            }));
            return;
        }
        say(&format!(
            "would be sent by {} on chain {}",
            self.sender, l1.chain_id
        ));
        for (number, (step, quote)) in self.steps.iter().zip(quotes).enumerate() {
            say(&format!("{}. {}", number + 1, step.what));
            say(&format!("   to         {}", step.to));
            if !step.value.is_zero() {
                say(&format!("   value      {} ether", ether(step.value)));
            }
            if let Some((function, arguments)) = step.decoded() {
                say(&format!("   function   {function}"));
                for argument in arguments {
                    say(&format!("   argument   {argument}"));
                }
            } else {
                say(&format!("   calldata   {}", step.calldata));
            }
            match quote {
                Some(quote) => say(&format!(
                    "   gas        {}, about {} ether",
                    quote.gas,
                    ether(quote.cost)
                )),
                None => say("   gas        known once the step before is done"),
            }
        }
        say("nothing was sent: add --yes to send");
    }

    /// What each step takes; those after the first may build on it and then cannot be tried yet.
    async fn quotes(&self, l1: &L1) -> eyre::Result<Result<Vec<Option<Quote>>, Refusal>> {
        let price = l1
            .provider
            .get_gas_price()
            .await
            .map_err(|error| l1.told(&error))?;
        let mut quotes = Vec::new();
        for step in &self.steps {
            let request = TransactionRequest {
                from: Some(self.sender),
                to: Some(step.to.into()),
                value: Some(step.value),
                input: TransactionInput::both(step.calldata.clone()),
                ..Default::default()
            };
            quotes.push(match l1.provider.estimate_gas(request).await {
                Ok(gas) => Some(Quote {
                    gas,
                    cost: U256::from(gas).saturating_mul(U256::from(price)),
                }),
                Err(_) if !quotes.is_empty() => None,
                Err(error) => match error
                    .as_error_resp()
                    .and_then(|error| error.as_revert_data())
                {
                    Some(data) => return Ok(Err(Refusal::new(step, &data))),
                    None => return Err(l1.told(&error)),
                },
            });
        }
        Ok(Ok(quotes))
    }

    async fn send(&self, l1: &L1, journal: &Journal, json: bool) -> eyre::Result<Outcome> {
        let run = journal.begin(l1, &self.steps).await?;
        let submitter = &journal.submitter;
        let mut done = Vec::new();
        for (number, step) in self.steps.iter().enumerate() {
            if !json {
                say(&format!("sending: {}", step.what));
            }
            let intent = run.intent(number);
            let sent = submitter.submit(intent, step.to, step.calldata.clone());
            match sent.await {
                Ok(receipt) => {
                    if !json {
                        say(&format!(
                            "  done in L1 block {}, transaction {}, gas {}",
                            receipt.block_number.unwrap_or_default(),
                            receipt.transaction_hash,
                            receipt.gas_used
                        ));
                    }
                    done.push(receipt_json(step, &receipt));
                }
                Err(error) => {
                    if json && !done.is_empty() {
                        say_json(&json!({ "sent": true, "complete": false, "steps": done }));
                    }
                    // What may still come to be included is the next command's to wait for.
                    if !submitter.is_under_way(intent).await && !error.is_transient() {
                        journal.end()?;
                    }
                    return Err(l1.told(&error));
                }
            }
        }
        journal.end()?;
        if json {
            say_json(&json!({
                "sent": true, "complete": true, "chainId": l1.chain_id, "sender": self.sender,
                "steps": done,
            }));
        }
        Ok(Outcome::Valid)
    }
}

/// How transactions of a person are sent, who waits for them.
///
/// Leaving right after joining is estimated in the block of joining, where the registry overwrites the
/// newest entries of its histories; later it writes new ones, for more than twice the gas.
pub(crate) fn policy() -> SubmitPolicy {
    SubmitPolicy {
        poll_interval: Duration::from_millis(500),
        gas_margin: 200,
        ..SubmitPolicy::default()
    }
}

/// A contract's refusal in a simulation.
struct Refusal {
    what: String,
    revert: Revert,
    data: Bytes,
}

impl Refusal {
    fn new(step: &Step, data: &Bytes) -> Self {
        Self {
            what: step.what.clone(),
            revert: Revert::decode(data),
            data: data.clone(),
        }
    }
}

#[expect(clippy::print_stderr, reason = "why nothing was sent")]
fn refused(refusal: &Refusal, json: bool) -> Outcome {
    let Refusal { what, revert, data } = refusal;
    let explanation = revert.explanation();
    if json {
        say_json(&json!({
            "sent": false, "refused": {
                "what": what, "reason": revert.to_string(), "fix": explanation, "data": data,
            },
        }));
    } else {
        let explanation = explanation.map_or_else(String::new, |text| format!(": {text}"));
        eprintln!(
            "mach-cli: the contract would refuse to {what}: {revert}{explanation}; nothing was sent"
        );
    }
    Outcome::Invalid
}

fn quoted((step, quote): (&Step, &Option<Quote>)) -> Value {
    let mut value = step.to_json();
    if let Some(fields) = value.as_object_mut() {
        let gas = quote.as_ref().map(|quote| quote.gas);
        let cost = quote.as_ref().map(|quote| quote.cost.to_string());
        fields.insert("gas".to_owned(), json!(gas));
        fields.insert("costWei".to_owned(), json!(cost));
    }
    value
}

fn receipt_json(step: &Step, receipt: &TransactionReceipt) -> Value {
    json!({
        "what": step.what,
        "to": step.to,
        "transaction": receipt.transaction_hash,
        "l1Block": receipt.block_number,
        "gasUsed": receipt.gas_used,
    })
}
