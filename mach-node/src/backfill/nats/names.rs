//! What streams and subjects of a queue are called.

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};

/// Longest name of a queue, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Names of the streams and subjects of one queue.
#[derive(Clone, Debug)]
pub(super) struct Names(String);

impl Names {
    /// `None` if `name` could mean something to the server.
    pub(super) fn new(name: &str) -> Option<Self> {
        let is_permitted = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_name =
            !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(is_permitted);
        is_name.then(|| Self(name.to_owned()))
    }

    pub(super) fn units_stream(&self) -> String {
        format!("MACH_{}_UNITS", self.0)
    }

    pub(super) fn reports_stream(&self) -> String {
        format!("MACH_{}_REPORTS", self.0)
    }

    pub(super) fn notes_stream(&self) -> String {
        format!("MACH_{}_NOTES", self.0)
    }

    pub(super) fn plan(&self) -> String {
        format!("mach.{}.plan", self.0)
    }

    pub(super) fn units(&self) -> String {
        format!("mach.{}.units", self.0)
    }

    pub(super) fn report(&self, index: u64) -> String {
        format!("mach.{}.reports.{index}", self.0)
    }

    /// All notes about a unit.
    pub(super) fn notes(&self, index: u64) -> String {
        format!("mach.{}.notes.{index}.*", self.0)
    }

    pub(super) fn interrupted(&self, index: u64) -> String {
        format!("mach.{}.notes.{index}.interrupted", self.0)
    }

    pub(super) fn failed(&self, index: u64) -> String {
        format!("mach.{}.notes.{index}.failed", self.0)
    }

    /// The streams, as they are made. Nothing that was put into them goes by itself.
    pub(super) fn streams(&self) -> [Config; 3] {
        let stream = |name, subjects| Config {
            name,
            subjects,
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            discard: DiscardPolicy::New,
            num_replicas: 1,
            allow_direct: true,
            ..Config::default()
        };
        [
            stream(self.units_stream(), vec![self.plan(), self.units()]),
            stream(
                self.reports_stream(),
                vec![format!("mach.{}.reports.*", self.0)],
            ),
            stream(
                self.notes_stream(),
                vec![format!("mach.{}.notes.*.*", self.0)],
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_a_pattern() {
        assert!(Names::new("op-mainnet_2024").is_some());
        for wrong in ["", "a.b", "*", ">", "a b", "ü", &"a".repeat(65)] {
            assert!(Names::new(wrong).is_none(), "{wrong}");
        }
    }
}
