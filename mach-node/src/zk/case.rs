use alloy_primitives::{B256, Bytes};
use mach_core::Alert;
use serde::{Deserialize, Serialize};

/// A wrong block on its way to be convicted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// What was found.
    pub alert: Alert,
    /// Seconds since 1970.
    pub found_at: u64,
    /// How far it is.
    pub stage: Stage,
}

/// How far a case is. Each stage is durable before the next one begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "camelCase")]
pub enum Stage {
    /// The verifier found the fault.
    Found,
    /// The alert is on L1.
    Raised {
        /// Its id there.
        id: B256,
        /// RLP of the accused header, which may be needed when the evidence is gone.
        header: Bytes,
    },
    /// There is a proof, and it is kept.
    Proved {
        /// Id of the alert.
        id: B256,
        /// As before.
        header: Bytes,
    },
    /// The contract has a proof, ours or another.
    Done {
        /// Id of the alert.
        id: B256,
    },
    /// Nothing more is done about it.
    GivenUp {
        /// Why, for people.
        reason: String,
    },
}

impl Stage {
    /// Whether there is something to do.
    pub const fn is_open(&self) -> bool {
        matches!(
            self,
            Self::Found | Self::Raised { .. } | Self::Proved { .. }
        )
    }

    /// Name in logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Raised { .. } => "raised",
            Self::Proved { .. } => "proved",
            Self::Done { .. } => "done",
            Self::GivenUp { .. } => "given up",
        }
    }
}
