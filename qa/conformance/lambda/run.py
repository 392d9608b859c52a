#!/usr/bin/env python3
"""Invokes the Lambda function in cargo-lambda's emulator with every example event, and compares the responses with the table in
orchestrator/events/README.md. Usage: run.py FUNCTION

FUNCTION is the orchestrator program, or a zip file that contains it. Requires cargo-lambda on the PATH, a running system, and
the environment variables CUSTOMERS_BASE, ORDERS_BASE, ADMIN_USER, ADMIN_PASSWORD, JWT_SECRET and SERVICE_TOKEN.

The emulator runs without a function (--only-lambda-apis), and this program starts FUNCTION separately: `cargo lambda watch`
would take minutes to build the function, with dependency features that differ from those of the workspace build. The start
time is appended to keys, so that this program can run repeatedly on the same system.
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

TIMEOUT = 60
COLD_STARTS = 10
INVOCATIONS = 200

failures = []


def main():
    missing = [name for name in SETTINGS if not os.environ.get(name)]
    if missing or len(sys.argv) != 2:
        sys.exit(f"usage: run.py FUNCTION\nnot set: {', '.join(missing) or 'nothing'}")
    if not Path(sys.argv[1]).is_file():
        sys.exit(f"{sys.argv[1]} is not a file")
    LOCAL.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, emulator() as port:
        function = unpacked(Path(sys.argv[1]), Path(scratch))
        events = check_example_events(function, port)
        events += check_generated_events(function, port)
        check_frozen_function(function, port)
        figures = [f"{events} events as documented", *measured(function, port, Path(sys.argv[1]))]
    for failure in failures:
        print(failure)
    print(f"{len(failures)} failures" if failures else "; ".join(figures))
    sys.exit(1 if failures else 0)


def check(what, found, expected):
    if found != expected:
        failures.append(f"{what}: {found!r}; expected {expected!r}")


def check_example_events(function, port):
    """Invokes the function with every example event, in the order of the table. The table must list all event files."""
    table = re.findall(r"^\| `([\w-]+)` \|.*\| (.*) \|$", (EVENTS / "README.md").read_text(), re.MULTILINE)
    check("events in the table", sorted(name for name, _ in table), sorted(path.stem for path in EVENTS.glob("*.json")))
    with instance(function, port, "events") as log:
        for name, expected in table:
            check_response(name, invoke(port, event_with_run_key(EVENTS / f"{name}.json")), expected, log)
    return len(table)


def check_generated_events(function, port):
    """Checks oversized bodies, an unavailable service, and the production profile with and without credentials."""
    plain = json.loads((EVENTS / "function-url.json").read_text())
    too_large = "413 `payload_too_large`"
    with instance(function, port, "large") as log:
        check_response("one byte too large", invoke(port, write_event(plain | {"body": " " * (64 * 1024 + 1)})), too_large, log)
        check_response("5 MiB", invoke(port, write_event(plain | {"body": " " * (5 * MIB)})), too_large, log)
    with instance(function, port, "alone", CUSTOMERS_API_BASE="http://127.0.0.1:9") as log:
        check_response("no customers service", invoke(port, write_event(plain)), "503 `upstream_unavailable`", log)
    headers = plain["headers"] | {"authorization": f"Bearer {os.environ['SERVICE_TOKEN']}"}
    with instance(function, port, "production", PROFILE="production") as log:
        check_response("without credentials", invoke(port, event_with_run_key(EVENTS / "function-url.json")), "401 `unauthorized`", log)
        check_response("with the service token", invoke(port, event_with_run_key(write_event(plain | {"headers": headers}))), "201", log)
    return 5


def check_frozen_function(function, port):
    """Freezes the function between two invocations, as AWS Lambda does."""
    event = event_with_run_key(EVENTS / "function-url.json")
    with instance(function, port, "frozen") as log:
        check_response("before the freeze", invoke(port, event), "201", log)
        os.kill(log.process.pid, signal.SIGSTOP)
        time.sleep(2)
        os.kill(log.process.pid, signal.SIGCONT)
        check_response("after the freeze", invoke(port, event), "201", log)


def check_response(name, invoked, expected, log):
    """Compares the response with the table, and checks the log line of the response."""
    if error := re.fullmatch(r"fails with `(\w+)`", expected):
        check(name, (invoked.returncode != 0, error[1] in invoked.stderr), (True, True))
        return
    if invoked.returncode != 0:
        failures.append(f"{name}: {invoked.stderr.strip()}")
        return
    response = json.loads(invoked.stdout)
    status, code = re.fullmatch(r"(\d+)(?: `(\w+)`)?", expected).groups()
    body = json.loads(response["body"])
    check(f"{name}: status and code", (response["statusCode"], body.get("error", {}).get("code")), (int(status), code))
    headers = headers_of(response)
    check(f"{name}: content type", (headers.get("content-type"), response["isBase64Encoded"]), ("application/json", False))
    check(f"{name}: has a request id", bool(headers.get("x-request-id")), True)
    check(f"{name}: has Retry-After", "retry-after" in headers, status == "503")
    check(f"{name}: WWW-Authenticate", headers.get("www-authenticate"), "Bearer" if status == "401" else None)
    check(f"{name}: Allow", headers.get("allow"), "POST" if status == "405" else None)
    if "correlationId" in body and body["correlationId"]:
        check(f"{name}: correlation id", headers.get("x-correlation-id"), body["correlationId"])
        check_log_line(name, log, headers, int(status))


def check_log_line(name, log, headers, status):
    """Checks the log line of a response, which is written before the response is returned."""
    lines = [line for line in log.lines() if line.get("span", {}).get("request_id") == headers["x-request-id"]]
    line = lines[-1] if lines else {}
    found = (line.get("status"), line.get("correlation_id"), bool(line.get("span", {}).get("aws_trace_id")))
    check(f"{name}: log line", found, (status, headers["x-correlation-id"], True))


def headers_of(response):
    many = response.get("multiValueHeaders") or {}
    return (response.get("headers") or {}) | {name: values[0] for name, values in many.items()}


def event_with_run_key(path):
    """Writes a copy of the event whose body contains this run's idempotency key. The body may be Base64-encoded."""
    event = json.loads(path.read_text())
    body, encoded = event.get("body") or "", event.get("isBase64Encoded")
    with contextlib.suppress(ValueError):
        text = base64.b64decode(body, validate=True).decode() if encoded else body
        text = re.sub(r'("idempotency_key": "[^"]*)', rf"\1-{RUN}", text)
        event |= {"body": base64.b64encode(text.encode()).decode() if encoded else text} if body else {}
    return write_event(event)


