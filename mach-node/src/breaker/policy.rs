//! What is done with a call while the breaker has tripped.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::methods::Kind;

/// What a tripped breaker does with calls. Each policy refuses what the one before it refuses.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Reads go on. Writes are refused, and so is every method that is not known here.
    #[default]
    RefuseWrites,
    /// The chain ends at the last attested block: tags and missing block parameters mean it, later
    /// blocks are refused, and subscriptions are paused.
    PinLatest,
    /// Nothing is served.
    RefuseAll,
}

impl Policy {
    /// The name in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RefuseWrites => "refuse-writes",
            Self::PinLatest => "pin-latest",
            Self::RefuseAll => "refuse-all",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is none of those that there are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is none of {known}")]
pub struct UnknownName {
    given: String,
    known: &'static str,
}

impl FromStr for Policy {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let all = [Self::RefuseWrites, Self::PinLatest, Self::RefuseAll];
        all.into_iter()
            .find(|policy| policy.name() == name)
            .ok_or_else(|| UnknownName {
                given: name.chars().take(40).collect(),
                known: "refuse-writes, pin-latest, refuse-all",
            })
    }
}

/// What is done while it is not known whether an alert stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenLost {
    /// Everything is served, as if no alert stood.
    Open,
    /// Writes are refused.
    #[default]
    ClosedForWrites,
    /// The policy is in force, as if an alert stood.
    Closed,
}

impl WhenLost {
    /// The name in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::ClosedForWrites => "closed-for-writes",
            Self::Closed => "closed",
        }
    }

    /// The policy that is in force when `policy` is that of an alert.
    pub(super) const fn policy(self, policy: Policy) -> Option<Policy> {
        match self {
            Self::Open => None,
            Self::ClosedForWrites => Some(Policy::RefuseWrites),
            Self::Closed => Some(policy),
        }
    }
}

impl fmt::Display for WhenLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for WhenLost {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let all = [Self::Open, Self::ClosedForWrites, Self::Closed];
        all.into_iter()
            .find(|choice| choice.name() == name)
            .ok_or_else(|| UnknownName {
                given: name.chars().take(40).collect(),
                known: "open, closed-for-writes, closed",
            })
    }
}

/// What one method has instead of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MethodRule {
    /// Served as it is.
    Serve,
    /// Refused.
    Refuse,
    /// Treated as under [`Policy::PinLatest`].
    Pin,
}

/// Rules of single methods, by name, or by the beginning of the name when it ends with `*`. The name
/// beats the beginning, the longer beginning the shorter one.
pub type MethodRules = BTreeMap<String, MethodRule>;

/// What is to be done with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Serve,
    Refuse,
    Pin(Kind),
}

/// What is done with a call of `method` under `policy`.
pub(super) fn action(policy: Policy, rules: &MethodRules, method: &str) -> Action {
    let pinned = || match Kind::of(method) {
        Kind::Write | Kind::Unpinnable => Action::Refuse,
        Kind::Plain | Kind::Subscribe => Action::Serve,
        kind => Action::Pin(kind),
    };
    match rule(rules, method) {
        Some(MethodRule::Serve) => Action::Serve,
        Some(MethodRule::Refuse) => Action::Refuse,
        Some(MethodRule::Pin) => pinned(),
        None => match policy {
            Policy::RefuseAll => Action::Refuse,
            Policy::PinLatest => pinned(),
            Policy::RefuseWrites if Kind::of(method) == Kind::Write => Action::Refuse,
            Policy::RefuseWrites => Action::Serve,
        },
    }
}

fn rule(rules: &MethodRules, method: &str) -> Option<MethodRule> {
    if let Some(rule) = rules.get(method) {
        return Some(*rule);
    }
    rules
        .iter()
        .filter_map(|(name, rule)| Some((name.strip_suffix('*')?, *rule)))
        .filter(|(beginning, _)| method.starts_with(beginning))
        .max_by_key(|(beginning, _)| beginning.len())
        .map(|(_, rule)| rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_refuses_what_the_one_before_refuses() {
        let none = MethodRules::new();
        let of = |method| {
            [Policy::RefuseWrites, Policy::PinLatest, Policy::RefuseAll]
                .map(|policy| action(policy, &none, method))
        };
        use Action::{Pin, Refuse, Serve};
        assert_eq!(of("eth_chainId"), [Serve, Serve, Refuse]);
        assert_eq!(of("eth_call"), [Serve, Pin(Kind::Block(1)), Refuse]);
        assert_eq!(of("eth_getLogs"), [Serve, Pin(Kind::Range), Refuse]);
        assert_eq!(of("eth_getFilterLogs"), [Serve, Refuse, Refuse]);
        assert_eq!(of("eth_sendRawTransaction"), [Refuse; 3]);
        assert_eq!(of("somebody_elsesMethod"), [Refuse; 3]);
    }

    #[test]
    fn the_rule_of_a_method_beats_the_policy() {
        let rules: MethodRules = serde_json::from_str(
            r#"{"eth_*":"refuse","eth_get*":"pin","eth_chainId":"serve","custom_read":"serve"}"#,
        )
        .unwrap();
        let of = |method| action(Policy::RefuseWrites, &rules, method);
        assert_eq!(of("eth_call"), Action::Refuse);
        assert_eq!(of("eth_getBalance"), Action::Pin(Kind::Block(1)));
        assert_eq!(of("eth_chainId"), Action::Serve);
        assert_eq!(of("custom_read"), Action::Serve);
        assert_eq!(of("net_version"), Action::Serve);
        // What cannot be pinned is refused.
        let rules = MethodRules::from([("custom_read".to_owned(), MethodRule::Pin)]);
        let action = action(Policy::RefuseWrites, &rules, "custom_read");
        assert_eq!(action, Action::Refuse);
    }

    #[test]
    fn names_are_those_of_the_configuration() {
        for policy in [Policy::RefuseWrites, Policy::PinLatest, Policy::RefuseAll] {
            let json = serde_json::to_string(&policy).unwrap();
            assert_eq!(json, format!("\"{policy}\""));
            assert_eq!(policy.name().parse(), Ok(policy));
        }
        for choice in [WhenLost::Open, WhenLost::ClosedForWrites, WhenLost::Closed] {
            let json = serde_json::to_string(&choice).unwrap();
            assert_eq!(json, format!("\"{choice}\""));
            assert_eq!(choice.name().parse(), Ok(choice));
        }
        let error = "sometimes".parse::<Policy>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"sometimes\" is none of refuse-writes, pin-latest, refuse-all"
        );
    }
}
