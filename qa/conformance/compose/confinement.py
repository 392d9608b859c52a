"""Privileges of a process according to /proc/PID/status and /proc/PID/mountinfo."""

USER = "65532 65532 65532 65532"
CAPABILITIES = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]
EXPECTED = {"Uid": USER, "Gid": USER, "NoNewPrivs": "1"} | dict.fromkeys(CAPABILITIES, "0" * 16)


def excess_privileges(status, mounts):
    """Lists the privileges that the process has but does not need."""
    found = {name: " ".join(values.split()) for name, _, values in (line.partition(":") for line in status.splitlines())}
    wrong = [name for name, value in EXPECTED.items() if found.get(name) != value]
    excess = [f"{name} is '{found.get(name, '')}', not '{EXPECTED[name]}'" for name in wrong]
    return excess if is_root_read_only(mounts) else [*excess, "its root file system is writable"]


def is_root_read_only(mounts):
    """Returns whether `/` is mounted read-only. In each line, field 5 is the mount point, and field 6 contains the options."""
    fields = [line.split(" ") for line in mounts.splitlines()]
    return any(len(line) > 5 and line[4] == "/" and "ro" in line[5].split(",") for line in fields)
