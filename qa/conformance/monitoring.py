"""Uses promtool to check deploy/monitoring (the configuration, the alert rules and their tests) and the metrics of the running
services.

First creates an order, so that all metrics exist. Then checks that every metric used by the alerts and the dashboard is exposed
on the metrics ports, and that the public ports expose no metrics.
"""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from pathlib import Path

MONITORING = Path("deploy/monitoring")
SERVICES = ["customers", "orders", "orchestrator"]
METRICS = re.compile(r"\b(?:db|http_client|http_server|idempotency|log_lines|logins|password_hashes|reservations|saga)_\w+")


def promtool(*arguments, **options):
    """Runs promtool, and exits if it reports a problem."""
    done = subprocess.run([os.environ["PROMTOOL"], *arguments], capture_output=True, text=True, **options)
    print(f"promtool {' '.join(map(str, arguments))}", done.stdout, done.stderr, sep="\n")
    if done.returncode != 0 or done.stderr.strip():
        sys.exit(f"promtool {' '.join(map(str, arguments))} failed")


def get(url, **options):
    with urllib.request.urlopen(urllib.request.Request(url, **options), timeout=30) as response:
        return response.read().decode()


def order():
    """Creates and confirms an order, which involves all three services."""
    body = {"customer_id": 1, "items": [{"product_id": 2, "qty": 1}], "idempotency_key": str(uuid.uuid4())}
    headers = {"Authorization": f"Bearer {os.environ['SERVICE_TOKEN']}", "Content-Type": "application/json"}
    url = os.environ["ORCHESTRATOR_BASE"] + "/orchestrator/create-and-confirm-order"
    get(url, data=json.dumps(body).encode(), headers=headers, method="POST")


def log_in():
    body = {"username": os.environ["ADMIN_USER"], "password": os.environ["ADMIN_PASSWORD"]}
    headers = {"Content-Type": "application/json"}
    get(os.environ["CUSTOMERS_BASE"] + "/auth/token", data=json.dumps(body).encode(), headers=headers, method="POST")


def metric_names(service):
    """Returns the names of a service's metrics."""
    text = get(os.environ[f"{service.upper()}_METRICS"])
    promtool("check", "metrics", input=text)
    return {re.split(r"[{ ]", line)[0] for line in text.splitlines() if line and not line.startswith("#")}


def is_private(service):
    try:
        get(os.environ[f"{service.upper()}_BASE"] + "/metrics")
    except urllib.error.HTTPError as error:
        return error.code == 404
    return False


promtool("check", "config", MONITORING / "prometheus.yml")
promtool("check", "rules", MONITORING / "alerts.yml")
promtool("test", "rules", MONITORING / "alerts.test.yml")
log_in()
order()
names = set().union(*map(metric_names, SERVICES))
for file in ["alerts.yml", "dashboard.json"]:
    used = set(METRICS.findall((MONITORING / file).read_text()))
    if missing := used - names:
        sys.exit(f"{file} uses {sorted(missing)}, which no service exposes")
if public := [service for service in SERVICES if not is_private(service)]:
    sys.exit(f"{public} expose GET /metrics on the public port")
alerts = (MONITORING / "alerts.yml").read_text().count("- alert:")
print(f"{alerts} alerts with tests; {len(names)} metrics from {len(SERVICES)} services")
