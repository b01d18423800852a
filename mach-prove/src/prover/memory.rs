use std::{fs, io::stdout, process, thread, time::Duration};

use super::{
    protocol::{Failure, Message},
    serve::tell,
};

/// How often the memory is looked at. The system tells the peak, so that none is missed in between.
const INTERVAL: Duration = Duration::from_millis(20);

/// Ends this process when it has taken more than `limit` bytes, and says so first. Where the system does
/// not tell what a process takes (other than Linux), nothing is watched.
pub(super) fn watch(limit: u64) {
    if peak().is_none() {
        return;
    }
    thread::spawn(move || {
        loop {
            if let Some(peak) = peak().filter(|peak| *peak > limit) {
                let message = format!("{peak} bytes of memory are taken, {limit} may be");
                let failure = Failure::Memory;
                tell(&mut stdout(), &Message::Failed { failure, message });
                process::exit(1);
            }
            thread::sleep(INTERVAL);
        }
    });
}

/// Most memory that this process had at any time, in bytes.
pub fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_what_was_taken() {
        let before = peak().unwrap();
        let taken = vec![1_u8; 64 * 1024 * 1024];
        let after = peak().unwrap();
        assert!(taken.iter().all(|byte| *byte == 1));
        drop(taken);
        // Other tests of this process take some, too; the system counts a few pages late.
        assert!(
            after >= 64 * 1024 * 1024 && after >= before,
            "{before} {after}"
        );
        assert!(peak().unwrap() + 1024 * 1024 >= after);
    }

    #[test]
    #[ignore = "a process of the test below"]
    fn takes_more_than_it_may() {
        watch(peak().unwrap() + 64 * 1024 * 1024);
        let taken = vec![1_u8; 128 * 1024 * 1024];
        thread::sleep(Duration::from_secs(60));
        panic!("{} bytes are still there", taken.len());
    }

    #[test]
    fn a_process_that_takes_more_than_it_may_says_so_and_ends() {
        let child = "prover::memory::tests::takes_more_than_it_may";
        let output = process::Command::new(std::env::current_exe().unwrap())
            // With one thread the name of the test stands before what is said.
            .args(["--exact", child, "--ignored", "--test-threads", "2"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stdout).unwrap();
        let line = said.lines().find(|line| line.starts_with('{')).unwrap();
        let message: Message = serde_json::from_str(line).unwrap();
        let Message::Failed { failure, .. } = message else {
            panic!("{message:?}")
        };
        assert_eq!(failure, Failure::Memory);
    }
}
