//! Handling of `--color` and NO_COLOR in xtask and its child processes.

use std::env;
use std::ffi::OsString;
use std::process::Command;

use anstream::ColorChoice;

/// Applies `--color`. Called before the command line is parsed, so that usage errors also use the chosen colors.
pub(crate) fn apply() {
    choice(env::args_os()).write_global();
}

/// Propagates the color choice to a child process through the conventional environment variables.
pub(crate) fn pass_on(command: &mut Command) {
    match ColorChoice::global() {
        ColorChoice::Auto => {}
        ColorChoice::Never => {
            command.env("NO_COLOR", "1").env_remove("CLICOLOR_FORCE").env("CARGO_TERM_COLOR", "never");
        }
        ColorChoice::Always | ColorChoice::AlwaysAnsi => {
            command.env("CLICOLOR_FORCE", "1").env_remove("NO_COLOR").env("CARGO_TERM_COLOR", "always");
        }
    }
}

/// Whether output to standard error is colored.
pub(crate) fn on_stderr() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != ColorChoice::Never
}

fn choice(arguments: impl Iterator<Item = OsString>) -> ColorChoice {
    let arguments = Vec::from_iter(arguments.map(|argument| argument.to_string_lossy().into_owned())).join("\n");
    match arguments.replace("--color\n", "--color=").lines().find_map(|argument| argument.strip_prefix("--color=")) {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn color_option_is_read_with_space_or_equals_sign() {
        let choice = |line: &str| choice(line.split(' ').map(OsString::from));
        assert_eq!(choice("xtask up --color never"), ColorChoice::Never);
        assert_eq!(choice("xtask --color=always up"), ColorChoice::Always);
        assert_eq!(choice("xtask up"), ColorChoice::Auto);
    }
}
