//! Whether memory that is counted is memory that is held.

use std::{
    env, fs,
    process::{Command, Stdio},
};

const CHILD: &str = "MACH_TEST_MEASURES_MEMORY";

/// Runs `fill` in a process of its own, in which nothing else takes memory, and compares the bytes
/// that it counts with those by which the process has grown. `name` is the test that calls this.
pub(super) fn measure(name: &str, fill: impl FnOnce(fn() -> usize) -> (usize, usize)) {
    if env::var_os(CHILD).is_none() {
        let test = Command::new(env::current_exe().unwrap())
            .args(["--exact", name, "--test-threads", "1", "--nocapture"])
            .env(CHILD, "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&test.stdout);
        let errors = String::from_utf8_lossy(&test.stderr);
        assert!(
            test.status.success() && told.contains("1 passed"),
            "{told}{errors}"
        );
        return;
    }
    let (counted, grown) = fill(resident);
    assert!(
        grown <= counted,
        "{grown} bytes are held, {counted} counted"
    );
    // Nor is it far from the truth.
    assert!(
        grown >= counted / 4,
        "{grown} bytes are held, {counted} counted"
    );
}

/// Bytes of memory that this process holds.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kibibytes = line.split_whitespace().nth(1).unwrap();
    kibibytes.parse::<usize>().unwrap() * 1024
}
