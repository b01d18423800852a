//! What a run over blocks shows: a progress bar, a table for people, JSON for scripts.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use alloy_primitives::BlockNumber;
use comfy_table::{Cell, CellAlignment, Color, Table, presets::UTF8_FULL_CONDENSED};
use indicatif::{ProgressBar, ProgressStyle};
use mach_core::{Assurance, BlockRef, L2Block, Verdict};
use mach_verify::source::Disagreement;
use serde_json::{Value, json};

use crate::outcome::Outcome;

/// What is known of one block after a try.
pub(crate) struct Row {
    /// File or endpoint.
    pub(crate) source: String,
    /// Chain of the block, if it got far enough to be known.
    pub(crate) chain_id: Option<u64>,
    /// Height, if known.
    pub(crate) number: Option<BlockNumber>,
    /// Number and hash of the block that the verdict is about.
    pub(crate) block: Option<BlockRef>,
    /// The verdict, or why there is none.
    pub(crate) result: eyre::Result<Verdict>,
    /// Whether the verdict rests on what L1 says, too.
    pub(crate) with_l1: bool,
    /// Where the evidence against the block is.
    pub(crate) evidence: Option<PathBuf>,
    /// What there is to say beside the result.
    notes: Vec<String>,
    /// Number of transactions, if known.
    pub(crate) transactions: Option<u64>,
    /// Gas of the block.
    pub(crate) gas: u64,
    /// Time from bytes to verdict.
    pub(crate) elapsed: Duration,
}

/// Collects rows and shows them.
pub(crate) struct Report {
    rows: Vec<Row>,
    json: bool,
    bar: ProgressBar,
    gas: u64,
    started: Instant,
}

impl Report {
    pub(crate) fn new(blocks: Option<u64>, json: bool) -> Self {
        let bar = match blocks {
            Some(blocks) => ProgressBar::new(blocks).with_style(style(
                "{bar:30} {pos}/{len} blocks  {msg}  {elapsed} elapsed, {eta} left",
            )),
            None => ProgressBar::new_spinner()
                .with_style(style("{spinner} {pos} blocks  {msg}  {elapsed} elapsed")),
        };
        Self {
            rows: Vec::new(),
            json,
            bar,
            gas: 0,
            started: Instant::now(),
        }
    }

    /// Takes the result of one block and shows what scripts read at once.
    pub(crate) fn add(&mut self, row: Row) {
        self.gas += row.gas;
        self.bar.inc(1);
        self.bar.set_message(format!(
            "{:.1} Mgas/s",
            mgas(self.gas, self.started.elapsed())
        ));
        if self.json {
            let line = row.to_json();
            self.bar.suspend(|| print(&line));
        }
        self.rows.push(row);
    }

    /// The bar, for whoever has something to say while a block takes its time.
    pub(crate) fn bar(&self) -> ProgressBar {
        self.bar.enable_steady_tick(Duration::from_millis(100));
        self.bar.clone()
    }

    /// Says that an endpoint contradicts the others: evidence against it, and no verdict.
    pub(crate) fn disagreement(&self, found: &Disagreement) {
        let Disagreement {
            endpoint,
            number,
            said,
            ..
        } = found;
        let others = match found.agreed {
            Some(agreed) => format!("the others say {agreed}"),
            None => "and no others agree".to_owned(),
        };
        self.bar.suspend(|| {
            if self.json {
                print(&json!({ "disagreement": found }));
            } else {
                print(&format!(
                    "DISAGREES  {endpoint}: block {number} is {said}, {others}"
                ));
            }
        });
    }

    /// Says something to people.
    #[expect(clippy::print_stderr, reason = "standard output is for results")]
    pub(crate) fn note(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
    }

    /// [`Self::finish`] where there was nothing to look at any more.
    pub(crate) fn finish_as(self, outcome: Outcome) -> Outcome {
        let _ = self.finish();
        outcome
    }

