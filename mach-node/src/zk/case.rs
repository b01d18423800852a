use alloy_primitives::{B256, Bytes};
use mach_core::Alert;
use mach_prove::{Journal, Program};
use serde::{Deserialize, Serialize};

use super::{Accusation, Target};

/// A wrong block on its way to be convicted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// What was found.
    pub alert: Alert,
    /// Seconds since 1970.
    pub found_at: u64,
    /// Whether its output root was seen on L1.
    #[serde(default)]
    pub is_posted: bool,
    /// What the evidence gave, once it was read; a wrong output root needs none.
    pub basis: Option<Basis>,
    /// How far it is.
    pub stage: Stage,
    /// Why it does not go on, if it does not.
    pub trouble: Option<Trouble>,
    /// Seconds since 1970 at which nothing was left to do.
    pub ended_at: Option<u64>,
}

impl Case {
    /// What is shown to the contract, if it was read from the evidence and can be read again.
    pub(super) fn accusation(&self) -> Option<Accusation> {
        let basis = self.basis.as_ref()?;
        Some(Accusation {
            alert: self.alert.clone(),
            journal: basis.journal,
            header: alloy_rlp::decode_exact(&basis.header).ok()?,
        })
    }
}

/// What is needed of the evidence once it is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Basis {
    /// RLP of the accused header.
    pub header: Bytes,
    /// What is proved.
    pub journal: Journal,
    /// Which guest proves it.
    pub program: Program,
}

impl Basis {
    /// The block, accused by its hash.
    pub(super) const fn block(&self) -> Target {
        Target::Block {
            hash: self.journal.block_hash,
            number: self.journal.block_number,
            expected: self.journal.output_root,
        }
    }
}

/// How far a case is. Each stage is durable before the next one begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "camelCase")]
pub enum Stage {
    /// The verifier found the fault.
    Found,
    /// What is accused is decided; nothing may be sent yet.
    Chosen {
        /// What is accused.
        target: Target,
    },
    /// The alert is on L1.
    Raised {
        /// Its id there.
        id: B256,
        /// What it is about.
        target: Target,
    },
    /// There is a proof, and it is kept.
    Proved {
        /// Id of the alert.
        id: B256,
        /// What it is about.
        target: Target,
    },
    /// The contract has seen that the block is wrong. It convicts the rollup once something stands on
    /// L1 that leads to the block.
    Shown {
        /// Id of the alert about the block.
        id: B256,
    },
    /// It is known what a wrong output root is the hash of, and kept. Once it stands on L1 it convicts
    /// itself, without a proof and without a bond.
    Opened,
    /// The contract has a proof, ours or another, at the head of L1, which may still take it back. All
    /// that it would take to hand the proof in once more is kept.
    Convicted {
        /// Id of the alert that it decided.
        id: B256,
        /// What it is about.
        target: Target,
    },
    /// The contract has a proof, and L1 does not take it back.
    Done {
        /// Id of the alert that it decided.
        id: B256,
    },
    /// Nothing more is done about it.
    GivenUp {
        /// Why, for people.
        reason: String,
        /// Where the next process goes on, if what is in the way may be mended by people.
        resume: Option<Box<Self>>,
    },
}

impl Stage {
    /// Names of all stages, in their order.
    pub const NAMES: [&'static str; 9] = [
        "found",
        "chosen",
        "raised",
        "proved",
        "shown",
        "opened",
        "convicted",
        "done",
        "given_up",
    ];

    /// Whether there is something to do.
    pub const fn is_open(&self) -> bool {
        !matches!(self, Self::Done { .. } | Self::GivenUp { .. })
    }

    /// Whether an alert is on L1 that waits for a proof of ours.
    pub(super) const fn is_bonded(&self) -> bool {
        matches!(self, Self::Raised { .. } | Self::Proved { .. })
    }

    /// Whether the contract has decided what there was to decide, as L1 says.
    pub(super) const fn is_proved(&self) -> bool {
        matches!(self, Self::Shown { .. } | Self::Convicted { .. })
    }

    /// Whether what is kept beside the case may be needed again.
    pub(super) const fn needs_proof(&self) -> bool {
        self.is_open()
            || matches!(
                self,
                Self::GivenUp {
                    resume: Some(_),
                    ..
                }
            )
    }

    /// How far that is.
    pub(super) fn rank(&self) -> usize {
        rank(self.name())
    }

    /// Name in logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Chosen { .. } => "chosen",
            Self::Raised { .. } => "raised",
            Self::Proved { .. } => "proved",
            Self::Shown { .. } => "shown",
            Self::Opened => "opened",
            Self::Convicted { .. } => "convicted",
            Self::Done { .. } => "done",
            Self::GivenUp { .. } => "given_up",
        }
    }
}

/// How far the stage of this name is.
pub(super) fn rank(name: &str) -> usize {
    let found = Stage::NAMES.iter().position(|it| *it == name);
    found.unwrap_or_default()
}

/// A step that fails again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trouble {
    /// Seconds since 1970 at which it failed first.
    pub since: u64,
    /// How often it failed.
    pub tries: u32,
    /// How often of these the prover did.
    pub prover: u32,
    /// How often of these it gave nothing until its time was over.
    #[serde(default)]
    pub hangs: u32,
    /// Name of the stage that was reached; it is over once the case is further than that.
    pub stage: String,
    /// Why, for people, the last time.
    pub reason: String,
}
