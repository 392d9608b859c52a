#!/usr/bin/env python3
"""Attacks the three services at once, each by its document, for so many seconds: run.py SECONDS [SEED]

Needs schemathesis on the PATH, a running system in the production profile, and in the environment CUSTOMERS_BASE,
ORDERS_BASE, ORCHESTRATOR_BASE, ADMIN_USER, ADMIN_PASSWORD and SERVICE_TOKEN. What is attacked, and how, is in
schemathesis.toml and hooks.py. Ends with 0 only if no service failed and each was reached everywhere: every operation
succeeded at least once, and every phase that applies sent something.
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
    print(f"seed {seed}; to replay: {Path(sys.argv[0])} {seconds} {seed}", flush=True)
    REPORTS.mkdir(parents=True, exist_ok=True)
    attacks = {service: start(service, seconds, seed) for service in SERVICES}
    figures = sum((end(service, attack) for service, attack in attacks.items()), Counter())
    print(", ".join(f"{figures[what]} {what}" for what in ("requests", "cases", "failures", "gaps")))
    sys.exit(1 if figures["failures"] or figures["gaps"] else 0)


def start(service, seconds, seed):
    """Attacks one service in the background. All that is said about it goes to a file."""
    arguments = ["st", "--config-file", str(HERE / "schemathesis.toml"), "run", str(document_of(service))]
    arguments += ["--url", os.environ[f"{service.upper()}_BASE"], "--max-time", seconds, "--seed", seed, "--no-color"]
    arguments += ["--report", "json", "--report-json-path", str(report(service, "report.json"))]
    environment = os.environ | {"ATTACK_FIGURES": str(report(service, "figures.json"))}
    for name in ("report.json", "figures.json"):
        report(service, name).unlink(missing_ok=True)
    with report(service, "log").open("w") as log:
        return subprocess.Popen(arguments, cwd=HERE, env=environment, stdout=log, stderr=subprocess.STDOUT)


def end(service, attack):
    """Waits for the end of an attack, says how it went, and gives its figures. A gap is what the attack left out: without
    any, schemathesis is content with whatever it happened to do.
    """
    status = attack.wait()
    verdict, sent = read(service, "report.json"), read(service, "figures.json")
    if verdict is None or sent is None:
        print(report(service, "log").read_text())
        print(f"{service}: schemathesis ended with {status} before it could report")
        return Counter(gaps=1)
    failures = verdict["test_cases"]["unique_failures"]
    # It also fails for errors of its own, which are no failures of the service.
    gaps = gaps_of(service, verdict, sent) + ([f"schemathesis ended with {status}"] if status and not failures else [])
    if status or gaps:
        print(report(service, "log").read_text())
    figures = Counter(requests=total(sent), cases=verdict["test_cases"]["generated"], failures=failures, gaps=len(gaps))
    print_figures(service, verdict, sent, figures)
    for gap in gaps:
        print(f"{service}: {gap}")
    return figures


def gaps_of(service, verdict, sent):
    """What the document has and the attack did not reach."""
    text = document_of(service).read_text()
    document = json.loads(text)
    labels = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    tested = verdict["operations"]["tested"]
    # Links are what the stateful phase goes along.
    phases = PHASES if '"links":' in text else PHASES[:-1]
    idle = [phase for phase in phases if total(row for row in sent if row["phase"] == phase) == 0]
    succeeded = {row["operation"] for row in sent if row["succeeded"]}
    return [
        *([f"{tested} of {len(labels)} operations were tested"] if tested != len(labels) else []),
        *(f"the phase {phase} sent no request" for phase in idle),
        *(f"{label} never succeeded, so little was learned about it" for label in sorted(labels - succeeded)),
    ]


def total(rows):
    return sum(row["sent"] for row in rows)


def print_figures(service, verdict, sent, figures):
    phases = {phase: total(row for row in sent if row["phase"] == phase) for phase in PHASES}
    print(
        f"{service}: {verdict['operations']['tested']} operations, {figures['cases']} cases, {figures['requests']} requests "
        f"({', '.join(f'{phase} {n}' for phase, n in phases.items())}), {figures['failures']} failures, "
        f"{verdict['filtered']} refusals that depend on state"
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
