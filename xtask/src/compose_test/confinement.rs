//! What the kernel lets the process of a container do, as `/proc/PID/status` and `/proc/PID/mountinfo` say it.

/// Said of a process by the kernel.
pub(crate) struct Process {
    pub(crate) status: String,
    pub(crate) mounts: String,
}

const USER: &str = "65532 65532 65532 65532";
const NO_CAPABILITIES: &str = "0000000000000000";

const EXPECTED: [(&str, &str); 8] = [
    ("Uid", USER),
    ("Gid", USER),
    ("NoNewPrivs", "1"),
    ("CapInh", NO_CAPABILITIES),
    ("CapPrm", NO_CAPABILITIES),
    ("CapEff", NO_CAPABILITIES),
    ("CapBnd", NO_CAPABILITIES),
    ("CapAmb", NO_CAPABILITIES),
];

/// What the process may do although it need not.
pub(crate) fn complaints(process: &Process) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, expected) in EXPECTED {
        let found = status_value(&process.status, name);
        if found != expected {
            complaints.push(format!("{name} is '{found}', not '{expected}'"));
        }
    }
    if !root_is_read_only(&process.mounts) {
        complaints.push("its root can be written to".to_owned());
    }
    complaints
}

/// The values of a line, which begins with a name and a colon, with a blank between them.
fn status_value(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Vec::from_iter(line.unwrap_or_default().split_whitespace()).join(" ")
}

/// The fifth field of a line is where something is mounted, the sixth how.
fn root_is_read_only(mounts: &str) -> bool {
    mounts.lines().any(|line| {
        let fields = Vec::from_iter(line.split(' '));
        fields.get(4) == Some(&"/")
            && fields.get(5).is_some_and(|options| options.split(',').any(|option| option == "ro"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(user: &str, capabilities: &str, root: &str) -> Process {
        let capabilities =
            ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|set| format!("{set}:\t{capabilities}\n"));
        let status =
            format!("Uid:\t{user}\t{user}\t{user}\t{user}\nGid:\t{user}\t{user}\t{user}\t{user}\nNoNewPrivs:\t1\n");
        let mounts = format!("1 2 0:30 / / {root},relatime - overlay overlay rw\n2 1 0:31 / /proc rw - proc proc rw\n");
        Process { status: status + &capabilities.concat(), mounts }
    }

    #[test]
    fn a_confined_process_gives_no_cause() {
        assert!(complaints(&process("65532", NO_CAPABILITIES, "ro")).is_empty());
    }

    #[test]
    fn root_capabilities_and_a_writable_root_are_named() {
        let said = complaints(&process("0", "00000000a80425fb", "rw"));
        assert_eq!(said.len(), 8, "{said:?}");
        assert_eq!(said[0], "Uid is '0 0 0 0', not '65532 65532 65532 65532'");
        assert_eq!(said[7], "its root can be written to");
    }

    #[test]
    fn silence_is_no_confinement() {
        let nothing = Process { status: String::new(), mounts: String::new() };
        assert_eq!(complaints(&nothing).len(), EXPECTED.len() + 1);
    }
}
