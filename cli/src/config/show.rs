//! The configuration, shown without secrets.

use serde::Serialize;
use serde_json::json;
use toml::{Table, Value};

use super::layers::Loaded;

/// A section or a rollup.
struct Part<'a> {
    heading: String,
    /// What its keys begin with.
    prefix: String,
    values: &'a Table,
}

fn parts(table: &Table) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(values) => parts.push(Part {
                heading: format!("[{name}]"),
                prefix: name.clone(),
                values,
            }),
            Value::Array(list) => parts.extend(list.iter().filter_map(|value| {
                let values = value.as_table()?;
                let id = values.get("chain_id")?;
                Some(Part {
                    heading: format!("[[{name}]]"),
                    prefix: format!("{name}.{id}"),
                    values,
                })
            })),
            _ => {}
        }
    }
    parts
}

/// A file with the same meaning, but for what URLs hide; with `origins`, each value says where it
/// was set.
pub(crate) fn to_toml(loaded: &Loaded, origins: bool) -> eyre::Result<String> {
    let table = Table::try_from(&loaded.config)?;
    let mut text = String::new();
    for part in parts(&table) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&part.heading);
        text.push('\n');
        for (name, value) in part.values {
            let line = format!("{name} = {value}");
            if origins {
                let origin = loaded.origin(&format!("{}.{name}", part.prefix));
                text.push_str(&format!("{line:<55} # {origin}\n"));
            } else {
                text.push_str(&line);
                text.push('\n');
            }
        }
    }
    Ok(text)
}

/// One object: every value with its key and where it was set.
pub(crate) fn to_json(loaded: &Loaded) -> eyre::Result<serde_json::Value> {
    #[derive(Serialize)]
    struct Row<'a> {
        key: String,
        value: &'a Value,
        origin: String,
    }

    let table = Table::try_from(&loaded.config)?;
    let mut rows = Vec::new();
    for part in parts(&table) {
        for (name, value) in part.values {
            let key = format!("{}.{name}", part.prefix);
            let origin = loaded.origin(&key).to_string();
            rows.push(serde_json::to_value(Row { key, value, origin })?);
        }
    }
    Ok(json!({ "values": rows }))
}
