//! `mach-cli record`: blocks and witnesses into files.

use eyre::WrapErr;
use indicatif::{ProgressBar, ProgressStyle};
use mach_core::ports::L2Source;
use mach_verify::source::{RecordedBlock, RpcSource};

use crate::{args::RecordArgs, outcome::Outcome, remote::runtime, spec::Specs};

pub(crate) fn run(args: &RecordArgs) -> eyre::Result<Outcome> {
    let specs = Specs::load(&args.chain)?;
    std::fs::create_dir_all(&args.out)
        .wrap_err_with(|| format!("folder {}", args.out.display()))?;
    runtime()?.block_on(record(args, &specs))
}

async fn record(args: &RecordArgs, specs: &Specs) -> eyre::Result<Outcome> {
    let source = RpcSource::connect(args.rpc.clone()).await?;
    // A file that nobody here can verify is not worth the download.
    specs.of(source.chain_id())?;
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} blocks  {msg}  {eta} left")?;
    let bar = ProgressBar::new(args.blocks.count()).with_style(style);
    let (mut written, mut kept) = (0u64, 0u64);
    for number in args.blocks.numbers() {
        let path = args
            .out
            .join(RecordedBlock::file_name_of(source.chain_id(), number));
        // An interrupted run goes on where it stopped: a file is there whole or not at all.
        if path.exists() {
            kept += 1;
        } else {
            let recorded = source.record(number).await?;
            recorded.write(&path)?;
            written += 1;
            bar.set_message(path.display().to_string());
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    say(&format!(
        "{written} blocks written to {}, {kept} were there",
        args.out.display()
    ));
    Ok(Outcome::Valid)
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn say(line: &str) {
    println!("{line}");
}
