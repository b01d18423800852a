//! What a guest reads.

mod codec;

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, Sealed, U256, keccak256};
use alloy_rlp::Decodable;
use mach_core::{BlockError, L2Block};
use mach_verify::{ChainSpec, MAX_ANCESTORS, Witness};

use crate::{Context, MAX_INPUT_BYTES, Program};
use codec::{Reader, Writer};

/// Longest rules that are read, in bytes of JSON: 256 forks with the longest names fit.
const MAX_RULES_BYTES: usize = 128 * 1024;
/// Longest header that is read, in bytes.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Most nodes of a proof of one account: a key has 64 nibbles.
const MAX_PROOF_NODES: usize = 65;
/// Format that is written, and the only one that is read.
const INPUT_VERSION: u8 = 1;

/// What the block program is to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// The first broken rule.
    Accuse,
    /// That no rule is broken.
    Affirm,
}

/// Input of [`Program::Block`].
///
/// The encoding is `"mach"`, the program (0) and the version (1), one byte each; the context as 32,
/// 20 and 20 bytes; the hash of the rules and the hash of the block, so that whatever is damaged
/// later is not taken for another block or chain; then the task (0 accuses, 1 affirms), the rules as
/// JSON, the block as RLP, and the nodes, codes and headers of the witness. A byte string follows its
/// length, and a list its number of items, as four bytes, little-endian. Nothing may follow.
#[derive(Clone, Debug)]
pub struct BlockInput {
    /// Copied into the journal.
    pub context: Context,
    /// What to find.
    pub task: Task,
    /// The rules.
    pub spec: ChainSpec,
    /// The block that is judged; its chain is that of the rules.
    pub block: L2Block,
    /// State, codes and headers; what is only claimed is not carried.
    pub witness: Witness,
}

impl BlockInput {
    /// Errors: [`InputError`], if it is larger than what is read.
    pub fn encode(&self) -> Result<Bytes, InputError> {
        let mut out = Writer::new();
        preamble(
            &mut out,
            Program::Block,
            &self.context,
            &self.spec,
            self.block.hash(),
        );
        out.byte(match self.task {
            Task::Accuse => 0,
            Task::Affirm => 1,
        });
        out.bytes(&rules(&self.spec)?);
        out.bytes(&self.block.encode_rlp());
        out.list(&self.witness.state);
        out.list(&self.witness.codes);
        out.list(&self.witness.headers);
        out.finish()
    }

    /// The inverse of [`Self::encode`].
    ///
    /// Errors: [`InputError`].
    pub fn decode(input: Bytes) -> Result<Self, InputError> {
        Self::read(input).map(|(input, _)| input)
    }

    /// The same with the hash of the rules as they are written.
    pub(crate) fn read(input: Bytes) -> Result<(Self, B256), InputError> {
        let mut input = Reader::new(input)?;
        let preamble = Preamble::read(&mut input, Program::Block)?;
        let task = match input.byte("task")? {
            0 => Task::Accuse,
            1 => Task::Affirm,
            other => return Err(InputError::Task(other)),
        };
        let spec = preamble.spec(&input.bytes("rules", MAX_RULES_BYTES)?)?;
        let rlp = input.bytes("block", mach_core::MAX_BLOCK_BYTES)?;
        let block = L2Block::decode_rlp(spec.chain_id(), &rlp)?;
        preamble.check_block(block.hash())?;
        let witness = Witness {
            state: input.list("state", usize::MAX)?,
            codes: input.list("codes", usize::MAX)?,
            headers: input.list("headers", MAX_ANCESTORS)?,
            ..Default::default()
        };
        input.finish()?;
        let input = Self {
            context: preamble.context,
            task,
            spec,
            block,
            witness,
        };
        Ok((input, preamble.config_hash))
    }
}

/// Input of [`Program::Output`].
///
/// The encoding starts as that of [`BlockInput`], with program 1; then follow the rules as JSON, the
/// header as RLP, the posted root, and the nodes of the proof.
#[derive(Clone, Debug)]
pub struct OutputInput {
    /// Copied into the journal.
    pub context: Context,
    /// The rules.
    pub spec: ChainSpec,
    /// The header whose output root it is.
    pub header: Sealed<Header>,
    /// The root that was posted.
    pub claimed: B256,
    /// Before Isthmus: nodes that prove the account of the message passer under the header's state
    /// root, as `eth_getProof` answers. Later the header itself holds what is needed.
    pub proof: Vec<Bytes>,
}

impl OutputInput {
    /// Errors: [`InputError`], if it is larger than what is read.
    pub fn encode(&self) -> Result<Bytes, InputError> {
        let mut out = Writer::new();
        preamble(
            &mut out,
            Program::Output,
            &self.context,
            &self.spec,
            self.header.seal(),
        );
        out.bytes(&rules(&self.spec)?);
        out.bytes(&alloy_rlp::encode(self.header.inner()));
        out.raw(self.claimed.as_slice());
        out.list(&self.proof);
        out.finish()
    }

