//! Tests private servers with the server program installed on this machine. If none is installed, every test fails with
//! a message that names the install command.

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers fail the test by panicking")]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::iter;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use private_server::claim::Claim;
use private_server::supervisor::{self, Supervised};
use private_server::{Durability, Engine, Error, Launch, Log, PrivateServer, Program, install_command};

fn program() -> Program {
    Program::find().unwrap_or_else(|| panic!("no MySQL or MariaDB server found: {}", install_command()))
}

fn start(directory: &Path) -> PrivateServer {
    let program = program();
    let launch = Launch::new(&program, directory, Durability::Relaxed);
    Launch { database: Some("shop"), ..launch }.start().unwrap()
}

/// Logs in as root without a password and selects a database. Returns the server's last packet, excluding its header.
fn log_in(port: u16, database: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    read_packet(&mut stream);
    // CONNECT_WITH_DB, PROTOCOL_41, SECURE_CONNECTION and PLUGIN_AUTH; maximum packet size; utf8mb4; 23 zero bytes.
    let mut body = Vec::from(0x0008_8208_u32.to_le_bytes());
    body.extend([0, 0, 0, 1, 45]);
    body.extend([0; 23]);
    body.extend(b"root\0\0");
    body.extend(database.as_bytes());
    body.extend(b"\0mysql_native_password\0");
    write_packet(&mut stream, 1, &body);
    let response = read_packet(&mut stream);
    // 0xfe requests another authentication method. For an empty password, the response is always empty.
    if response[0] != 0xfe {
        return response;
    }
    write_packet(&mut stream, 3, &[]);
    read_packet(&mut stream)
}

fn write_packet(stream: &mut TcpStream, number: u8, body: &[u8]) {
    let mut packet = vec![u8::try_from(body.len()).unwrap(), 0, 0, number];
    packet.extend(body);
    stream.write_all(&packet).unwrap();
}

fn read_packet(stream: &mut TcpStream) -> Vec<u8> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).unwrap();
    let mut body = vec![0; usize::from(header[0]) + usize::from(header[1]) * 256];
    stream.read_exact(&mut body).unwrap();
    body
}

#[test]
fn server_has_its_database_and_rejects_unknown_databases() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(&directory.path().join("with spaces, and 'quotes'"));
    assert_eq!(log_in(server.port(), "shop")[0], 0, "OK packet");
    let refused = log_in(server.port(), "elsewhere");
    assert!(String::from_utf8_lossy(&refused).contains("Unknown database"));
    let expected = format!("mysql://root@127.0.0.1:{}/shop", server.port());
    assert_eq!(server.url("shop"), expected);
}

#[test]
fn binary_log_is_written_only_on_request_and_only_by_mysql() {
    let directory = tempfile::tempdir().unwrap();
    let program = program();
    for (name, is_wanted) in [("without", false), ("with", true)] {
        let directory = directory.path().join(name);
        let launch = Launch::new(&program, &directory, Durability::Relaxed);
        let _server = Launch { binary_log: is_wanted, ..launch }.start().unwrap();
        let is_written = directory.join("mysql/binlog.index").exists();
        assert_eq!(is_written, is_wanted && program.engine() == Engine::MySql);
    }
}

#[test]
fn long_directory_path_works() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(&directory.path().join("d".repeat(150)));
    assert_eq!(log_in(server.port(), "")[0], 0, "OK packet");
}

#[test]
fn dropped_server_stops_and_keeps_its_data() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    let (pid, port) = (server.pid(), server.port());
    drop(server);
    assert!(!runs(pid));
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());

    let again = PrivateServer::start(&program(), directory.path(), Durability::Durable).unwrap();
    assert_eq!(log_in(again.port(), "shop")[0], 0, "OK packet");
}

#[test]
fn server_exit_is_reported_after_its_last_log_line() {
    let directory = tempfile::tempdir().unwrap();
    let (lines, log) = channel();
    let end = lines.clone();
    let program = program();
    let log_lines = Log::new(move |line| lines.send(line.to_owned()).unwrap());
    let on_end = Arc::new(move || end.send("the end".to_owned()).unwrap());
    let launch = Launch::new(&program, directory.path(), Durability::Relaxed);
    let server = Launch { log: log_lines, on_end, ..launch }.start().unwrap();
    send(Signal::SIGTERM, server.pid());
    let seen: Vec<String> =
        iter::from_fn(|| log.recv_timeout(Duration::from_secs(60)).ok()).take_while(|line| line != "the end").collect();
    // MySQL logs one additional line.
    let mut last = seen.iter().rev().take(2);
    assert!(last.any(|line| line.to_lowercase().contains("shutdown complete")), "{seen:?}");
}

