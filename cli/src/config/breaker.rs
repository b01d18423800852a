//! The flags of `mach-cli breaker`, from the file.

use std::ffi::OsString;

use clap::{
    ArgMatches, Command,
    builder::Resettable,
    error::{ContextKind, ErrorKind},
    parser::ValueSource,
};
use eyre::bail;

use super::schema::{Breaker, Config};

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
    let config = super::load(file)?;
    let from_l1 = comes_from_l1(matches, &config.breaker);
    let values = values(config, from_l1);
    let command = command.mut_subcommand("breaker", |mut command| {
        let has = |id: &str| values.iter().any(|(known, _)| *known == id);
        // What is a default does not count as given.
        if has("events") || has("l1_rpc") {
            command = command.mut_group("feed", |group| group.required(false));
        }
        if has("service_manager") {
            command = command.mut_arg("l1_rpc", |arg| arg.requires(Resettable::Reset));
        }
        if !from_l1 {
            for id in ["l1_rpc", "service_manager"] {
                command = command.mut_arg(id, |arg| arg.env(Resettable::Reset));
            }
        }
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

/// Whether alerts come from L1: a flag says so, or neither `MACH_EVENTS` nor the file names another feed.
/// `MACH_L1_RPC` is for other commands too: it says where L1 is, and not that alerts come from there.
fn comes_from_l1(matches: &ArgMatches, file: &Breaker) -> bool {
    let is_flag = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
    let has_contract = file.service_manager.is_some() || matches.contains_id("service_manager");
    let has_events = file.events.is_some() || matches.contains_id("events");
    has_contract && (!has_events || is_flag("l1_rpc") || is_flag("service_manager"))
}

/// Ids of flags and their values.
fn values(config: Config, from_l1: bool) -> Vec<(&'static str, Vec<String>)> {
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
    let (events, l1_rpc, service_manager) = if from_l1 {
        (None, url(config.l1.rpc), service_manager)
    } else {
        (url(events), None, None)
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
        ("policy", policy.map(|it| it.to_string())),
        ("when_lost", when_lost.map(|it| it.to_string())),
        ("lost_after", lost_after.map(|it| it.to_string())),
        ("service_manager", service_manager.map(|it| it.to_string())),
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
    single.chain(methods.map(|it| ("methods", it))).collect()
}