    /// The inverse of [`Self::encode`].
    ///
    /// Errors: [`InputError`].
    pub fn decode(input: Bytes) -> Result<Self, InputError> {
        Self::read(input).map(|(input, _)| input)
    }

    /// The same with the hash of the rules as they are written.
    pub(crate) fn read(input: Bytes) -> Result<(Self, B256), InputError> {
        let mut input = Reader::new(input)?;
        let preamble = Preamble::read(&mut input, Program::Output)?;
        let spec = preamble.spec(&input.bytes("rules", MAX_RULES_BYTES)?)?;
        let rlp = input.bytes("header", MAX_HEADER_BYTES)?;
        let mut rest = rlp.as_ref();
        let header = Header::decode(&mut rest).map_err(InputError::Header)?;
        if !rest.is_empty() {
            return Err(InputError::Header(alloy_rlp::Error::UnexpectedLength));
        }
        let header = Sealed::new(header);
        preamble.check_block(header.seal())?;
        let claimed = B256::new(input.array("claimed root")?);
        let proof = input.list("proof", MAX_PROOF_NODES)?;
        input.finish()?;
        let input = Self {
            context: preamble.context,
            spec,
            header,
            claimed,
            proof,
        };
        Ok((input, preamble.config_hash))
    }
}

fn rules(spec: &ChainSpec) -> Result<Vec<u8>, InputError> {
    serde_json::to_vec(spec).map_err(InputError::Rules)
}

fn preamble(
    out: &mut Writer,
    program: Program,
    context: &Context,
    spec: &ChainSpec,
    block_hash: B256,
) {
    out.raw(&magic(program));
    out.raw(&context.l1_chain_id.to_be_bytes::<32>());
    out.raw(context.service_manager.as_slice());
    out.raw(context.prover.as_slice());
    out.raw(spec.hash().as_slice());
    out.raw(block_hash.as_slice());
}

const fn magic(program: Program) -> [u8; 6] {
    let program = match program {
        Program::Block => 0,
        Program::Output => 1,
    };
    [b'm', b'a', b'c', b'h', program, INPUT_VERSION]
}

/// What both inputs begin with.
struct Preamble {
    context: Context,
    config_hash: B256,
    block_hash: B256,
}

impl Preamble {
    fn read(input: &mut Reader, program: Program) -> Result<Self, InputError> {
        if input.array("magic")? != magic(program) {
            return Err(InputError::Format(program));
        }
        Ok(Self {
            context: Context {
                l1_chain_id: U256::from_be_bytes(input.array::<32>("context")?),
                service_manager: Address::new(input.array("context")?),
                prover: Address::new(input.array("context")?),
            },
            config_hash: B256::new(input.array("configuration hash")?),
            block_hash: B256::new(input.array("block hash")?),
        })
    }

    /// The rules, if they are those that are meant.
    ///
    /// What is hashed is what stands there: `ChainSpec::hash` is that of the one way in which rules
    /// are written, so the same rules in another writing are another configuration, which no contract
    /// has. A guest need not write them again.
    fn spec(&self, json: &[u8]) -> Result<ChainSpec, InputError> {
        let given = keccak256(json);
        if given != self.config_hash {
            return Err(InputError::OtherRules {
                meant: self.config_hash,
                given,
            });
        }
        serde_json::from_slice(json).map_err(InputError::Rules)
    }

    fn check_block(&self, given: B256) -> Result<(), InputError> {
        if given == self.block_hash {
            Ok(())
        } else {
            Err(InputError::OtherBlock {
                meant: self.block_hash,
                given,
            })
        }
    }
}

/// Why bytes are no input.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// More bytes than [`MAX_INPUT_BYTES`].
    #[error("the input has {0} bytes, at most {MAX_INPUT_BYTES} are read")]
    TooLarge(usize),
    /// It does not begin as an input of the program does.
    #[error("not an input of the program {0}, version {INPUT_VERSION}")]
    Format(Program),
    /// It ends within a part.
    #[error("the input ends within {0}")]
    Truncated(&'static str),
    /// A part is longer than it may be.
    #[error("{0} is too long")]
    TooLong(&'static str),
    /// Bytes stand behind the end.
    #[error("{0} bytes stand behind the input")]
    TrailingBytes(usize),
    /// The task has no meaning.
    #[error("task {0} does not exist")]
    Task(u8),
    /// The rules cannot be written or read.
    #[error("the rules are malformed")]
    Rules(#[source] serde_json::Error),
    /// The rules are not those that are meant.
    #[error("the rules hash to {given}, and {meant} is meant")]
    OtherRules {
        /// Hash at the beginning of the input.
        meant: B256,
        /// Hash of the rules.
        given: B256,
    },
    /// The block cannot be read.
    #[error("the block is malformed")]
    Block(#[from] BlockError),
    /// The header cannot be read.
    #[error("the header is malformed")]
    Header(#[source] alloy_rlp::Error),
    /// The block is not the one that is meant.
    #[error("the header hashes to {given}, and {meant} is meant")]
    OtherBlock {
        /// Hash at the beginning of the input.
        meant: B256,
        /// Hash of the header.
        given: B256,
    },
}