#[test]
fn erased_data_is_gone_and_new_server_starts() {
    let directory = tempfile::tempdir().unwrap();
    drop(start(directory.path()));
    PrivateServer::erase(directory.path()).unwrap();
    let server = PrivateServer::start(&program(), directory.path(), Durability::Relaxed).unwrap();
    let refused = log_in(server.port(), "shop");
    assert!(String::from_utf8_lossy(&refused).contains("Unknown database"));
}

#[test]
fn directory_in_use_is_rejected() {
    let directory = tempfile::tempdir().unwrap();
    let _first = start(directory.path());
    assert!(matches!(PrivateServer::erase(directory.path()), Err(Error::InUse(_))));
    let second = PrivateServer::start(&program(), directory.path(), Durability::Relaxed);
    assert!(matches!(second, Err(Error::InUse(_))));
}

#[test]
fn starting_server_keeps_temporary_tables_of_other_servers() {
    let directory = tempfile::tempdir().unwrap();
    let others = tempfile::Builder::new().prefix("#sql-temptable-").suffix(".MAI").tempfile().unwrap();
    let _server = start(directory.path());
    assert!(others.path().exists());
}

#[test]
fn incomplete_data_directory_is_initialized_again() {
    let directory = tempfile::tempdir().unwrap();
    let half = directory.path().join("incomplete/mysql");
    fs::create_dir_all(&half).unwrap();
    fs::write(half.join("user.frm"), "half").unwrap();
    let server = start(directory.path());
    assert_eq!(log_in(server.port(), "shop")[0], 0, "OK packet");
}

#[test]
fn failed_start_returns_the_server_log() {
    let directory = tempfile::tempdir().unwrap();
    drop(start(directory.path()));
    let data = ["mariadb", "mysql"].map(|name| directory.path().join(name));
    let data = data.iter().find(|path| path.exists()).unwrap();
    fs::write(data.join("ibdata1"), "not a tablespace").unwrap();
    let Err(Error::NotReady(_, log)) = PrivateServer::start(&program(), directory.path(), Durability::Relaxed) else {
        panic!("a server started on broken data");
    };
    assert!(log.contains("ibdata1"), "{log}");
}

/// Environment variable that makes a test process act as the owner that is killed.
const PLAY_OWNER: &str = "DB_SERVER_TEST_OWNED_DIRECTORY";

/// Starts a server in another process. Returns that process and the server's process ID.
fn owner_process(test: &str, directory: &Path) -> (std::process::Child, u32) {
    let mut owner = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(PLAY_OWNER, directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = BufReader::new(owner.stdout.take().unwrap())
        .lines()
        .find_map(|line| line.unwrap().strip_prefix("server ")?.parse().ok())
        .expect("the owner prints its server's process id");
    (owner, pid)
}

fn play_owner(directory: &Path) -> ! {
    let server = start(directory);
    println!("\nserver {}", server.pid());
    // Wait until this process is killed.
    loop {
        thread::park();
    }
}

#[test]
fn server_stops_when_its_owner_is_killed() {
    if let Some(directory) = env::var_os(PLAY_OWNER) {
        play_owner(directory.as_ref());
    }
    let directory = tempfile::tempdir().unwrap();
    let (mut owner, pid) = owner_process("server_stops_when_its_owner_is_killed", directory.path());
    owner.kill().unwrap();
    assert_eq!(owner.wait().unwrap().signal(), Some(9));

    let claim = Claim::acquire(directory.path()).unwrap().expect("the owner is dead");
    assert!(claim.wait_for_children(supervisor::GRACE_PERIOD).unwrap());
    assert!(!runs(pid));
    drop(claim);

    // The server was stopped gracefully, so the next start has nothing to recover.
    let (lines, log) = channel();
    let program = program();
    let log_lines = Log::new(move |line| lines.send(line.to_owned()).unwrap());
    let launch = Launch::new(&program, directory.path(), Durability::Relaxed);
    drop(Launch { log: log_lines, ..launch }.start().unwrap());
    let log = Vec::from_iter(log).join("\n");
    assert!(log.contains("ready for connections"), "{log}");
    assert!(!log.contains("crash recovery from") && !log.contains("not shutdown normally"), "{log}");
}

#[test]
fn next_owner_stops_a_server_whose_owner_and_supervisor_were_killed() {
    if let Some(directory) = env::var_os(PLAY_OWNER) {
        play_owner(directory.as_ref());
    }
    let test = "next_owner_stops_a_server_whose_owner_and_supervisor_were_killed";
    let directory = tempfile::tempdir().unwrap();
    let (mut owner, pid) = owner_process(test, directory.path());
    // The whole group except the server: the supervisor and the watcher, which is the supervisor's other child process.
    for helper in group_of(pid).into_iter().filter(|member| *member != pid) {
        send(Signal::SIGKILL, helper);
    }
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(runs(pid), "the server runs without owner and supervisor");

    let next = start(directory.path());
    assert_ne!(next.pid(), pid);
    assert!(!runs(pid));
}

/// Returns whether a process is running. A zombie process has no command line.
fn runs(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|arguments| !arguments.is_empty())
}

