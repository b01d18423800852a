//! Following a chain: block after block, with what they have in common done once.
//!
//! [`Follower`] is the core, synchronous and free of I/O. [`Follower::verify_all`] takes several
//! threads, [`FollowValidator`] is the port, and [`Following`] (feature `rpc`) follows the head
//! of a source through reorgs.

mod branch;
#[cfg(feature = "rpc")]
mod fetch;
mod follower;
mod headers;
#[cfg(feature = "rpc")]
mod judge;
mod layer;
#[cfg(feature = "rpc")]
mod live;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod measure;
mod pipeline;
mod shelf;
mod validator;

pub use branch::{Branch, Fork};
pub use follower::{FollowLimits, Follower, FollowerSize, Prepared};
#[cfg(feature = "rpc")]
pub use live::{FollowConfig, FollowError, Followed, Following};
pub use pipeline::Verdicts;
pub use validator::FollowValidator;

#[cfg(test)]
#[cfg(target_os = "linux")]
use measure::measure;
