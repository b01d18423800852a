//! The layers of the configuration, and which of them each value comes from.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use eyre::{WrapErr, bail};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, Visitor},
    forward_to_deserialize_any,
};
use toml::{Table, Value};

use super::{
    MAX_FILE_BYTES, beside,
    schema::{
        Aggregator, Api, Breaker, Certificate, Config, L1, Log, Metrics, Operator, Rollup, Store,
        Top, Verifier, Zk,
    },
};

/// The configuration, and where it comes from.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    origins: BTreeMap<String, Origin>,
}

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nowhere.
    Default,
    /// In the file.
    File {
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// In this variable.
    Environment(String),
    /// With `--set`.
    Flag,
}

impl Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag => f.write_str("--set"),
        }
    }
}

impl Loaded {
    /// Reads the file and lays environment and flags over it.
    pub(super) fn read(
        path: &Path,
        flags: &[String],
        environment: impl Fn(&str) -> Option<String>,
    ) -> eyre::Result<Self> {
        let text = read(path).wrap_err_with(|| {
            format!(
                "configuration file {}: mach-cli init writes one",
                path.display()
            )
        })?;
        Self::merge(&text, path, flags, environment)
    }

    pub(super) fn merge(
        text: &str,
        path: &Path,
        flags: &[String],
        environment: impl Fn(&str) -> Option<String>,
    ) -> eyre::Result<Self> {
        // By itself, so that what is wrong with it has a line.
        let in_file = || path.display().to_string();
        let of_file: Config = toml::from_str(text).wrap_err_with(in_file)?;
        let mut table: Table = toml::from_str(text).wrap_err_with(in_file)?;
        let mut origins = lines(text, path)?;
        for (index, rollup) in of_file.rollups.iter().enumerate() {
            let id = rollup.chain_id;
            let before = of_file.rollups.iter().take(index);
            if before.into_iter().any(|earlier| earlier.chain_id == id) {
                bail!("{}: rollup {id} is named twice", path.display());
            }
        }

        for (section, fields) in sections() {
            for field in fields {
                let name = format!("MACH_{section}_{field}").to_uppercase();
                if let Some(value) = environment(&name) {
                    let key = [section, field];
                    put(&mut table, &key, &value).wrap_err_with(|| name.clone())?;
                    origins.insert(key.join("."), Origin::Environment(name));
                }
            }
        }
        for rollup in &of_file.rollups {
            let id = rollup.chain_id.to_string();
            for field in fields_of::<Rollup>() {
                let name = format!("MACH_ROLLUP_{id}_{field}").to_uppercase();
                if let Some(value) = environment(&name) {
                    let key = ["rollup", &id, field];
                    put(&mut table, &key, &value).wrap_err_with(|| name.clone())?;
                    origins.insert(key.join("."), Origin::Environment(name));
                }
            }
        }
        for flag in flags {
            let (key, value) = (flag.split_once('='))
                .ok_or_else(|| eyre::eyre!("--set {flag}: it has to be KEY=VALUE"))?;
            let parts: Vec<_> = key.split('.').collect();
            // The value may be a secret.
            put(&mut table, &parts, value).wrap_err_with(|| format!("--set {key}"))?;
            origins.insert(key.to_owned(), Origin::Flag);
        }
        let config = Config::deserialize(Value::Table(table)).wrap_err_with(in_file)?;
        let mut this = Self { config, origins };
        this.look_beside(path);
        Ok(this)
    }

    /// Where the value of `key` was set; `rollup.10.start` is a key.
    pub(crate) fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// Paths of the file, and the defaults, start where the file is.
    fn look_beside(&mut self, file: &Path) {
        let origins = &self.origins;
        self.config.for_each_path(|key, path| {
            if matches!(origins.get(key), None | Some(Origin::File { .. })) {
                *path = beside(file, path);
            }
        });
    }
}

/// A file of bounded length.
pub(crate) fn read(path: &Path) -> eyre::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)?;
    eyre::ensure!(
        text.len() as u64 <= MAX_FILE_BYTES,
        "longer than {MAX_FILE_BYTES} bytes"
    );
    Ok(text)
}

