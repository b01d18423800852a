//! What operators and aggregators say to each other.

use std::fmt::Debug;

use mach_core::{
    Certificate, Domain, Fault, Round, SignedStatement, Statement, Verdict, ports::Progress,
};
use serde::{Serialize, de::DeserializeOwned};

/// A message of any type: what is read is written so that it reads the same, and what has a digest
/// has the same one.
pub fn rpc_messages(data: &[u8]) {
    let domain = Domain {
        l1_chain_id: 1,
        service_manager: Default::default(),
    };
    if let Some((statement, again)) = round_trip::<Statement>(data) {
        assert_eq!(statement.digest(&domain), again.digest(&domain));
    }
    if let Some((signed, again)) = round_trip::<SignedStatement>(data) {
        assert_eq!(signed.digest(), again.digest());
    }
    if let Some((round, _)) = round_trip::<Round>(data) {
        assert_eq!(round.terms().count(), round.quorums().len());
    }
    if let Some((certificate, again)) = round_trip::<Certificate>(data) {
        assert_eq!(certificate.digest(), again.digest());
    }
    round_trip::<Progress>(data);
    round_trip::<Verdict>(data);
    round_trip::<Fault>(data);
}

/// The message, and the same one written and read again.
fn round_trip<T>(data: &[u8]) -> Option<(T, T)>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let message: T = serde_json::from_slice(data).ok()?;
    let json = serde_json::to_vec(&message).expect("a message can be written");
    let again = serde_json::from_slice(&json).expect("what was written can be read");
    assert_eq!(message, again);
    Some((message, again))
}
