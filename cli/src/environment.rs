//! Flags beat the environment, also where one excludes the other.

use std::ffi::OsString;

use clap::{Arg, ArgMatches, Command, builder::Resettable, parser::ValueSource};

/// `command` without the environment of what the flags on `line` exclude: `MACH_RPC`, which is set
/// for other commands, does not stand in the way of `verify FILE`.
pub(crate) fn beaten_by_flags(
    command: Command,
    line: impl IntoIterator<Item = OsString>,
) -> Command {
    // What is wrong with the line is for whoever parses it next.
    let matches = (command.clone().ignore_errors(true)).try_get_matches_from(line);
    match matches {
        Ok(matches) => without_excluded(command, &matches),
        Err(_) => command,
    }
}

fn without_excluded(mut command: Command, matches: &ArgMatches) -> Command {
    if let Some((name, matches)) = matches.subcommand() {
        let name = name.to_owned();
        return command.mut_subcommand(name, |command| without_excluded(command, matches));
    }
    let is_flag =
        |arg: &Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    let excludes = |one: &Arg, other: &Arg| {
        let conflicts = command.get_arg_conflicts_with(one);
        conflicts.iter().any(|it| it.get_id() == other.get_id())
    };
    // Of these, one may be given.
    let groups = (command.get_groups()).filter(|group| !(*group).clone().is_multiple());
    let groups: Vec<Vec<_>> = groups.map(|group| group.get_args().collect()).collect();
    let is_instead = |one: &Arg, other: &Arg| {
        let mut groups = groups.iter();
        groups.any(|group| group.contains(&one.get_id()) && group.contains(&other.get_id()))
    };
    let (flags, others): (Vec<_>, Vec<_>) = command.get_arguments().partition(|arg| is_flag(arg));
    let excluded = others.into_iter().filter(|other| {
        (flags.iter())
            .any(|flag| excludes(flag, other) || excludes(other, flag) || is_instead(flag, other))
    });
    let excluded: Vec<_> = excluded.map(|arg| arg.get_id().clone()).collect();
    for id in excluded {
        command = command.mut_arg(id, |arg| arg.env(Resettable::Reset));
    }
    command
}
