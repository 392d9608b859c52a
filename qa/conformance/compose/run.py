#!/usr/bin/env python3
"""Runs the system with docker-compose.yml, restarts and kills its containers, and checks them.

Uses a separate Compose project and free ports, so that a running system is not affected. Containers, images and data are
removed at the end, even after a failure or a signal. Requires Node.js and the npm packages in qa/conformance.
Exit codes: 0 no violation, 1 violation found, 3 Docker or this program failed, 130 interrupted.
"""

import fcntl
import hashlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path

from confinement import excess_privileges

ROOT = Path(__file__).resolve().parents[3]
LOCAL = ROOT / ".local" / "compose-test"

SERVICES = ["customers", "orders", "orchestrator"]
BUILT = [*SERVICES, "edge"]
SERVERS = ["mysql", *BUILT]

READY_TIMEOUT = 60

# Runs in the database container and prints one line per table with the table's checksum.
CHECKSUMS = """
set -o pipefail
export MYSQL_PWD="$MYSQL_ROOT_PASSWORD"
sql() { mysql --host=127.0.0.1 --user=root --skip-column-names --batch "$MYSQL_DATABASE"; }
echo "SELECT CONCAT('CHECKSUM TABLE ', GROUP_CONCAT(table_name)) FROM information_schema.tables
      WHERE table_schema = DATABASE()" | sql | sql
"""


class Violation(Exception):
    """The system violates a requirement."""


class Failure(Exception):
    """A check could not be executed."""


def main():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    os.chdir(ROOT)
    LOCAL.mkdir(parents=True, exist_ok=True)
    with (LOCAL / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("error: another compose-test is running: try again later")
            sys.exit(3)
        os.environ |= environment()
        code = 3
        try:
            code = run()
        finally:
            removed = clean_up(code)
    sys.exit(code or (0 if removed else 3))


def environment():
    """Returns the variables for Compose, for the published ports and for the walkthrough."""
    ports = free_ports(len(SERVICES) + 1)
    project = f"backoffice-{hashlib.sha256(os.fsencode(ROOT)).hexdigest()[:16]}-compose-test"
    names = {"COMPOSE_PROJECT_NAME": project, "MYSQL_PORT": str(ports.pop())}
    for service, port in zip(SERVICES, ports, strict=True):
        names |= {f"{service.upper()}_PORT": str(port), f"{service.upper()}_BASE": f"http://127.0.0.1:{port}"}
    return names


def free_ports(count):
    """Returns free ports below Linux's ephemeral range, so that no connection takes a port while its container restarts."""
    listeners = []
    for port in random.sample(range(20_000, 30_000), 1000):
        try:
            listeners.append(socket.create_server(("127.0.0.1", port)))
        except OSError:
            continue
        if len(listeners) == count:
            break
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def run():
    """Runs all checks and returns the exit code. After a failure, prints the containers' last log lines."""
    try:
        check_everything()
        return 0
    except Violation as violation:
        code, problem = 1, str(violation)
    except Failure as failure:
        code, problem = 3, str(failure)
    except Exception:
        code, problem = 3, traceback.format_exc()
    logs = docker("compose", "logs", "--no-color", "--tail", "15", check=False).stdout
    print(logs, f"error: {problem}", sep="\n", flush=True)
    return code


def check_everything():
    config = json.loads(docker("compose", "config", "--format", "json").stdout)
    credentials = config["services"]["customers"]["environment"]
    os.environ |= {name: credentials.get(name) or "admin" for name in ("ADMIN_USER", "ADMIN_PASSWORD")}
    mysql_image = config["services"]["mysql"]["image"]
    remove()  # Remains of a killed run.
    compose("up", "--build", "--wait")
    say("images", ", ".join(f"{service} {image_megabytes(service):.1f} MB" for service in [*BUILT, "migrate"]))
    walk_through()
    check_confinement(mysql_image)
    check_logs()
    data = checksums()
    for service in SERVERS:
        compose("restart", service)
        wait_until(are_ready, f"not all containers are ready after {READY_TIMEOUT} s", service)
        kill(service, mysql_image)
    check_data(data)
    check_stop()
    compose("down")
    # Migrations and seeding run again, and must have no effect.
    compose("up", "--wait")
    check_data(data)
    walk_through()
    check_invariants()


def clean_up(code):
    """Removes everything and returns whether that succeeded. Ignores further signals; on the second, xtask kills this process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    say("remove", "containers, images and data")
    try:
        remove()
    except Failure as failure:
        print(f"error: {failure}", flush=True)
        return False
    if code == 0:
        print("compose-test: passed")
    return True


def say(step, text):
    print(f"{step}: {text}", flush=True)


def docker(*arguments, check=True):
    """Runs a docker command and returns its output."""
    command = ["docker", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if check and done.returncode != 0:
        raise Failure(f"{' '.join(command)} failed ({done.returncode}): {done.stderr.strip()}")
    return done


def compose(*arguments):
    """Runs a Compose command whose output is shown."""
    say("compose", " ".join(arguments))
    if code := subprocess.run(["docker", "compose", *arguments], stdin=subprocess.DEVNULL).returncode:
        raise Failure(f"docker compose {' '.join(arguments)} failed ({code})")


def remove():
    """Removes containers, data and built images. The data is no longer needed, so the servers are killed immediately."""
    docker("compose", "down", "--timeout", "0", "--volumes", "--rmi", "local", "--remove-orphans")


def container_id(service):
    found = docker("compose", "ps", "--all", "--quiet", service).stdout.strip()
    if not found:
        raise Failure(f"{service} has no container")
    return found


def inspect(service):
    return json.loads(docker("inspect", container_id(service)).stdout)[0]


def image_megabytes(service):
    return int(docker("image", "inspect", "--format", "{{.Size}}", inspect(service)["Image"]).stdout) / 1e6


def run_on_docker_host(image, line):
    """Runs a Bash command in the Docker host's PID namespace: processes may belong to another user or run in a VM."""
    return docker("run", "--rm", "--pid=host", "--network=none", "--entrypoint=bash", image, "-c", line).stdout


def pid(service):
    found = inspect(service)["State"]["Pid"]
    if not found:
        raise Failure(f"{service} is not running")
    return found


def walk_through():
    if subprocess.run(["node", "qa/conformance/tour.mjs"], stdin=subprocess.DEVNULL).returncode != 0:
        raise Violation("the walkthrough failed")


def check_confinement(image):
    for service in BUILT:
        status, mounts = (run_on_docker_host(image, f"cat /proc/{pid(service)}/{file}") for file in ("status", "mountinfo"))
        if excess := excess_privileges(status, mounts):
            raise Violation(f"{service} has excess privileges: {', '.join(excess)}")
        if has_shell(service):
            raise Violation(f"the image of {service} has a shell")
    say("confinement", "no root user, no capabilities, read-only root file system, no shell")


def has_shell(service):
    done = docker("compose", "exec", "-T", service, "/bin/sh", "-c", "true", check=False)
    if done.returncode not in (0, 126, 127):  # 126 and 127: the program cannot be run or does not exist.
        raise Failure(f"cannot check for a shell in {service} ({done.returncode}): {done.stderr.strip()}")
    return done.returncode == 0


def check_logs():
    """Checks that each service logs only JSON objects, and only to standard output."""
    for service in SERVICES:
        log = docker("logs", container_id(service))
        if not log.stdout or log.stderr:
            raise Violation(f"{service} must write its log only to standard output, but its output is:\n{log.stdout}{log.stderr}")
        if line := next((line for line in log.stdout.splitlines() if not is_object(line)), None):
            raise Violation(f"{service} logged a line that is not a JSON object: {line}")
    say("logs", "one JSON object per line")


def is_object(line):
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def are_ready():
    """Returns whether all services are ready and Docker reports all containers as healthy."""
    states = [inspect(service)["State"].get("Health", {}).get("Status") for service in SERVERS]
    return all(state == "healthy" for state in states) and all(answers_ready(service) for service in SERVICES)


def answers_ready(service):
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ[f"{service.upper()}_PORT"]), timeout=2)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wait_until(condition, problem, service):
    deadline = time.monotonic() + READY_TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise Violation(f"{service}: {problem}\n{docker('compose', 'ps', '--all').stdout}")
        time.sleep(0.1)