/// Returns every process in the group of `pid`.
fn group_of(pid: u32) -> Vec<u32> {
    group_with_id(group_id(pid).unwrap())
}

fn group_id(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Fields after the name in parentheses: state, parent, process group.
    stat.rsplit_once(')')?.1.split_whitespace().nth(2)?.parse().ok()
}

/// Returns every process in a group, excluding zombies.
fn group_with_id(group: u32) -> Vec<u32> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .filter(|pid| group_id(*pid) == Some(group) && runs(*pid))
        .collect()
}

#[test]
fn child_that_ignores_sigterm_is_killed_after_the_max_wait() {
    let directory = tempfile::tempdir().unwrap();
    let claim = Claim::acquire(directory.path()).unwrap().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' TERM; echo deaf; while :; do read -r _ </dev/zero; done"]);
    let ended = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&ended);
    let (mut child, mut output) = Supervised::spawn(&command, claim.lease().unwrap(), move |status| {
        *seen.lock().unwrap() = Some(status);
    })
    .unwrap();
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "deaf\n");

    let status = child.stop(Duration::from_millis(100)).unwrap();
    assert_eq!(status.code(), Some(128 + 9));
    assert_eq!(*ended.lock().unwrap(), Some(status));
    assert!(claim.wait_for_children(Duration::from_secs(5)).unwrap());
}

#[test]
fn child_keeps_its_environment_and_exit_status() {
    let directory = tempfile::tempdir().unwrap();
    let claim = Claim::acquire(directory.path()).unwrap().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", r#"echo "$TEST_VALUE"; echo "$1" >&2; exit 7"#, "sh", "a 'b' $c"]).env("TEST_VALUE", "x  y");
    let (child, mut output) = Supervised::spawn(&command, claim.lease().unwrap(), |_| ()).unwrap();
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert_eq!(text, "x  y\na 'b' $c\n");
    let status = child.wait(Duration::from_secs(5)).unwrap();
    assert_eq!(status.code(), Some(7));
}

/// Starts a shell that starts another program. Returns the shell and the process ID of the other program.
fn attached_family(directory: &Path) -> (Supervised, u32) {
    let file = directory.join("pid");
    let mut command = Command::new("sh");
    command.args(["-c", r#"tail -f /dev/null & echo $! >"$1.new"; mv "$1.new" "$1"; wait"#, "sh"]).arg(&file);
    let child = Supervised::attach(&command, |_| ()).unwrap();
    assert!(eventually(|| file.exists()));
    (child, fs::read_to_string(file).unwrap().trim().parse().unwrap())
}

fn eventually(condition: impl Fn() -> bool) -> bool {
    (0..1000).any(|_| {
        condition() || {
            thread::sleep(Duration::from_millis(20));
            false
        }
    })
}

fn send(signal: Signal, pid: u32) {
    kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}

#[test]
fn attached_command_stops_with_all_its_descendants() {
    let directory = tempfile::tempdir().unwrap();
    let (mut child, grandchild) = attached_family(directory.path());
    child.terminate();
    assert!(eventually(|| !runs(grandchild)));
}

#[test]
fn attached_command_stops_with_its_owner() {
    let directory = tempfile::tempdir().unwrap();
    let (child, grandchild) = attached_family(directory.path());
    drop(child);
    assert!(eventually(|| !runs(grandchild)));
}

#[test]
fn attached_command_returns_its_exit_status_and_leaves_no_process() {
    let mut command = Command::new("sh");
    command.args(["-c", "exit 7"]);
    let child = Supervised::attach(&command, |_| ()).unwrap();
    let status = child.wait(Duration::from_secs(5)).unwrap();
    assert_eq!(status.code(), Some(7));
    assert_eq!(group_with_id(child.group), [0; 0]);
}
