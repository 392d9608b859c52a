//! Child processes that end with their owner, however the owner ends.
//!
//! A child runs under a small `sh` script in a process group of its own. The script's input is a pipe that only the owner
//! holds: it closes with the owner, even at SIGKILL, and the script ends the child. PR_SET_PDEATHSIG does not replace it: it
//! needs unsafe code, fires at the end of a thread, and sends one signal only.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Arguments: seconds of patience after the owner's end, then the command.
///
/// The child prints its process id and becomes the command, with the lease as descriptor 4. The watcher sends TERM at the
/// first line or at the end of its input, and KILL at the second line or after the patience. The last TERM to the group
/// ends the watcher and its `sleep`.
const SCRIPT: &str = r#"
patience=$1
shift
exec 3<&0 4>&2 </dev/null 2>/dev/null
sh -c 'echo $$; exec "$@"' sh "$@" 3<&- 2>&1 &
child=$!
(
    read -r _ <&3
    kill -TERM "$child"
    read -r _ <&3 || sleep "$patience"
    kill -KILL "$child"
) >/dev/null &
exec 3<&-
wait "$child"
status=$?
trap '' TERM
kill -TERM 0
exit "$status"
"#;

/// The same for a child with the owner's terminal. Signals go to the whole group, since the command may start others; the
/// watcher and the script ignore their own TERM.
const ATTACHED_SCRIPT: &str = r#"
patience=$1
shift
exec 3<&0 4>&2 </dev/null 2>/dev/null
"$@" 3<&- 2>&4 4>&- &
child=$!
exec 4>&-
(
    exec >/dev/null
    read -r _ <&3
    trap '' TERM
    kill -TERM 0
    read -r _ <&3 || sleep "$patience"
    kill -KILL 0
) &
watcher=$!
trap '' TERM
exec 3<&-
wait "$child"
status=$?
kill -KILL "$watcher"
wait "$watcher"
kill -TERM 0
exit "$status"
"#;

/// How long a child may take to end after its owner's end.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Standard output and standard error of a supervised child.
pub type Output = BufReader<ChildStdout>;

/// A running child. Dropping it asks the child to end and returns without waiting.
#[derive(Debug)]
pub struct Supervised {
    pid: u32,
    group: u32,
    orders: ChildStdin,
    exit: Receiver<ExitStatus>,
}

impl Supervised {
    /// Starts `command` and returns it with its output. Arguments, environment and working directory are kept, the
    /// standard streams are replaced.
    ///
    /// `lease` stays open as long as anything of the child lives: see [`crate::claim`]. `on_exit` is called once, from a
    /// thread, after the end of the child.
    ///
    /// # Errors
    /// When the shell cannot be started. A command that does not exist is a child that exits with 127.
    pub fn spawn(
        command: &Command,
        lease: impl Into<Stdio>,
        on_exit: impl FnOnce(ExitStatus) + Send + 'static,
    ) -> io::Result<(Self, Output)> {
        let mut shell = under(SCRIPT, command);
        let mut supervisor = shell.stdout(Stdio::piped()).stderr(lease).spawn()?;
        // The lease must not stay open here as well.
        drop(shell);
        let stdout = supervisor.stdout.take().ok_or_else(|| io::Error::other("the supervisor has no output"))?;
        let mut child = Self::of(supervisor, on_exit)?;
        let mut output = BufReader::new(stdout);
        child.pid = read_pid(&mut output)?;
        Ok((child, output))
    }

    /// Starts `command` with nothing to read and with the owner's standard output and error. [`Self::pid`] is that of the
    /// supervisor, signals go to all that the command has started, and there is no lease.
    pub fn attach(command: &Command, on_exit: impl FnOnce(ExitStatus) + Send + 'static) -> io::Result<Self> {
        Self::of(under(ATTACHED_SCRIPT, command).spawn()?, on_exit)
    }

    fn of(mut supervisor: Child, on_exit: impl FnOnce(ExitStatus) + Send + 'static) -> io::Result<Self> {
        let group = supervisor.id();
        let orders = supervisor.stdin.take().ok_or_else(|| io::Error::other("the supervisor has no input"))?;
        let (sender, exit) = channel();
        thread::spawn(move || {
            if let Ok(status) = supervisor.wait() {
                on_exit(status);
                // The receiver is gone when the owner dropped the child.
                let _ = sender.send(status);
            }
        });
        Ok(Self { pid: group, group, orders, exit })
    }

    /// The process id of the command.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The process group of the supervisor and the command.
    #[must_use]
    pub fn group(&self) -> u32 {
        self.group
    }

    /// Asks the child to end (SIGTERM) and returns at once. A second call kills it (SIGKILL).
    pub fn signal_end(&mut self) {
        // The pipe is closed after the end of the child.
        let _ = self.orders.write_all(b"end\n");
    }

    /// Waits for the end of the child, at most this long.
    pub fn wait(&self, patience: Duration) -> Option<ExitStatus> {
        self.exit.recv_timeout(patience).ok()
    }

    /// Ends the child: SIGTERM, at most `patience`, then SIGKILL. Returns after its end.
    pub fn stop(&mut self, patience: Duration) -> Option<ExitStatus> {
        self.signal_end();
        self.wait(patience).or_else(|| {
            self.signal_end();
            self.exit.recv().ok()
        })
    }
}

fn under(script: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(PATIENCE.as_secs().to_string());
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        shell.current_dir(directory);
    }
    shell.process_group(0).stdin(Stdio::piped());
    shell
}

fn read_pid(output: &mut Output) -> io::Result<u32> {
    let mut line = String::new();
    // A pid is short; a longer line is a message.
    output.by_ref().take(256).read_line(&mut line)?;
    line.trim().parse().map_err(|_| io::Error::other(format!("cannot start a child: {}", line.trim())))
}