    /// Shows the rest and says how the run ends.
    pub(crate) fn finish(mut self) -> Outcome {
        self.bar.finish_and_clear();
        let elapsed = self.started.elapsed();
        self.rows.sort_by_key(|row| (row.chain_id, row.number));
        if self.json {
            print(&self.totals(elapsed));
        } else {
            print(&self.table(elapsed));
            for row in &self.rows {
                match &row.result {
                    Ok(Verdict::Valid(_)) => {}
                    Ok(Verdict::Invalid(fault)) => {
                        print(&format!("INVALID  {}: {fault}", row.name()));
                    }
                    Err(error) => print(&format!("NO VERDICT  {}: {error:#}", row.name())),
                }
                if let Some(file) = &row.evidence {
                    print(&format!("  evidence: {}", file.display()));
                }
                for note in &row.notes {
                    print(&format!("  {note}"));
                }
            }
        }
        self.outcome()
    }

    fn outcome(&self) -> Outcome {
        let invalid = self
            .rows
            .iter()
            .any(|row| matches!(row.result, Ok(Verdict::Invalid(_))));
        let undecided = self.rows.iter().any(|row| row.result.is_err());
        match (invalid, undecided || self.rows.is_empty()) {
            (true, _) => Outcome::Invalid,
            (false, true) => Outcome::NoVerdict,
            (false, false) => Outcome::Valid,
        }
    }

    fn count(&self, wanted: impl Fn(&eyre::Result<Verdict>) -> bool) -> usize {
        self.rows.iter().filter(|row| wanted(&row.result)).count()
    }

    fn totals(&self, elapsed: Duration) -> Value {
        json!({
            "blocks": self.rows.len(),
            "valid": self.count(|result| matches!(result, Ok(Verdict::Valid(_)))),
            "invalid": self.count(|result| matches!(result, Ok(Verdict::Invalid(_)))),
            "undecided": self.count(Result::is_err),
            "gas": self.gas,
            "seconds": elapsed.as_secs_f64(),
            "mgasPerSecond": mgas(self.gas, elapsed),
        })
    }

    fn table(&self, elapsed: Duration) -> Table {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.set_header(["chain", "block", "txs", "gas", "ms", "Mgas/s", "verdict"]);
        for column in [0, 1, 2, 3, 4, 5] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for row in &self.rows {
            table.add_row(row.to_cells());
        }
        let valid = self.count(|result| matches!(result, Ok(Verdict::Valid(_))));
        table.add_row([
            Cell::new("total"),
            Cell::new(format!("{} blocks", self.rows.len())),
            Cell::new(
                self.rows
                    .iter()
                    .filter_map(|row| row.transactions)
                    .sum::<u64>(),
            ),
            Cell::new(self.gas),
            Cell::new(format!("{:.0}", elapsed.as_secs_f64() * 1e3)),
            Cell::new(format!("{:.1}", mgas(self.gas, elapsed))),
            Cell::new(if valid == self.rows.len() {
                "all valid".to_owned()
            } else {
                format!("{valid} of {} valid", self.rows.len())
            }),
        ]);
        table
    }
}

impl Row {
    /// A row about something of which only the source is known.
    pub(crate) fn unknown(source: String) -> Self {
        Self {
            source,
            chain_id: None,
            number: None,
            block: None,
            result: Err(eyre::eyre!("not looked at")),
            with_l1: false,
            evidence: None,
            notes: Vec::new(),
            transactions: None,
            gas: 0,
            elapsed: Duration::ZERO,
        }
    }

    /// Says something beside the result, after what was said before.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// What the block says of itself.
    pub(crate) fn set_block(&mut self, block: &L2Block) {
        self.chain_id = Some(block.chain_id);
        self.number = Some(block.number());
        self.block = Some(block.reference());
        self.transactions = Some(block.transactions.len() as u64);
        self.gas = block.header.gas_used;
    }

    fn name(&self) -> String {
        match self.number {
            Some(number) => format!("block {number} ({})", self.source),
            None => self.source.clone(),
        }
    }

