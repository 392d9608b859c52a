//! Child processes that stop when their owner exits, even if the owner is killed.
//!
//! A child process runs under a small `sh` script in a separate process group. The script reads from a pipe that only
//! the owner holds. The pipe closes when the owner exits, even after SIGKILL, and the script then stops the child.
//! PR_SET_PDEATHSIG requires unsafe code, fires when a thread ends, and sends only one signal.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Script that supervises a child. Arguments: the grace period after the owner's exit in seconds, then the command.
///
/// The child prints its process ID and execs the command, with the lease as descriptor 4. The watcher sends TERM after
/// the first line or at end of input, and KILL after the second line or the grace period. The final TERM to the group
/// stops the watcher and its `sleep`.
const SCRIPT: &str = r#"
grace=$1
shift
exec 3<&0 4>&2 </dev/null 2>/dev/null
sh -c 'echo $$; exec "$@"' sh "$@" 3<&- 2>&1 &
child=$!
(
    read -r _ <&3
    kill -TERM "$child"
    read -r _ <&3 || sleep "$grace"
    kill -KILL "$child"
) >/dev/null &
exec 3<&-
wait "$child"
status=$?
trap '' TERM
kill -TERM 0
exit "$status"
"#;

/// Script that supervises a child with access to the owner's terminal. Signals are sent to the whole group, because the
/// command may start other processes. The watcher and the script ignore the TERM that they send.
const ATTACHED_SCRIPT: &str = r#"
grace=$1
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
    read -r _ <&3 || sleep "$grace"
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

/// Time that a child has to exit after its owner has exited.
pub const GRACE_PERIOD: Duration = Duration::from_secs(20);

/// Standard output and standard error of a supervised child.
pub type Output = BufReader<ChildStdout>;

/// Running child process. Dropping it requests the child's termination and returns without waiting.
#[derive(Debug)]
pub struct Supervised {
    /// Process ID of the command.
    pub pid: u32,
    /// Process group ID of the supervisor and the command.
    pub group: u32,
    /// Input of the script. Each line requests a signal.
    commands: ChildStdin,
    exit: Receiver<ExitStatus>,
}

impl Supervised {
    /// Starts `command` and returns the child with its output. Keeps the command's arguments, environment and working
    /// directory, and replaces its standard streams.
    ///
    /// `lease` stays open while any process of the child's group is running: see [`crate::claim`]. `on_exit` is called
    /// once, on another thread, after the child has exited.
    ///
    /// # Errors
    /// If the shell cannot be started. If the command does not exist, the child exits with 127.
    pub fn spawn(
        command: &Command,
        lease: impl Into<Stdio>,
        on_exit: impl FnOnce(ExitStatus) + Send + 'static,
    ) -> io::Result<(Self, Output)> {
        let mut shell = shell(SCRIPT, command);
        let mut supervisor = shell.stdout(Stdio::piped()).stderr(lease).spawn()?;
        // The command holds a copy of the lease; close this one, because it must not stay open in this process.
        drop(shell);
        let stdout = supervisor.stdout.take().ok_or_else(|| io::Error::other("the supervisor has no output"))?;
        let mut child = Self::from_supervisor(supervisor, on_exit)?;
        let mut output = BufReader::new(stdout);
        child.pid = read_pid(&mut output)?;
        Ok((child, output))
    }

    /// Starts `command` with empty input and with the owner's standard output and standard error. [`Self::pid`] is the
    /// supervisor's process ID, signals are sent to all processes of the command, and there is no lease.
    pub fn attach(command: &Command, on_exit: impl FnOnce(ExitStatus) + Send + 'static) -> io::Result<Self> {
        Self::from_supervisor(shell(ATTACHED_SCRIPT, command).spawn()?, on_exit)
    }

    fn from_supervisor(mut supervisor: Child, on_exit: impl FnOnce(ExitStatus) + Send + 'static) -> io::Result<Self> {
        let group = supervisor.id();
        let commands = supervisor.stdin.take().ok_or_else(|| io::Error::other("the supervisor has no input"))?;
        let (sender, exit) = channel();
        thread::spawn(move || {
            if let Ok(status) = supervisor.wait() {
                on_exit(status);
                // The receiver is closed if the owner has dropped the child.
                let _ = sender.send(status);
            }
        });
        Ok(Self { pid: group, group, commands, exit })
    }

    /// Sends SIGTERM to the child and returns immediately. A second call sends SIGKILL.
    pub fn terminate(&mut self) {
        // Writing fails if the child has exited, because the pipe is then closed.
        let _ = self.commands.write_all(b"end\n");
    }

    /// Waits until the child exits, but at most for this duration.
    pub fn wait(&self, max_wait: Duration) -> Option<ExitStatus> {
        self.exit.recv_timeout(max_wait).ok()
    }

    /// Stops the child: sends SIGTERM, then SIGKILL after `max_wait`. Returns once the child has exited.
    pub fn stop(&mut self, max_wait: Duration) -> Option<ExitStatus> {
        self.terminate();
        self.wait(max_wait).or_else(|| {
            self.terminate();
            self.exit.recv().ok()
        })
    }
}

/// Returns a shell command that supervises `command` with a script.
fn shell(script: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(GRACE_PERIOD.as_secs().to_string());
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
    // A process ID is short, so a longer line is an error message.
    output.by_ref().take(256).read_line(&mut line)?;
    line.trim().parse().map_err(|_| io::Error::other(format!("cannot start a child: {}", line.trim())))
}