/// Every section that is one table, with its keys.
fn sections() -> [(&'static str, &'static [&'static str]); 12] {
    [
        ("l1", fields_of::<L1>()),
        ("store", fields_of::<Store>()),
        ("operator", fields_of::<Operator>()),
        ("aggregator", fields_of::<Aggregator>()),
        ("verifier", fields_of::<Verifier>()),
        ("zk", fields_of::<Zk>()),
        ("api", fields_of::<Api>()),
        ("breaker", fields_of::<Breaker>()),
        ("top", fields_of::<Top>()),
        ("certificate", fields_of::<Certificate>()),
        ("metrics", fields_of::<Metrics>()),
        ("log", fields_of::<Log>()),
    ]
}

/// Every key, that of a rollup as `rollup.NAME`.
#[cfg(test)]
pub(crate) fn keys_of_schema() -> Vec<String> {
    let rollup = ("rollup", fields_of::<Rollup>());
    let all = sections().into_iter().chain([rollup]);
    all.flat_map(|(section, fields)| fields.iter().map(move |it| format!("{section}.{it}")))
        .collect()
}

/// Sets one value, which has to be one of its key.
fn put(table: &mut Table, key: &[&str], text: &str) -> eyre::Result<()> {
    // As it would be written in the file, or else the text itself.
    let parsed = toml::from_str::<Table>(&format!("value = {text}"));
    let parsed = parsed.ok().and_then(|mut table| table.remove("value"));
    let candidates = parsed.into_iter().chain([Value::String(text.to_owned())]);
    let mut last = None;
    for value in candidates {
        let mut alone = Table::new();
        insert(&mut alone, key, value.clone())?;
        match Config::deserialize(Value::Table(alone)) {
            Ok(_) => return insert(table, key, value),
            Err(error) => last = Some(error),
        }
    }
    let message = last.map_or_else(String::new, |error| error.message().to_owned());
    bail!("{message}")
}

fn insert(table: &mut Table, key: &[&str], value: Value) -> eyre::Result<()> {
    let (table, field) = match key {
        ["rollup", id, field] => {
            let id: i64 = id.parse().wrap_err("a rollup is named by its chain id")?;
            let rollups = (table.entry("rollup"))
                .or_insert_with(|| Value::Array(Vec::new()))
                .as_array_mut();
            let Some(rollups) = rollups else {
                bail!("rollup is no list");
            };
            let is_it = |it: &Value| it.get("chain_id").and_then(Value::as_integer) == Some(id);
            let position = rollups.iter().position(is_it).unwrap_or_else(|| {
                let chain_id = Value::Integer(id);
                let fresh = Table::from_iter([("chain_id".to_owned(), chain_id)]);
                rollups.push(Value::Table(fresh));
                rollups.len() - 1
            });
            let rollup = rollups.get_mut(position).and_then(Value::as_table_mut);
            (rollup, field)
        }
        [section, field] => {
            let entry = table.entry(*section);
            let section = entry.or_insert_with(|| Value::Table(Table::new()));
            (section.as_table_mut(), field)
        }
        _ => bail!("a key is SECTION.NAME or rollup.CHAIN_ID.NAME"),
    };
    if let Some(table) = table {
        table.insert((*field).to_owned(), value);
    }
    Ok(())
}

/// The line of every value in the file.
fn lines(text: &str, path: &Path) -> eyre::Result<BTreeMap<String, Origin>> {
    let document = toml_edit::ImDocument::parse(text)?;
    let mut origins = BTreeMap::new();
    let line = |offset: usize| {
        let before = text.as_bytes().iter().take(offset);
        before.filter(|byte| **byte == b'\n').count() + 1
    };
    let mut note = |prefix: &str, table: &dyn toml_edit::TableLike| {
        for (name, _) in table.iter() {
            let Some((key, _)) = table.get_key_value(name) else {
                continue;
            };
            let origin = Origin::File {
                path: path.to_owned(),
                line: line(key.span().map_or(0, |span| span.start)),
            };
            origins.insert(format!("{prefix}.{name}"), origin);
        }
    };
    for (section, item) in document.as_table() {
        if let Some(table) = item.as_table_like() {
            note(section, table);
        }
        if let Some(list) = item.as_array_of_tables() {
            for table in list {
                let id = table.get("chain_id").and_then(toml_edit::Item::as_integer);
                note(&format!("{section}.{}", id.unwrap_or_default()), table);
            }
        }
    }
    Ok(origins)
}

/// Names of the fields of a struct, as serde knows them: there is no second list to keep.
fn fields_of<T: DeserializeOwned>() -> &'static [&'static str] {
    struct Names<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = de::value::Error;

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _name: &'static str,
            fields: &'static [&'static str],
            _visitor: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = fields;
            Err(de::Error::custom("only the names"))
        }

        fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
            Err(de::Error::custom("no struct"))
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut fields: &'static [&'static str] = &[];
    let _ = T::deserialize(Names(&mut fields));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Start, to_toml};

    const FILE: &str = r#"
[l1]
rpc = "https://l1.example/key-1"
deployment = "deployment.json"

[operator]
aggregators = ["http://a.example", "http://b.example"]

[[rollup]]
chain_id = 10
rpc = "http://op.example"
start = 120

