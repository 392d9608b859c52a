#!/usr/bin/env python3
"""Tests the three services concurrently with schemathesis for a given time. Usage: run.py SECONDS [SEED]

Requires schemathesis on the PATH, a running system in the production profile, and the environment variables CUSTOMERS_BASE,
ORDERS_BASE, ORCHESTRATOR_BASE, ADMIN_USER, ADMIN_PASSWORD and SERVICE_TOKEN. schemathesis.toml and hooks.py configure
the tests. Exits 0 only if there were no failures and coverage is complete: every operation must have succeeded at least
once, and every applicable phase must have sent requests.
"""

import json
import os
import secrets
import subprocess
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
REPORTS = ROOT / ".local" / "conformance" / "attack"
SERVICES = ["customers", "orders", "orchestrator"]
PHASES = ["examples", "coverage", "fuzzing", "stateful"]
SETTINGS = [*(f"{service.upper()}_BASE" for service in SERVICES), "ADMIN_USER", "ADMIN_PASSWORD", "SERVICE_TOKEN"]


def main():
    missing = [name for name in SETTINGS if not os.environ.get(name)]
    if missing or len(sys.argv) not in (2, 3):
        sys.exit(f"usage: run.py SECONDS [SEED]\nnot set: {', '.join(missing) or 'nothing'}")
    seconds = sys.argv[1]
    seed = sys.argv[2] if len(sys.argv) == 3 else str(secrets.randbelow(2**32))
    print(f"seed {seed}; to repeat: {Path(sys.argv[0])} {seconds} {seed}", flush=True)
    REPORTS.mkdir(parents=True, exist_ok=True)
    attacks = {service: start(service, seconds, seed) for service in SERVICES}
    totals = sum((finish(service, attack) for service, attack in attacks.items()), Counter())
    print(", ".join(f"{totals[name]} {name}" for name in ("requests", "cases", "failures", "gaps")))
    sys.exit(1 if totals["failures"] or totals["gaps"] else 0)


def start(service, seconds, seed):
    """Starts schemathesis for one service, and writes its output to a file."""
    arguments = ["st", "--config-file", str(HERE / "schemathesis.toml"), "run", str(document_of(service))]
    arguments += ["--url", os.environ[f"{service.upper()}_BASE"], "--max-time", seconds, "--seed", seed, "--no-color"]
    arguments += ["--report", "json", "--report-json-path", str(report(service, "report.json"))]
    environment = os.environ | {"ATTACK_STATISTICS": str(report(service, "statistics.json"))}
    for name in ("report.json", "statistics.json"):
        report(service, name).unlink(missing_ok=True)
    with report(service, "log").open("w") as log:
        return subprocess.Popen(arguments, cwd=HERE, env=environment, stdout=log, stderr=subprocess.STDOUT)


def finish(service, attack):
    """Waits for schemathesis, prints its results, and returns the totals. A gap is missing coverage, which schemathesis
    itself does not report as a failure.
    """
    status = attack.wait()
    results, sent = read(service, "report.json"), read(service, "statistics.json")
    if results is None or sent is None:
        print(report(service, "log").read_text())
        print(f"{service}: schemathesis exited with {status} without a report")
        return Counter(gaps=1)
    failures = results["test_cases"]["unique_failures"]
    # Schemathesis also exits with an error after an internal error, which is not a failure of the service.
    gaps = gaps_of(service, results, sent) + ([f"schemathesis exited with {status}"] if status and not failures else [])
    if status or gaps:
        print(report(service, "log").read_text())
    totals = Counter(requests=total(sent), cases=results["test_cases"]["generated"], failures=failures, gaps=len(gaps))
    print_totals(service, results, sent, totals)
    for gap in gaps:
        print(f"{service}: {gap}")
    return totals


def gaps_of(service, results, sent):
    """Returns a message for each operation and phase that was not covered."""
    text = document_of(service).read_text()
    document = json.loads(text)
    labels = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    tested = results["operations"]["tested"]
    # The stateful phase requires links.
    phases = PHASES if '"links":' in text else PHASES[:-1]
    idle = [phase for phase in phases if total(row for row in sent if row["phase"] == phase) == 0]
    succeeded = {row["operation"] for row in sent if row["succeeded"]}
    return [
        *([f"only {tested} of {len(labels)} operations were tested"] if tested != len(labels) else []),
        *(f"the phase {phase} sent no requests" for phase in idle),
        *(f"{label} never succeeded, so its coverage is insufficient" for label in sorted(labels - succeeded)),
    ]


def total(rows):
    return sum(row["sent"] for row in rows)


def print_totals(service, results, sent, totals):
    phases = {phase: total(row for row in sent if row["phase"] == phase) for phase in PHASES}
    print(
        f"{service}: {results['operations']['tested']} operations, {totals['cases']} cases, {totals['requests']} requests "
        f"({', '.join(f'{phase} {n}' for phase, n in phases.items())}), {totals['failures']} failures, "
        f"{results['filtered']} rejections that depend on state"
    )


def document_of(service):
    return ROOT / "specs" / f"{service}.json"


def report(service, name):
    return REPORTS / f"{service}.{name}"


def read(service, name):
    path = report(service, name)
    return json.loads(path.read_text()) if path.exists() else None


if __name__ == "__main__":
    main()
