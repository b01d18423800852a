//! What a backfill leaves behind: a file, a table, lines for scripts.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use eyre::WrapErr;
use mach_core::{BlockOutcome, BlockReport};
use mach_node::backfill::BackfillReport;
use serde_json::{Value, json};

use crate::outcome::Outcome;

/// Version of the report's file.
const VERSION: u32 = 1;

/// Faults, gaps and undecided blocks that are shown to people.
const SHOWN: usize = 20;

/// A report that is being written. It gets its name when it is whole.
pub(super) struct ReportFile {
    path: PathBuf,
    part: PathBuf,
    file: BufWriter<File>,
    is_first: bool,
}

impl ReportFile {
    /// Begins a report at once, so that a path that cannot be written is known before the work is done.
    pub(super) fn create(path: &Path) -> eyre::Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let part = path.with_file_name(name);
        let file = File::create(&part).wrap_err_with(|| format!("report {}", path.display()))?;
        let mut file = BufWriter::new(file);
        let software = concat!("mach-cli ", env!("CARGO_PKG_VERSION"));
        write!(
            file,
            "{{\"format\":\"mach backfill report\",\"version\":{VERSION},\"software\":\"{software}\",\n\"blocks\":["
        )?;
        Ok(Self {
            path: path.to_owned(),
            part,
            file,
            is_first: true,
        })
    }

    pub(super) fn block(&mut self, block: &BlockReport) -> io::Result<()> {
        self.file
            .write_all(if self.is_first { b"\n" } else { b",\n" })?;
        self.is_first = false;
        serde_json::to_writer(&mut self.file, block)?;
        Ok(())
    }

    /// Ends the file and gives it its name.
    pub(super) fn finish(mut self, report: &BackfillReport) -> eyre::Result<()> {
        let mut finish = || -> io::Result<()> {
            self.file.write_all(b"\n],\n\"summary\":")?;
            serde_json::to_writer(&mut self.file, report)?;
            self.file.write_all(b"}\n")?;
            self.file.flush()?;
            self.file.get_ref().sync_all()?;
            std::fs::rename(&self.part, &self.path)?;
            match self.path.parent() {
                // Only there a folder can be opened; without this the name may go with the power.
                Some(folder) if cfg!(unix) => File::open(folder_or_here(folder))?.sync_all(),
                _ => Ok(()),
            }
        };
        finish().wrap_err_with(|| format!("report {}", self.path.display()))
    }
}

fn folder_or_here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    }
}

/// The line of a block for scripts: the words of `mach-cli verify --json`.
pub(super) fn line(chain_id: u64, block: &BlockReport, with_l1: bool) -> Value {
    let published = block.published.as_ref();
    let mut line = json!({
        "chainId": chain_id,
        "number": block.number,
        "hash": published.map(|it| it.hash),
        "gas": published.map(|it| it.gas_used),
        "seconds": block.microseconds as f64 / 1e6,
    });
    let outcome = match &block.outcome {
        BlockOutcome::Valid {
            state_root,
            output_root,
            assurance,
        } => json!({
            "verdict": "valid",
            "stateRoot": state_root,
            "outputRoot": output_root,
            "assurance": assurance,
        }),
        BlockOutcome::Invalid(fault) => {
            json!({ "verdict": "invalid", "fault": fault, "message": fault.to_string() })
        }
        BlockOutcome::Undecided(reason) => json!({ "verdict": null, "error": reason }),
        other => json!({ "verdict": null, "error": format!("{other:?}") }),
    };
    if let (Some(line), Value::Object(outcome)) = (line.as_object_mut(), outcome) {
        line.extend(outcome);
        if with_l1 && matches!(block.outcome, BlockOutcome::Valid { .. }) {
            line.insert("comparedWithL1".to_owned(), true.into());
        }
    }
    line
}

/// The totals for people.
pub(super) fn summary(
    report: &BackfillReport,
    elapsed: Duration,
    with_l1: bool,
    evidence: &Path,
) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    let mut row = |name: &str, value: String| {
        table.add_row([name.to_owned(), value]);
    };
    row("chain", report.chain_id.to_string());
    row(
        "blocks",
        format!("{}..={}, {}", report.first, report.last, report.blocks),
    );
    row(
        "valid",
        match report.unproven {
            0 => report.valid.to_string(),
            unproven => format!("{}, {unproven} of them not proven", report.valid),
        },
    );
    if with_l1 {
        row("compared with", "L1".to_owned());
    }
    row("invalid", report.invalid.to_string());
    row("no verdict", report.undecided.to_string());
    if report.pending > 0 {
        row("not looked at", report.pending.to_string());
    }
    row("one chain", one_chain(report));
    row("transactions", report.transactions.to_string());
    row("gas", report.gas_used.to_string());
    let computing = report.computing_microseconds as f64 / 1e6;
    row("computing", format!("{computing:.1} s on all cores"));
    row("this run", format!("{:.1} s", elapsed.as_secs_f64()));
    for (name, share) in report.workers.iter().take(SHOWN) {
        let name = if name.is_empty() { "nobody" } else { name };
        row(
            &format!("by {}", plain(name)),
            format!("{} units, {} blocks", share.units, share.blocks),
        );
    }
    let mut text = table.to_string();
    let faults = report
        .faults
        .iter()
        .map(|it| format!("INVALID  block {}: {}", it.block, it.fault));
    more(&mut text, faults, report.invalid);
    if report.invalid > 0 {
        text.push_str(&format!(
            "\nwhat this machine has against them: mach-cli verify {}",
            evidence.display()
        ));
    }
    let gaps = report.gaps.iter().map(|gap| {
        format!(
            "NOT LINKED  block {} names parent {}, the block before it is {}",
            gap.block, gap.parent_hash, gap.previous_hash
        )
    });
    more(&mut text, gaps, report.gap_count);
    let undecided = (report.undecided_blocks.iter())
        .map(|it| format!("NO VERDICT  block {}: {}", it.number, it.reason));
    more(&mut text, undecided, report.undecided);
    text
}

/// Lines, of many only the first.
fn more(text: &mut String, lines: impl Iterator<Item = String>, count: u64) {
    for line in lines.take(SHOWN) {
        text.push('\n');
        text.push_str(&plain(&line));
    }
    if count > SHOWN as u64 {
        text.push_str(&format!(
            "\n… and {} more: --report or --json names them",
            count - SHOWN as u64
        ));
    }
}

/// What others wrote, without what would move a cursor.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

fn one_chain(report: &BackfillReport) -> String {
    match (report.linked, report.parent_hash, report.last_hash) {
        (true, Some(parent), Some(last)) => format!("yes, after {parent}\nto {last}"),
        _ if report.gap_count > 0 => format!("NO, {} blocks do not link", report.gap_count),
        _ => "not known, blocks are missing".to_owned(),
    }
}

pub(super) const fn outcome(report: &BackfillReport) -> Outcome {
    if report.invalid > 0 {
        Outcome::Invalid
    } else if report.is_valid() {
        Outcome::Valid
    } else {
        Outcome::NoVerdict
    }
}