[[rollup]]
chain_id = 8453
rpc = ["http://base.example"]
"#;

    fn merge(text: &str, flags: &[&str], environment: &[(&str, &str)]) -> eyre::Result<Loaded> {
        let flags: Vec<_> = flags.iter().map(|it| (*it).to_owned()).collect();
        Loaded::merge(text, Path::new("conf/mach.toml"), &flags, |name| {
            let found = environment.iter().find(|(known, _)| *known == name)?;
            Some(found.1.to_owned())
        })
    }

    #[test]
    fn flags_beat_the_environment_which_beats_the_file_which_beats_the_defaults() {
        let environment = [
            ("MACH_L1_RPC", "https://l1.example/key-2"),
            ("MACH_AGGREGATOR_MAX_ROUNDS", "7"),
            ("MACH_ROLLUP_10_START", "130"),
            ("MACH_ROLLUP_8453_RPC", "http://x.example,http://y.example"),
            // Of other commands.
            ("MACH_L1_DEPTH", "1"),
            ("MACH_JSON", "true"),
        ];
        let flags = ["rollup.10.start=140", "log.level=debug"];
        let loaded = merge(FILE, &flags, &environment).unwrap();
        let config = &loaded.config;
        let file = |line| Origin::File {
            path: "conf/mach.toml".into(),
            line,
        };
        let environment = |name: &str| Origin::Environment(name.to_owned());
        assert_eq!(
            config.l1.rpc.as_ref().unwrap().0.as_str(),
            "https://l1.example/key-2"
        );
        assert_eq!(loaded.origin("l1.rpc"), environment("MACH_L1_RPC"));
        assert_eq!(
            config.l1.deployment.as_deref(),
            Some("conf/deployment.json")
        );
        assert_eq!(loaded.origin("l1.deployment"), file(4));
        assert_eq!(config.aggregator.max_rounds, 7);
        assert_eq!(config.operator.aggregators.len(), 2);
        assert_eq!(loaded.origin("operator.aggregators"), file(7));
        assert_eq!(config.rollups[0].start, Start::At(140));
        assert_eq!(loaded.origin("rollup.10.start"), Origin::Flag);
        assert_eq!(config.rollups[1].rpc.len(), 2);
        assert_eq!(loaded.origin("rollup.8453.chain_id"), file(15));
        assert_eq!(config.log.level, "debug");
        assert_eq!(config.store.folder, Path::new("conf/data"));
        assert_eq!(loaded.origin("store.folder"), Origin::Default);
        // What a URL may hide is not shown, wherever it comes from.
        let shown = to_toml(&loaded, true).unwrap();
        assert!(!shown.contains("key-"), "{shown}");
        assert!(shown.contains("https://l1.example"), "{shown}");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let cases = [
            (
                "[l1]\nrpc = \"http://a.example\"\nrcp = 1\n",
                vec![],
                vec![],
                "line 3",
            ),
            ("[l2]\n", vec![], vec![], "unknown field `l2`"),
            (
                "[operator]\nbls_password = \"x\"\n",
                vec![],
                vec![],
                "unknown field `bls_password`",
            ),
            (
                "[[rollup]]\nrpc = \"http://a.example\"\n",
                vec![],
                vec![],
                "missing field `chain_id`",
            ),
            (
                "",
                vec![],
                vec![("MACH_AGGREGATOR_LISTEN", "here")],
                "MACH_AGGREGATOR_LISTEN",
            ),
            ("", vec!["l1.rcp=x"], vec![], "--set l1.rcp"),
            (
                "",
                vec!["l1.rpc=not-a-url-but-a-key"],
                vec![],
                "--set l1.rpc",
            ),
            ("", vec!["rollup.op.start=1"], vec![], "chain id"),
            ("", vec!["l1"], vec![], "KEY=VALUE"),
            (
                "[[rollup]]\nchain_id = 1\n[[rollup]]\nchain_id = 1\n",
                vec![],
                vec![],
                "named twice",
            ),
            ("[store]\nfolder = 1\n", vec![], vec![], "line 2"),
        ];
        for (text, flags, environment, expected) in cases {
            let error = merge(text, &flags, &environment).unwrap_err();
            let told = format!("{error:#}");
            assert!(told.contains(expected), "{text}: {told}");
            assert!(!told.contains("but-a-key"), "{told}");
        }
    }

    #[test]
    fn every_section_is_known_to_the_environment() {
        let sections: Vec<_> = sections().into_iter().map(|(name, _)| name).collect();
        for name in fields_of::<Config>() {
            assert!(*name == "rollup" || sections.contains(name), "{name}");
        }
        assert!(fields_of::<Rollup>().contains(&"attest_every"));
    }
}
