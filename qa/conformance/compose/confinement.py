"""What the kernel lets a process do, as /proc/PID/status and /proc/PID/mountinfo report it."""

USER = "65532 65532 65532 65532"
CAPABILITIES = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]
EXPECTED = {"Uid": USER, "Gid": USER, "NoNewPrivs": "1"} | dict.fromkeys(CAPABILITIES, "0" * 16)


def excess_rights(status, mounts):
    """What the process may do although it need not: one entry each."""
    found = {name: " ".join(values.split()) for name, _, values in (line.partition(":") for line in status.splitlines())}
    wrong = [name for name, value in EXPECTED.items() if found.get(name) != value]
    excess = [f"{name} is '{found.get(name, '')}', not '{EXPECTED[name]}'" for name in wrong]
    return excess if is_root_read_only(mounts) else [*excess, "its root can be written to"]


def is_root_read_only(mounts):
    """The fifth field of a line is the place of the mount, the sixth its options."""
    fields = [line.split(" ") for line in mounts.splitlines()]
    return any(len(line) > 5 and line[4] == "/" and "ro" in line[5].split(",") for line in fields)
