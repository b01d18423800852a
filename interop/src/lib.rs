//! Nothing but tests: `just interop`.
