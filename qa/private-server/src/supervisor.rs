//! A child process that ends with its owner, however the owner ends.
//!
//! The child runs under a small `sh` script in a process group of its own. The script's input is a pipe that only the
//! owner holds: when the owner is gone, even by SIGKILL, the pipe closes and the script ends the child. This needs no
//! polling, no unsafe code and nothing that only Linux has.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Arguments: seconds of patience once the owner has gone, then the command.
///
/// The child prints its process id and becomes the command, which gets the lease as descriptor 4. The watcher sends TERM
/// at the first line or at the end of its input, and KILL at the second line, or after the patience when nobody is
/// left to send one. The group is swept at the end, so that neither the watcher nor its `sleep` stays.
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

/// Arguments as above, for a child that has the owner's terminal: here the whole group is ended, as the command may have
/// started others. The watcher ignores its own signal; the script does from when the two are there.
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

/// How long a child may take to end after its owner has gone.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a supervised child prints, standard output and standard error together.
pub type Output = BufReader<ChildStdout>;

/// A running command that writes where its owner writes. Dropping it asks the command to end, and returns without
/// waiting.
///
/// It has no lease: whoever comes next cannot wait for its end.
#[derive(Debug)]
pub struct Attached {
    group: u32,
    orders: ChildStdin,
}

impl Attached {
    /// Starts `command` with nothing to read and with `stdout`; the pipe is returned if that is a pipe. `on_exit` is
    /// called once, from a thread, when the command has ended.
    ///
    /// # Errors
    /// When the shell cannot be started. A command that does not exist ends with status 127.
    pub fn spawn(
        command: &Command,
        stdout: Stdio,
        on_exit: impl FnOnce(ExitStatus) + Send + 'static,
    ) -> io::Result<(Self, Option<ChildStdout>)> {
        let mut shell = under(ATTACHED_SCRIPT, command);
        let mut supervisor = shell.process_group(0).stdin(Stdio::piped()).stdout(stdout).spawn()?;
        let group = supervisor.id();
        let orders = supervisor.stdin.take().ok_or_else(|| io::Error::other("the supervisor has no pipe"))?;
        let output = supervisor.stdout.take();
        // Whoever listens is called.
        drop(wait_in_thread(supervisor, on_exit));
        Ok((Self { group, orders }, output))
    }

    /// The process group of the command and all that it started.
    #[must_use]
    pub fn group(&self) -> u32 {
        self.group
    }

    /// Asks the whole group to end (SIGTERM) and returns at once. A second call kills it (SIGKILL).
    pub fn signal_end(&mut self) {
        // The pipe is closed when the command has ended already.
        let _ = self.orders.write_all(b"end\n");
    }
}

/// A running child. Dropping it asks the child to end, and returns without waiting.
#[derive(Debug)]
pub struct Supervised {
    pid: u32,
    group: u32,
    orders: ChildStdin,
    exit: Receiver<ExitStatus>,
}

impl Supervised {
    /// Starts `command` and returns it with its output. Arguments, environment and working directory are kept, its
    /// standard streams are replaced.
    ///
    /// `lease` (a file, or nothing) stays open as long as anything of the child lives: see [`crate::claim`]. `on_exit` is
    /// called once, from a thread, when the child has ended.
    ///
    /// # Errors
    /// When the shell cannot be started. A command that does not exist is not an error here: it is a child that says
    /// so and ends with status 127.
    pub fn spawn(
        command: &Command,
        lease: impl Into<Stdio>,
        on_exit: impl FnOnce(ExitStatus) + Send + 'static,
    ) -> io::Result<(Self, Output)> {
        let mut shell = under(SCRIPT, command);
        let mut supervisor =
            shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(lease).spawn()?;
        // The lease must not stay open here as well.
        drop(shell);
        let group = supervisor.id();
        let (Some(orders), Some(stdout)) = (supervisor.stdin.take(), supervisor.stdout.take()) else {
            return Err(io::Error::other("the supervisor has no pipes"));
        };
        let exit = wait_in_thread(supervisor, on_exit);
        let mut output = BufReader::new(stdout);
        let pid = read_pid(&mut output)?;
        let child = Self { pid, group, orders, exit };
        Ok((child, output))
    }

    /// The process id of the command itself.
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
        // The pipe is closed when the child has ended already.
        let _ = self.orders.write_all(b"end\n");
    }

    /// Waits until the child has ended; `None` when it has not ended after `patience`.
    pub fn wait(&self, patience: Duration) -> Option<ExitStatus> {
        self.exit.recv_timeout(patience).ok()
    }

    /// Ends the child: SIGTERM, at most `patience`, then SIGKILL. Returns after its end.
    pub fn stop(mut self, patience: Duration) -> Option<ExitStatus> {
        self.signal_end();
        self.wait(patience).or_else(|| {
            self.signal_end();
            self.exit.recv().ok()
        })
    }
}

fn wait_in_thread(mut supervisor: Child, on_exit: impl FnOnce(ExitStatus) + Send + 'static) -> Receiver<ExitStatus> {
    let (sender, exit) = channel();
    thread::spawn(move || {
        if let Ok(status) = supervisor.wait() {
            on_exit(status);
            // Nobody listens when the owner dropped the child.
            let _ = sender.send(status);
        }
    });
    exit
}

fn under(script: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", script, "sh"])
        .arg(PATIENCE.as_secs().to_string())
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        shell.current_dir(directory);
    }
    shell
}

fn read_pid(output: &mut Output) -> io::Result<u32> {
    let mut line = String::new();
    // A pid is short; whatever is longer is a message.
    output.by_ref().take(256).read_line(&mut line)?;
    line.trim().parse().map_err(|_| io::Error::other(format!("cannot start a child: {}", line.trim())))
}

/// Sends `signal` (as `TERM`) to a process that is not a child of this one; to a whole group when `target` is negative.
///
/// # Errors
/// When there is no such process, or it belongs to another user.
pub fn send_signal(signal: &str, target: i64) -> io::Result<()> {
    // `kill` is always built into the shell; the program of this name is missing on small systems.
    let status = Command::new("sh")
        .args(["-c", r#"kill -s "$1" -- "$2""#, "sh", signal])
        .arg(OsStr::new(&target.to_string()))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("cannot send {signal} to {target}"))) }
}
