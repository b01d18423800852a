//! The flags of `mach-cli breaker`, from the file.

use std::{ffi::OsString, path::Path};

use clap::{
    ArgMatches, Command,
    error::{ContextKind, ErrorKind},
    parser::ValueSource,
};
use eyre::bail;

use super::schema::Breaker;

/// `command` with what the file of `mach-cli breaker --config` says as the defaults of its flags.
///
/// Errors: the file cannot be read or is wrong, or leaves out what no flag says either.
pub(crate) fn breaker_from_file(
    command: Command,
    line: impl IntoIterator<Item = OsString>,
) -> eyre::Result<Command> {
    let line: Vec<_> = line.into_iter().collect();
    // What is wrong with the line is for whoever parses it next.
    let matches = (command.clone().ignore_errors(true)).try_get_matches_from(&line);
    let Ok(matches) = matches else {
        return Ok(command);
    };
    let Some(("breaker", matches)) = matches.subcommand() else {
        return Ok(command);
    };
    let Some(file) = matches.get_one::<std::path::PathBuf>("config") else {
        return Ok(command);
    };
    let values = values(file, matches)?;
    let command = command.mut_subcommand("breaker", |command| {
        let has_feed = values
            .iter()
            .any(|(id, _)| matches!(*id, "events" | "l1_rpc"));
        let command = if has_feed {
            command.mut_group("feed", |group| group.required(false))
        } else {
            command
        };
        values.into_iter().fold(command, |command, (id, values)| {
            // Clap keeps them for as long as the process lives, which is what they are made for.
            let values = values.into_iter().map(|it| &*it.leak());
            let values: Vec<&'static str> = values.collect();
            command.mut_arg(id, |arg| {
                arg.required(false)
                    .default_values(values)
                    .hide_default_value(true)
            })
        })
    });
    match command.clone().try_get_matches_from(&line) {
        Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {
            let missing = error.get(ContextKind::InvalidArg);
            let missing = missing.map_or_else(String::new, ToString::to_string);
            bail!(
                "{}: neither its section [breaker] nor a flag says {missing}",
                file.display()
            )
        }
        _ => Ok(command),
    }
}

/// Ids of flags and their values.
fn values(file: &Path, matches: &ArgMatches) -> eyre::Result<Vec<(&'static str, Vec<String>)>> {
    let config = super::load(file)?;
    let Breaker {
        upstream,
        upstream_ws,
        rollup,
        listen,
        policy,
        methods,
        when_lost,
        lost_after,
        events,
        service_manager,
        poll_interval,
        max_l1_age,
        settle_alerts,
    } = config.breaker;
    let url = |endpoint: Option<super::Endpoint>| endpoint.map(|it| it.0.to_string());
    let is_given = |id: &str| {
        let source = matches.value_source(id);
        matches!(
            source,
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        )
    };
    let (events, l1_rpc) = match (url(events), url(config.l1.rpc)) {
        // One feed: the one of the flags, if they name one.
        _ if is_given("events") || is_given("l1_rpc") => (None, None),
        (Some(events), _) => (Some(events), None),
        (None, l1) => (None, l1.filter(|_| service_manager.is_some())),
    };
    let state = rollup.map(|rollup| {
        let name = format!("breaker-{rollup}.json");
        config.store.folder.join(name).display().to_string()
    });
    let single = [
        ("upstream", url(upstream)),
        ("upstream_ws", url(upstream_ws)),
        ("rollup", rollup.map(|it| it.to_string())),
        ("listen", listen.map(|it| it.to_string())),
        ("policy", policy),
        ("when_lost", when_lost),
        ("lost_after", lost_after.map(|it| it.to_string())),
        (
            "service_manager",
            service_manager
                .filter(|_| l1_rpc.is_some())
                .map(|it| it.to_string()),
        ),
        ("events", events),
        ("l1_rpc", l1_rpc),
        ("poll_interval", poll_interval.map(|it| it.to_string())),
        ("max_l1_age", max_l1_age.map(|it| it.to_string())),
        ("settle_alerts", settle_alerts.map(|it| it.to_string())),
        ("state", state),
        ("metrics", config.metrics.breaker.map(|it| it.to_string())),
    ];
    let single = single
        .into_iter()
        .filter_map(|(id, value)| Some((id, vec![value?])));
    let methods = Some(methods).filter(|it| !it.is_empty());
    Ok(single.chain(methods.map(|it| ("methods", it))).collect())
}
