//! Following a chain: block after block, with what they have in common done once.
//!
//! [`Follower`] is the core, synchronous and free of I/O. [`Follower::verify_all`] takes several
//! threads, [`FollowValidator`] is the port, and [`Following`] (feature `rpc`) follows the head
//! of a source through reorgs.

mod branch;
mod follower;
mod headers;
mod layer;
#[cfg(feature = "rpc")]
mod live;
mod pipeline;
mod shelf;
mod validator;

pub use branch::{Branch, Fork};
pub use follower::{FollowLimits, Follower, FollowerSize, Prepared};
#[cfg(feature = "rpc")]
pub use live::{FollowConfig, Followed, Following};
pub use pipeline::Verdicts;
pub use validator::FollowValidator;
