#!/usr/bin/env python3
"""cargo-lambda's emulator invokes the function with every example event, and it answers as the table beside them says: run.py FUNCTION

FUNCTION is the program of the orchestrator, or a zip with it. Needs cargo-lambda on the PATH, a running system, and in the
environment CUSTOMERS_BASE, ORDERS_BASE, ADMIN_USER, ADMIN_PASSWORD, JWT_SECRET and SERVICE_TOKEN.

The emulator runs without a function (--only-lambda-apis), and FUNCTION is started beside it as it would start one: building it
by `cargo lambda watch` chooses other features for its dependencies than the build of the whole workspace does, and takes
minutes. Keys get the time of the run at their end, so that it can be repeated on one system.
"""

import base64
import contextlib
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
EVENTS = ROOT / "orchestrator" / "events"
LOCAL = ROOT / ".local" / "conformance" / "lambda"
SETTINGS = ["CUSTOMERS_BASE", "ORDERS_BASE", "ADMIN_USER", "ADMIN_PASSWORD", "JWT_SECRET", "SERVICE_TOKEN"]
NAME = "orchestrator"
RUN = str(time.time_ns())
MIB = 1024 * 1024

PATIENCE = 60
COLD_STARTS = 10
INVOCATIONS = 200

failures = []


def main():
    missing = [name for name in SETTINGS if not os.environ.get(name)]
    if missing or len(sys.argv) != 2:
        sys.exit(f"usage: run.py FUNCTION\nnot set: {', '.join(missing) or 'nothing'}")
    if not Path(sys.argv[1]).is_file():
        sys.exit(f"{sys.argv[1]} is no file")
    LOCAL.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, emulator() as port:
        function = unpacked(Path(sys.argv[1]), Path(scratch))
        events = the_example_events(function, port)
        events += those_that_are_made_here(function, port)
        those_of_a_frozen_function(function, port)
        figures = [f"{events} events as documented", *measured(function, port, Path(sys.argv[1]))]
    for failure in failures:
        print(failure)
    print(f"{len(failures)} failures" if failures else "; ".join(figures))
    sys.exit(1 if failures else 0)


def check(what, found, expected):
    if found != expected:
        failures.append(f"{what}: {found!r}; expected {expected!r}")


def the_example_events(function, port):
    """Every file, in the order of the table, which lists them all."""
    table = re.findall(r"^\| `([\w-]+)` \|.*\| (.*) \|$", (EVENTS / "README.md").read_text(), re.MULTILINE)
    check("the table lists", sorted(name for name, _ in table), sorted(path.stem for path in EVENTS.glob("*.json")))
    with instance(function, port, "events") as log:
        for name, expected in table:
            judge(name, invoke(port, with_key_of_this_run(EVENTS / f"{name}.json")), expected, log)
    return len(table)


def those_that_are_made_here(function, port):
    """Too large ones; one before a service that is not there; and the first one in production, without credentials and with."""
    plain = json.loads((EVENTS / "function-url.json").read_text())
    too_large = "413 `payload_too_large`"
    with instance(function, port, "large") as log:
        judge("a byte too large", invoke(port, written(plain | {"body": " " * (64 * 1024 + 1)})), too_large, log)
        judge("5 MiB", invoke(port, written(plain | {"body": " " * (5 * MIB)})), too_large, log)
    with instance(function, port, "alone", CUSTOMERS_API_BASE="http://127.0.0.1:9") as log:
        judge("no customers service", invoke(port, written(plain)), "503 `upstream_unavailable`", log)
    headers = plain["headers"] | {"authorization": f"Bearer {os.environ['SERVICE_TOKEN']}"}
    with instance(function, port, "production", PROFILE="production") as log:
        judge("a stranger", invoke(port, with_key_of_this_run(EVENTS / "function-url.json")), "401 `unauthorized`", log)
        judge("a service", invoke(port, with_key_of_this_run(written(plain | {"headers": headers}))), "201", log)
    return 5


def those_of_a_frozen_function(function, port):
    """As a platform freezes it between two invocations: after the answer, for a while, and thawed with the next event."""
    event = with_key_of_this_run(EVENTS / "function-url.json")
    with instance(function, port, "frozen") as log:
        judge("before the freeze", invoke(port, event), "201", log)
        os.kill(log.process.pid, signal.SIGSTOP)
        time.sleep(2)
        os.kill(log.process.pid, signal.SIGCONT)
        judge("after the freeze", invoke(port, event), "201", log)


