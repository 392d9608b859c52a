#!/usr/bin/env python3
"""Attacks the three services at once, each by its document, for so many seconds: run.py SECONDS [SEED]

Needs schemathesis on the PATH, a running system in the production profile, and in the environment CUSTOMERS_BASE,
ORDERS_BASE, ORCHESTRATOR_BASE, ADMIN_USER, ADMIN_PASSWORD and SERVICE_TOKEN. What is attacked, and how, is in
schemathesis.toml and hooks.py.
"""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
REPORTS = ROOT / ".local" / "attack"
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
    held = [end(service, attack) for service, attack in attacks.items()]
    sys.exit(0 if all(held) else 1)


def start(service, seconds, seed):
    """Attacks one service in the background. All that is said about it goes to a file."""
    arguments = ["st", "--config-file", str(HERE / "schemathesis.toml"), "run", str(ROOT / "specs" / f"{service}.json")]
    arguments += ["--url", os.environ[f"{service.upper()}_BASE"], "--max-time", seconds, "--seed", seed, "--no-color"]
    arguments += ["--report", "json", "--report-json-path", str(report(service, "report.json"))]
    environment = os.environ | {"ATTACK_FIGURES": str(report(service, "figures.json"))}
    for name in ("report.json", "figures.json"):
        report(service, name).unlink(missing_ok=True)
    with report(service, "log").open("w") as log:
        return subprocess.Popen(arguments, cwd=HERE, env=environment, stdout=log, stderr=subprocess.STDOUT)


def end(service, attack):
    """Waits for the end of an attack, says how it went, and gives whether the service held."""
    status = attack.wait()
    verdict = read(service, "report.json")
    figures = read(service, "figures.json")
    if status != 0 or verdict is None or figures is None:
        print(report(service, "log").read_text())
    if verdict is None or figures is None:
        print(f"{service}: schemathesis ended with {status} before it could report")
        return False
    print_figures(service, verdict, figures)
    return status == 0


def print_figures(service, verdict, figures):
    cases, operations = verdict["test_cases"], verdict["operations"]
    phases = {phase: sum(row["sent"] for row in figures if row["phase"] == phase) for phase in PHASES}
    print(
        f"{service}: {operations['tested']} of {operations['total']} operations, {cases['generated']} cases, "
        f"{sum(row['sent'] for row in figures)} requests ({', '.join(f'{phase} {n}' for phase, n in phases.items())}), "
        f"{cases['unique_failures']} failures, {verdict['filtered']} refusals that depend on state"
    )
    succeeded = {row["operation"] for row in figures if row["succeeded"]}
    for operation in sorted({row["operation"] for row in figures} - succeeded):
        print(f"{service}: {operation} never succeeded, so little was learned about it")


def report(service, name):
    return REPORTS / f"{service}.{name}"


def read(service, name):
    path = report(service, name)
    return json.loads(path.read_text()) if path.exists() else None


if __name__ == "__main__":
    main()