def kill(service, image):
    """Kills the process of a service, and waits until Docker's restart policy has restarted it."""
    before = inspect(service)["RestartCount"]
    run_on_docker_host(image, f"kill -KILL {pid(service)}")
    wait_until(lambda: inspect(service)["RestartCount"] > before, "not restarted after a kill", service)
    wait_until(are_ready, f"not all containers are ready after {READY_TIMEOUT} s", service)
    say("kill", f"{service}: restarted")


def check_stop():
    """Checks that all containers stopped gracefully: a process that was killed has a different exit code."""
    compose("stop")
    for service in SERVERS:
        state = inspect(service)["State"]
        if state["Running"]:
            raise Failure(f"{service} did not stop")
        if state["ExitCode"] != 0:
            raise Violation(f"{service} exited with {state['ExitCode']} after SIGTERM")


def checksums():
    return docker("compose", "exec", "-T", "mysql", "bash", "-c", CHECKSUMS).stdout


def check_data(expected):
    if (found := checksums()) != expected:
        raise Violation(f"the data has changed. Table checksums before:\n{expected}\nTable checksums now:\n{found}")
    say("data", "all tables unchanged")


def check_invariants():
    done = docker("compose", "run", "--rm", "--no-TTY", "migrate", "audit", check=False)
    output = (done.stdout + done.stderr).strip()
    if done.returncode != 0:
        raise (Violation if done.returncode == 1 else Failure)(f"db audit exited with {done.returncode}:\n{output}")
    say("invariants", output.splitlines()[-1])


if __name__ == "__main__":
    main()
