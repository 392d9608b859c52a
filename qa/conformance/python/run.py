"""Generates clients with openapi-python-client, which must not print warnings, and runs the walkthrough in tour.py."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
GENERATED = Path(".local/conformance/python")
SERVICES = ["customers", "orders", "orchestrator"]


def must(*command, **environment):
    """Runs a program, and exits if it fails."""
    if subprocess.run(command, env=os.environ | environment).returncode != 0:
        sys.exit(f"{command[0]} failed")


def generate(service):
    generate = ["openapi-python-client", "generate", "--path", f"specs/{service}.json", "--fail-on-warning"]
    must(*generate, "--meta", "none", "--overwrite", "--output-path", str(GENERATED / service))


for service in SERVICES:
    generate(service)
must(sys.executable, str(HERE / "tour.py"), PYTHONPATH=str(GENERATED))
print(f"{len(SERVICES)} documents without warnings; the walkthrough passed")