def judge(name, invoked, expected, log):
    """Whether what came back is what the table says, in all its parts; and whether the log has its line."""
    if error := re.fullmatch(r"fails with `(\w+)`", expected):
        check(name, (invoked.returncode != 0, error[1] in invoked.stderr), (True, True))
        return
    if invoked.returncode != 0:
        failures.append(f"{name}: {invoked.stderr.strip()}")
        return
    answer = json.loads(invoked.stdout)
    status, code = re.fullmatch(r"(\d+)(?: `(\w+)`)?", expected).groups()
    body = json.loads(answer["body"])
    check(f"{name}: status and code", (answer["statusCode"], body.get("error", {}).get("code")), (int(status), code))
    headers = headers_of(answer)
    check(f"{name}: type", (headers.get("content-type"), answer["isBase64Encoded"]), ("application/json", False))
    check(f"{name}: names its request", bool(headers.get("x-request-id")), True)
    check(f"{name}: says when to come back", "retry-after" in headers, status == "503")
    check(f"{name}: asks for credentials", headers.get("www-authenticate"), "Bearer" if status == "401" else None)
    check(f"{name}: says what is allowed", headers.get("allow"), "POST" if status == "405" else None)
    if "correlationId" in body and body["correlationId"]:
        check(f"{name}: correlation id", headers.get("x-correlation-id"), body["correlationId"])
        judge_line(name, log, headers, int(status))


def judge_line(name, log, headers, status):
    """The answer is here, so its line has to be."""
    lines = [line for line in log.lines() if line.get("span", {}).get("request_id") == headers["x-request-id"]]
    line = lines[-1] if lines else {}
    found = (line.get("status"), line.get("correlation_id"), bool(line.get("span", {}).get("aws_trace_id")))
    check(f"{name}: the line of the log", found, (status, headers["x-correlation-id"], True))


def headers_of(answer):
    many = answer.get("multiValueHeaders") or {}
    return (answer.get("headers") or {}) | {name: values[0] for name, values in many.items()}


def with_key_of_this_run(path):
    """The event with this run's key: keys are part of the body, which may be encoded."""
    event = json.loads(path.read_text())
    body, encoded = event.get("body") or "", event.get("isBase64Encoded")
    with contextlib.suppress(ValueError):
        text = base64.b64decode(body, validate=True).decode() if encoded else body
        text = re.sub(r'("idempotency_key": "[^"]*)', rf"\1-{RUN}", text)
        event |= {"body": base64.b64encode(text.encode()).decode() if encoded else text} if body else {}
    return written(event)


def written(event):
    path = LOCAL / "event.json"
    path.write_text(json.dumps(event))
    return path


def invoke(port, path):
    command = ["cargo", "lambda", "invoke", NAME, "--invoke-address", "127.0.0.1", "--invoke-port", str(port)]
    return subprocess.run([*command, "--data-file", str(path)], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)


