//! Both sides of a ratio in one process, in turns, so that noise hits both.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// How often each side runs.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    /// Turns, of which the median counts.
    pub turns: usize,
    /// Runs in a turn.
    pub runs: usize,
}

/// Which clock a side is measured with.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// Processor time of this thread: what else runs on the machine counts less.
    Thread,
    /// Processor time of all threads of this process.
    Process,
    /// Time on the wall: for work on several threads.
    Wall,
}

impl Clock {
    /// Time that one run of `work` takes.
    pub fn time<T>(self, runs: usize, mut work: impl FnMut() -> T) -> Duration {
        let start = self.now();
        for _ in 0..runs {
            black_box(work());
        }
        (self.now() - start) / u32::try_from(runs).unwrap_or(u32::MAX)
    }

    fn now(self) -> Duration {
        static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        match self {
            Self::Wall => START.elapsed(),
            Self::Thread => processor(rustix::time::ClockId::ThreadCPUTime),
            Self::Process => processor(rustix::time::ClockId::ProcessCPUTime),
        }
    }
}

fn processor(clock: rustix::time::ClockId) -> Duration {
    let now = rustix::time::clock_gettime(clock);
    let (seconds, nanoseconds) = (now.tv_sec.unsigned_abs(), now.tv_nsec);
    Duration::new(seconds, u32::try_from(nanoseconds).unwrap_or_default())
}

/// Two sides of a ratio.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// Time of the first side.
    pub first: Duration,
    /// Time of the second side.
    pub second: Duration,
}

impl Pair {
    /// Median times of both sides, run in turns.
    pub fn measure<A, B>(
        clock: Clock,
        rounds: Rounds,
        mut first: impl FnMut() -> A,
        mut second: impl FnMut() -> B,
    ) -> Self {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for _ in 0..rounds.turns {
            a.push(clock.time(rounds.runs, &mut first));
            b.push(clock.time(rounds.runs, &mut second));
        }
        Self {
            first: median(a),
            second: median(b),
        }
    }

    /// First side by second side.
    pub fn ratio(&self) -> f64 {
        self.first.as_secs_f64() / self.second.as_secs_f64()
    }
}

/// The middle one.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// What a ratio has to be.
#[derive(Clone, Copy, Debug)]
pub enum Bar {
    /// Not above.
    AtMost(f64),
    /// Not below.
    AtLeast(f64),
}

/// Prints the head of the table.
#[expect(clippy::print_stdout, reason = "what a bench is run for")]
pub fn head(first: &str, second: &str) {
    println!(
        "{:<52} {first:>12} {second:>12} {:>9} {:>9}",
        "", "ratio", "bar"
    );
}

/// Prints a row of the table: both times, their ratio, the bar and whether it is met.
#[expect(clippy::print_stdout, reason = "what a bench is run for")]
pub fn row(figure: &str, pair: Pair, bar: Bar) {
    let ratio = pair.ratio();
    let (sign, limit, is_met) = match bar {
        Bar::AtMost(limit) => ("<=", limit, ratio <= limit),
        Bar::AtLeast(limit) => (">=", limit, ratio >= limit),
    };
    println!(
        "{figure:<52} {:>12} {:>12} {:>9} {sign}{:>7} {}",
        micros(pair.first),
        micros(pair.second),
        short(ratio),
        short(limit),
        if is_met { "met" } else { "NOT MET" },
    );
}

fn micros(time: Duration) -> String {
    format!("{:.1} us", time.as_secs_f64() * 1e6)
}

fn short(number: f64) -> String {
    if number < 10.0 {
        format!("{number:.3}")
    } else {
        format!("{number:.0}")
    }
}