    fn to_cells(&self) -> Vec<Cell> {
        let optional = |value: Option<u64>| value.map_or("?".to_owned(), |value| value.to_string());
        let verdict = match &self.result {
            Ok(Verdict::Valid(summary)) if self.with_l1 => {
                let text = format!("{}, as L1 says", valid(summary.assurance));
                Cell::new(text).fg(Color::Green)
            }
            Ok(Verdict::Valid(summary)) => Cell::new(valid(summary.assurance)).fg(Color::Green),
            Ok(Verdict::Invalid(fault)) => {
                Cell::new(format!("INVALID {}", fault.name())).fg(Color::Red)
            }
            Err(_) => Cell::new("no verdict").fg(Color::Yellow),
        };
        vec![
            Cell::new(optional(self.chain_id)),
            Cell::new(optional(self.number)),
            Cell::new(optional(self.transactions)),
            Cell::new(self.gas),
            Cell::new(format!("{:.1}", self.elapsed.as_secs_f64() * 1e3)),
            Cell::new(format!("{:.1}", mgas(self.gas, self.elapsed))),
            verdict,
        ]
    }

    /// One line for people.
    pub(crate) fn to_line(&self) -> String {
        let number = self.number.map_or("?".to_owned(), |it| it.to_string());
        let transactions = self.transactions.unwrap_or_default();
        let verdict = match &self.result {
            Ok(Verdict::Valid(summary)) if self.with_l1 => {
                format!("{}, as L1 says", valid(summary.assurance))
            }
            Ok(Verdict::Valid(summary)) => valid(summary.assurance).to_owned(),
            Ok(Verdict::Invalid(fault)) => format!("INVALID  {fault}"),
            Err(error) => format!("NO VERDICT  {error:#}"),
        };
        let evidence =
            (self.evidence.as_ref()).map(|file| format!("evidence in {}", file.display()));
        let rest: String = (evidence.iter().chain(&self.notes))
            .map(|text| format!("  {text}"))
            .collect();
        format!(
            "{number:>10}  {transactions:>4} tx  {:>7.2} Mgas  {:>7.1} ms  {:>7.1} Mgas/s  \
             {verdict}{rest}",
            self.gas as f64 / 1e6,
            self.elapsed.as_secs_f64() * 1e3,
            mgas(self.gas, self.elapsed),
        )
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut line = json!({
            "source": self.source,
            "chainId": self.chain_id,
            "number": self.number,
            "hash": self.block.map(|block| block.hash),
            "gas": self.gas,
            "seconds": self.elapsed.as_secs_f64(),
        });
        let outcome = match &self.result {
            Ok(Verdict::Valid(summary)) => json!({ "verdict": "valid", "summary": summary }),
            Ok(Verdict::Invalid(fault)) => {
                json!({ "verdict": "invalid", "fault": fault, "message": fault.to_string() })
            }
            Err(error) => json!({ "verdict": null, "error": format!("{error:#}") }),
        };
        if let (Some(line), Value::Object(outcome)) = (line.as_object_mut(), outcome) {
            if self.with_l1 {
                line.insert("comparedWithL1".to_owned(), json!(true));
            }
            if let Some(file) = &self.evidence {
                line.insert("evidence".to_owned(), json!(file));
            }
            if !self.notes.is_empty() {
                line.insert("note".to_owned(), json!(self.notes.join("; ")));
            }
            line.extend(outcome);
        }
        line
    }
}

/// What a valid block is called, by what the verdict rests on.
const fn valid(assurance: Assurance) -> &'static str {
    match assurance {
        Assurance::Derived => "valid, derived from L1",
        Assurance::ExecutedOnClaim => "valid on the claimed state",
        Assurance::CrossChecked => "consistent, not executed",
        _ => "valid",
    }
}

pub(crate) fn mgas(gas: u64, elapsed: Duration) -> f64 {
    gas as f64 / 1e6 / elapsed.as_secs_f64().max(1e-9)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
pub(crate) fn print(line: &impl std::fmt::Display) {
    println!("{line}");
}