@contextlib.contextmanager
def emulator():
    """cargo-lambda's, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = ["cargo", "lambda", "watch", "-p", NAME, "--only-lambda-apis", "--ignore-changes"]
    command += ["--invoke-address", "127.0.0.1", "--invoke-port", str(port)]
    with (LOCAL / "emulator.log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    try:
        until(lambda: process.poll() is not None or is_open(port), "the emulator does not listen")
        if process.poll() is not None:
            sys.exit(f"the emulator ended:\n{(LOCAL / 'emulator.log').read_text()}")
        yield port
    finally:
        end(process)


class Log:
    """What one instance of the function writes."""

    def __init__(self, name, process):
        self.path, self.process = LOCAL / f"{name}.log", process

    def lines(self):
        return [json.loads(line) for line in self.path.read_text().splitlines()]


@contextlib.contextmanager
def instance(function, port, name, **settings):
    """The function, as the emulator would start it: before the running system, in the development profile."""
    with (LOCAL / f"{name}.log").open("w") as log:
        process = start(function, f"http://127.0.0.1:{port}/.rt/{NAME}", log, **settings)
    log = Log(name, process)
    try:
        yield log
    finally:
        if process.poll() is not None:
            print(f"the function ended:\n{log.path.read_text()}")
        end(process)


def start(function, runtime, log, **settings):
    environment = {
        "AWS_LAMBDA_RUNTIME_API": runtime,
        "AWS_LAMBDA_FUNCTION_NAME": NAME,
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "CUSTOMERS_API_BASE": os.environ["CUSTOMERS_BASE"],
        "ORDERS_API_BASE": os.environ["ORDERS_BASE"],
        "JWT_SECRET": os.environ["JWT_SECRET"],
        "SERVICE_TOKEN": os.environ["SERVICE_TOKEN"],
        "PROFILE": "development",
    }
    return subprocess.Popen([function], env=environment | settings, stdout=log, stderr=log)


def end(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def until(condition, otherwise):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(otherwise)
        time.sleep(0.02)


def is_open(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def unpacked(path, folder):
    if path.suffix != ".zip":
        return str(path.resolve())
    with zipfile.ZipFile(path) as package:
        program = Path(package.extract("bootstrap", folder))
    program.chmod(0o755)
    return str(program)


def measured(function, port, path):
    """The size, what a cold start takes, and what an invocation takes: of a saga and of the runtime alone."""
    saga, probe = order_of_its_own(), (EVENTS / "health-check.json").read_bytes()
    polls = [until_it_polls(function) for _ in range(COLD_STARTS)]
    answers = [until_it_answers(function, port, saga()) for _ in range(COLD_STARTS)]
    with instance(function, port, "measured"):
        timed(port, saga())
        sagas = [timed(port, saga()) for _ in range(INVOCATIONS)]
        probes = [timed(port, probe) for _ in range(INVOCATIONS)]
    package = f" ({path.stat().st_size / MIB:.1f} MiB as a zip)" if path.suffix == ".zip" else ""
    return [
        f"program {Path(function).stat().st_size / MIB:.1f} MiB{package}",
        f"cold start: first poll after {spread(polls)}, first order after {spread(answers)}",
        f"warm: order {spread(sagas)}, probe {spread(probes)}",
    ]


def spread(seconds):
    seconds = sorted(seconds)
    return f"{statistics.median(seconds) * 1000:.1f} ms (at most {seconds[-1] * 1000:.1f})"


def until_it_polls(function):
    """From the start of the program to its first request to a runtime."""
    with socket.create_server(("127.0.0.1", 0)) as runtime, (LOCAL / "polls.log").open("w") as log:
        runtime.settimeout(PATIENCE)
        started = time.monotonic()
        process = start(function, f"127.0.0.1:{runtime.getsockname()[1]}", log)
        runtime.accept()[0].close()
        taken = time.monotonic() - started
        end(process)
    return taken


def until_it_answers(function, port, event):
    """From the start of the program to the answer to an event that is waiting for it."""
    started = time.monotonic()
    with instance(function, port, "answers"):
        timed(port, event)
        return time.monotonic() - started


def timed(port, event):
    """How long the emulator takes to answer, which it does as soon as the function has."""
    url = f"http://127.0.0.1:{port}/2015-03-31/functions/{NAME}/invocations"
    started = time.monotonic()
    with urllib.request.urlopen(urllib.request.Request(url, data=event), timeout=PATIENCE) as response:
        answer = json.load(response)
    taken = time.monotonic() - started
    if answer["statusCode"] not in (200, 201):
        failures.append(f"while measuring: {answer}")
    return taken


def order_of_its_own():
    """Makes events that order one piece of a product with enough of it, each under a new key."""
    product = make_product()
    event = json.loads((EVENTS / "function-url.json").read_text())

    def made(count=iter(range(sys.maxsize))):
        order = {"customer_id": 1, "items": [{"product_id": product, "qty": 1}]}
        return json.dumps(event | {"body": json.dumps(order | {"idempotency_key": f"{RUN}-{next(count)}"})}).encode()

    return made


def make_product():
    who = {"username": os.environ["ADMIN_USER"], "password": os.environ["ADMIN_PASSWORD"]}
    token = post(f"{os.environ['CUSTOMERS_BASE']}/auth/token", who)["access_token"]
    product = {"sku": f"LAMBDA-{RUN}", "name": "Measured", "price_cents": 1, "stock": 100_000}
    return post(f"{os.environ['ORDERS_BASE']}/products", product, token)["id"]


def post(url, body, token=None):
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        return json.load(response)


if __name__ == "__main__":
    main()
