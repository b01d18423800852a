use core::fmt;

use serde::Serialize;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether it is in the way.
    pub severity: Severity,
    /// What was looked at.
    pub subject: Subject,
    /// What is the case.
    pub problem: String,
    /// What to do about it; empty if there is nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    pub(super) fn passed(subject: Subject, what: impl Into<String>) -> Self {
        Self {
            severity: Severity::Passed,
            subject,
            problem: what.into(),
            fix: None,
        }
    }

    pub(super) fn note(
        subject: Subject,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::bad(Severity::Note, subject, problem, fix)
    }

    pub(super) fn warning(
        subject: Subject,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::bad(Severity::Warning, subject, problem, fix)
    }

    pub(super) fn blocker(
        subject: Subject,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::bad(Severity::Blocker, subject, problem, fix)
    }

    fn bad(
        severity: Severity,
        subject: Subject,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            subject,
            problem: problem.into(),
            fix: Some(fix.into()),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.problem)?;
        match &self.fix {
            Some(fix) => write!(f, " ({fix})"),
            None => Ok(()),
        }
    }
}

/// Whether a finding is in the way, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// As it should be.
    Passed,
    /// Worth knowing.
    Note,
    /// May be in the way later.
    Warning,
    /// Nothing can be sent with success before it is solved.
    Blocker,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Blocker => "BLOCKER",
        })
    }
}

/// What is looked at.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// Whether the node is on the chain of the deployment.
    Chain,
    /// Whether contracts are where the deployment says.
    Contracts,
    /// The machine's clock against that of the chain.
    Clock,
    /// Whether events can be read in ranges that are worth it.
    Logs,
    /// Whether past state can be read.
    History,
    /// Which service manager this is.
    Generation,
    /// Whether contracts have the functions that are going to be called.
    Functions,
    /// Whether the service manager is paused.
    Pause,
    /// Registration as an EigenLayer operator.
    EigenLayer,
    /// The service manager's list of operators that may join.
    Allowlist,
    /// Where the operator stands.
    Registration,
    /// The operator's BLS key.
    Key,
    /// The consent that the operator's account signs.
    Consent,
    /// The quorums' existence, room and membership.
    Quorum,
    /// The operator's stake in a quorum.
    Stake,
    /// What the paying account holds.
    Balance,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chain => "chain",
            Self::Contracts => "contracts",
            Self::Clock => "clock",
            Self::Logs => "event ranges",
            Self::History => "past state",
            Self::Generation => "generation",
            Self::Functions => "functions",
            Self::Pause => "pause",
            Self::EigenLayer => "eigenlayer",
            Self::Allowlist => "allowlist",
            Self::Registration => "registration",
            Self::Key => "BLS key",
            Self::Consent => "consent",
            Self::Quorum => "quorum",
            Self::Stake => "stake",
            Self::Balance => "balance",
        })
    }
}