def write_event(event):
    path = LOCAL / "event.json"
    path.write_text(json.dumps(event))
    return path


def invoke(port, path):
    command = ["cargo", "lambda", "invoke", NAME, "--invoke-address", "127.0.0.1", "--invoke-port", str(port)]
    return subprocess.run([*command, "--data-file", str(path)], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT)


@contextlib.contextmanager
def emulator():
    """Starts cargo-lambda's emulator on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = ["cargo", "lambda", "watch", "-p", NAME, "--only-lambda-apis", "--ignore-changes"]
    command += ["--invoke-address", "127.0.0.1", "--invoke-port", str(port)]
    with (LOCAL / "emulator.log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: process.poll() is not None or is_open(port), "the emulator does not listen in time")
        if process.poll() is not None:
            sys.exit(f"the emulator exited:\n{(LOCAL / 'emulator.log').read_text()}")
        yield port
    finally:
        end(process)


class Log:
    """Log of one function instance."""

    def __init__(self, name, process):
        self.path, self.process = LOCAL / f"{name}.log", process

    def lines(self):
        return [json.loads(line) for line in self.path.read_text().splitlines()]


@contextlib.contextmanager
def instance(function, port, name, **settings):
    """Starts the function as the emulator would, in the development profile, with the running system as its upstream."""
    with (LOCAL / f"{name}.log").open("w") as log:
        process = start(function, f"http://127.0.0.1:{port}/.rt/{NAME}", log, **settings)
    log = Log(name, process)
    try:
        yield log
    finally:
        if process.poll() is not None:
            print(f"the function exited:\n{log.path.read_text()}")
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


def wait_until(condition, problem):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(problem)
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
    """Measures size, cold starts and warm invocations. The latency of a health check shows the overhead of the runtime."""
    saga, probe = new_order_events(), (EVENTS / "health-check.json").read_bytes()
    polls = [time_to_poll(function) for _ in range(COLD_STARTS)]
    responses = [time_to_respond(function, port, saga()) for _ in range(COLD_STARTS)]
    with instance(function, port, "measured"):
        timed(port, saga())
        sagas = [timed(port, saga()) for _ in range(INVOCATIONS)]
        probes = [timed(port, probe) for _ in range(INVOCATIONS)]
    package = f" ({path.stat().st_size / MIB:.1f} MiB as a zip)" if path.suffix == ".zip" else ""
    return [
        f"program {Path(function).stat().st_size / MIB:.1f} MiB{package}",
        f"cold start: first poll after {spread(polls)}, first order after {spread(responses)}",
        f"warm: order {spread(sagas)}, probe {spread(probes)}",
    ]


def spread(seconds):
    seconds = sorted(seconds)
    return f"{statistics.median(seconds) * 1000:.1f} ms (at most {seconds[-1] * 1000:.1f})"


def time_to_poll(function):
    """Returns the time from process start until the first poll of the runtime API."""
    with socket.create_server(("127.0.0.1", 0)) as runtime, (LOCAL / "polls.log").open("w") as log:
        runtime.settimeout(TIMEOUT)
        started = time.monotonic()
        process = start(function, f"127.0.0.1:{runtime.getsockname()[1]}", log)
        runtime.accept()[0].close()
        taken = time.monotonic() - started
        end(process)
    return taken


def time_to_respond(function, port, event):
    """Returns the time from process start until the response to an event that is already waiting."""
    started = time.monotonic()
    with instance(function, port, "responses"):
        timed(port, event)
        return time.monotonic() - started


def timed(port, event):
    """Invokes the function and returns the time until it has responded."""
    url = f"http://127.0.0.1:{port}/2015-03-31/functions/{NAME}/invocations"
    started = time.monotonic()
    with urllib.request.urlopen(urllib.request.Request(url, data=event), timeout=TIMEOUT) as body:
        response = json.load(body)
    taken = time.monotonic() - started
    if response["statusCode"] not in (200, 201):
        failures.append(f"while measuring: {response}")
    return taken


def new_order_events():
    """Returns a function that creates events. Each event orders one unit of a well-stocked product with a new key."""
    product = create_product()
    event = json.loads((EVENTS / "function-url.json").read_text())

    def new_event(count=iter(range(sys.maxsize))):
        order = {"customer_id": 1, "items": [{"product_id": product, "qty": 1}]}
        return json.dumps(event | {"body": json.dumps(order | {"idempotency_key": f"{RUN}-{next(count)}"})}).encode()

    return new_event


def create_product():
    credentials = {"username": os.environ["ADMIN_USER"], "password": os.environ["ADMIN_PASSWORD"]}
    token = post(f"{os.environ['CUSTOMERS_BASE']}/auth/token", credentials)["access_token"]
    product = {"sku": f"LAMBDA-{RUN}", "name": "Measured", "price_cents": 1, "stock": 100_000}
    return post(f"{os.environ['ORDERS_BASE']}/products", product, token)["id"]


def post(url, body, token=None):
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        return json.load(response)


if __name__ == "__main__":
    main()
