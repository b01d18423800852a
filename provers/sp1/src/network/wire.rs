//! Messages of SP1's prover network, as far as they are used here: the numbers of fields are those of
//! `network.proto` and `artifact.proto` in `sp1-sdk` 6.10.

use prost::Message;

/// The message is signed as it is encoded.
pub const BINARY: i32 = 1;
/// A proof for the EVM.
pub const GROTH16: i32 = 4;
/// Provers bid.
pub const AUCTION: i32 = 3;
/// The network's own provers.
pub const HOSTED: i32 = 1;
/// Kinds of artifacts.
pub const PROGRAM: i32 = 1;
pub const STDIN: i32 = 2;

/// How far a request is.
pub const ASSIGNED: i32 = 2;
pub const FULFILLED: i32 = 3;
pub const UNFULFILLABLE: i32 = 4;
pub const REVERTED: i32 = 5;
pub const EXPIRED: i32 = 6;
/// Whether the network could run the guest.
pub const UNEXECUTABLE: i32 = 3;
pub const VALIDATION_FAILED: i32 = 4;

#[derive(Clone, PartialEq, Message)]
pub struct NonceQuery {
    #[prost(bytes = "vec", tag = "1")]
    pub address: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Nonce {
    #[prost(uint64, tag = "1")]
    pub nonce: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct ProgramQuery {
    #[prost(bytes = "vec", tag = "1")]
    pub vk_hash: Vec<u8>,
}

/// What the network says of a program is not looked at: it knows it, or says that it does not.
#[derive(Clone, PartialEq, Message)]
pub struct Known {}

#[derive(Clone, PartialEq, Message)]
pub struct NewProgram {
    #[prost(int32, tag = "1")]
    pub format: i32,
    #[prost(bytes = "vec", tag = "2")]
    pub signature: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    pub body: Option<NewProgramBody>,
}

#[derive(Clone, PartialEq, Message)]
pub struct NewProgramBody {
    #[prost(uint64, tag = "1")]
    pub nonce: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub vk_hash: Vec<u8>,
    /// The verifying key in bincode.
    #[prost(bytes = "vec", tag = "3")]
    pub vk: Vec<u8>,
    #[prost(string, tag = "4")]
    pub program_uri: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct TermsQuery {
    #[prost(int32, tag = "1")]
    pub mode: i32,
}

/// Under which terms provers bid.
#[derive(Clone, PartialEq, Message)]
pub struct Terms {
    #[prost(bytes = "vec", tag = "1")]
    pub domain: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub auctioneer: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub executor: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub verifier: Vec<u8>,
    #[prost(string, tag = "5")]
    pub max_price_per_pgu: String,
    #[prost(string, tag = "6")]
    pub base_fee: String,
    #[prost(bytes = "vec", tag = "7")]
    pub treasury: Vec<u8>,
    #[prost(uint64, tag = "8")]
    pub tick_size: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct ProversQuery {
    #[prost(bool, tag = "1")]
    pub high_availability_only: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct Provers {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub provers: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub struct NewRequest {
    #[prost(int32, tag = "1")]
    pub format: i32,
    #[prost(bytes = "vec", tag = "2")]
    pub signature: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    pub body: Option<NewRequestBody>,
}

/// What is asked for, and at which price. Fields from the domain on are for provers that bid; the
/// network's own want them empty.
#[derive(Clone, PartialEq, Message)]
pub struct NewRequestBody {
    #[prost(uint64, tag = "1")]
    pub nonce: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub vk_hash: Vec<u8>,
    #[prost(string, tag = "3")]
    pub version: String,
    #[prost(int32, tag = "4")]
    pub mode: i32,
    #[prost(int32, tag = "5")]
    pub strategy: i32,
    #[prost(string, tag = "6")]
    pub stdin_uri: String,
    /// In seconds since 1970.
    #[prost(uint64, tag = "7")]
    pub deadline: u64,
    #[prost(uint64, tag = "8")]
    pub cycle_limit: u64,
    #[prost(uint64, tag = "9")]
    pub gas_limit: u64,
    /// In seconds.
    #[prost(uint64, tag = "10")]
    pub min_auction_period: u64,
    #[prost(bytes = "vec", repeated, tag = "11")]
    pub whitelist: Vec<Vec<u8>>,
    #[prost(bytes = "vec", tag = "12")]
    pub domain: Vec<u8>,
    #[prost(bytes = "vec", tag = "13")]
    pub auctioneer: Vec<u8>,
    #[prost(bytes = "vec", tag = "14")]
    pub executor: Vec<u8>,
    #[prost(bytes = "vec", tag = "15")]
    pub verifier: Vec<u8>,
    /// SHA-256 of what the guest commits to.
    #[prost(bytes = "vec", optional, tag = "16")]
    pub public_values_hash: Option<Vec<u8>>,
    #[prost(string, tag = "17")]
    pub base_fee: String,
    #[prost(string, tag = "18")]
    pub max_price_per_pgu: String,
    /// Zero: a request.
    #[prost(int32, tag = "19")]
    pub variant: i32,
    #[prost(bytes = "vec", tag = "20")]
    pub treasury: Vec<u8>,
    #[prost(bool, tag = "21")]
    pub stdin_private: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct Ordered {
    #[prost(bytes = "vec", tag = "1")]
    pub tx_hash: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub body: Option<Request>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Request {
    #[prost(bytes = "vec", tag = "1")]
    pub request_id: Vec<u8>,
}

/// Which requests are asked for: those of one account, of one program, that end after some time.
#[derive(Clone, PartialEq, Message)]
pub struct RequestsQuery {
    /// In seconds since 1970.
    #[prost(uint64, optional, tag = "4")]
    pub minimum_deadline: Option<u64>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub vk_hash: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "6")]
    pub requester: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "10")]
    pub limit: Option<u32>,
    /// The first is 1.
    #[prost(uint32, optional, tag = "11")]
    pub page: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Requests {
    #[prost(message, repeated, tag = "1")]
    pub requests: Vec<Listed>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Listed {
    #[prost(bytes = "vec", tag = "1")]
    pub request_id: Vec<u8>,
    #[prost(string, tag = "7")]
    pub stdin_uri: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Status {
    #[prost(int32, tag = "1")]
    pub fulfillment: i32,
    #[prost(int32, tag = "2")]
    pub execution: i32,
    /// In seconds since 1970.
    #[prost(uint64, tag = "4")]
    pub deadline: u64,
    #[prost(string, optional, tag = "6")]
    pub proof_uri: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct NewArtifact {
    #[prost(bytes = "vec", tag = "1")]
    pub signature: Vec<u8>,
    #[prost(int32, tag = "2")]
    pub kind: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Artifact {
    #[prost(string, tag = "1")]
    pub uri: String,
    #[prost(string, tag = "2")]
    pub upload_url: String,
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;

    use super::*;

    /// Source: the tests of `sp1-sdk` 6.10 have these bytes, for both kinds of provers.
    #[test]
    fn a_request_is_encoded_as_the_network_reads_it() {
        let mut body = NewRequestBody {
            nonce: 150,
            vk_hash: vec![0x11; 32],
            version: "sp1-v6.1.0".to_owned(),
            mode: 2,
            strategy: 2,
            stdin_uri: "stdins/test".to_owned(),
            deadline: 1_800_000_000,
            cycle_limit: 100_000,
            gas_limit: 200_000,
            min_auction_period: 30,
            whitelist: vec![vec![0x22; 20], vec![0x33; 20]],
            ..Default::default()
        };
        let both = hex!(
            "08960112201111111111111111111111111111111111111111111111111111111111111111"
            "1a0a7370312d76362e312e3020022802320b737464696e732f746573743880a4a7da0640a08d0648c09a0c501e"
            "5a1422222222222222222222222222222222222222225a143333333333333333333333333333333333333333"
        );
        assert_eq!(body.encode_to_vec(), both);
        body.stdin_private = true;
        body.domain = vec![0x44; 32];
        body.auctioneer = vec![0x55; 20];
        body.executor = vec![0x66; 20];
        body.verifier = vec![0x77; 20];
        body.public_values_hash = Some(vec![0x88; 32]);
        body.base_fee = "123".to_owned();
        body.max_price_per_pgu = "456".to_owned();
        body.variant = 1;
        body.treasury = vec![0x99; 20];
        let auction = hex!(
            "62204444444444444444444444444444444444444444444444444444444444444444"
            "6a14555555555555555555555555555555555555555572146666666666666666666666666666666666666666"
            "7a1477777777777777777777777777777777777777778201208888888888888888888888888888888888888888888888888888888888888888"
            "8a0103313233920103343536980101a201149999999999999999999999999999999999999999a80101"
        );
        assert_eq!(body.encode_to_vec(), [&both[..], &auction].concat());
    }
}
