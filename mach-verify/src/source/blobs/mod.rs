//! Where blobs come from. Whoever uses one compares its hash.

#[cfg(feature = "rpc")]
mod beacon;
mod folder;

#[cfg(feature = "rpc")]
pub use beacon::BeaconNode;
pub use folder::BlobFolder;
