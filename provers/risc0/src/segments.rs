//! The segments of a run, proved one after the other.

use mach_prove::{
    Progress, Proof,
    protocol::{Failure, ProverError},
};
use serde::Serialize;

/// Proves what is missing. What is kept took no time of this run, so that it is told of before the first is proved.
///
/// Errors: [`Failure::Unable`] among others, as soon as so many are seen to make a proof that nobody reads.
pub(crate) fn prove<T: Serialize>(
    mut receipts: Vec<Option<T>>,
    progress: &mut dyn FnMut(Progress),
    mut prove: impl FnMut(u32) -> Result<T, ProverError>,
) -> Result<Vec<T>, ProverError> {
    let total = receipts.len() as u64;
    let mut done = receipts.iter().flatten().count() as u64;
    let mut shortest = u64::MAX;
    let mut check = |receipt: &T| {
        shortest = shortest.min(bincode::serialized_size(receipt)?);
        match shortest.saturating_mul(total) <= Proof::MAX_LENGTH as u64 {
            true => Ok(()),
            false => Err(too_large(total, shortest)),
        }
    };
    receipts.iter().flatten().try_for_each(&mut check)?;
    progress(Progress::Segment { done, total });
    for (index, receipt) in (0..).zip(&mut receipts) {
        if receipt.is_none() {
            let proved = prove(index)?;
            check(&proved)?;
            *receipt = Some(proved);
            done += 1;
            progress(Progress::Segment { done, total });
        }
    }
    Ok(receipts.into_iter().flatten().collect())
}

fn too_large(total: u64, shortest: u64) -> ProverError {
    let most = Proof::MAX_LENGTH;
    let reason = format!(
        "{total} segments of {shortest} bytes or more each are too many: of a proof at most {most} bytes are read. With a higher memory limit there are fewer segments, and longer ones"
    );
    ProverError::new(Failure::Unable, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_counted_first_and_not_proved_again() {
        let mut told = Vec::new();
        let kept = vec![None, Some(11), None, Some(13)];
        let mut proved = Vec::new();
        let prove_one = |index| {
            proved.push(index);
            Ok(index + 10)
        };
        let all = prove(kept, &mut |it| told.push(it), prove_one).unwrap();
        assert_eq!(all, [10, 11, 12, 13]);
        assert_eq!(proved, [0, 2]);
        let told_of = [2, 3, 4].map(|done| Progress::Segment { done, total: 4 });
        assert_eq!(told, told_of);
    }

    /// A proof file has at most 256 MiB, in hex: 600 receipts of a quarter of a megabyte are too many.
    #[test]
    fn a_proof_that_nobody_reads_is_not_made() {
        let receipt = vec![7_u32; 64 * 1024];
        let mut proved = 0;
        let mut failure = |mut kept: Vec<Option<_>>| {
            kept.resize(600, None);
            let one = |_| {
                proved += 1;
                Ok(receipt.clone())
            };
            prove(kept, &mut |_| {}, one).unwrap_err().failure
        };
        assert_eq!(failure(vec![]), Failure::Unable);
        assert_eq!(failure(vec![None, Some(receipt.clone())]), Failure::Unable);
        assert_eq!(proved, 1);
    }
}
