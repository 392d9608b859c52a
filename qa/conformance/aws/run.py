#!/usr/bin/env python3
"""Deploys the templates in deploy/ to moto's server with deploy/deploy.sh, as the README says, looks at what was made, and deletes it again
with deploy/delete.sh.

Needs cfn-lint, moto and the AWS CLI of the same environment. Moto keeps what it is told, but runs nothing: no image is pushed, the package
is a stand-in, and the migrations "succeed". Ends with 0 only if cfn-lint finds nothing, the policies and groups keep the rules in
templates.py, every resource was made, all is as made.py says, and nothing is left but the last snapshot of the database.
"""

import os
import subprocess
import sys
import zipfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import boto3
import made
import templates
from facts import Facts

HERE = Path(__file__).resolve().parent
DEPLOY = HERE.parents[2] / "deploy"
STACKS = {"foundation": "foundation", "database": "database", "customers": "service", "orders": "service", "function": "function"}
# Nobody's account: no settings of the user's are read.
AWS = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "NO_PROXY": "127.0.0.1",
}


def main():
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(AWS)
    must("cfn-lint", *sorted(map(str, DEPLOY.glob("*.yaml"))))
    facts = Facts()
    templates.check(facts)
    with server() as address:
        os.environ["AWS_ENDPOINT_URL"] = address
        before = made.everything()
        must(str(DEPLOY / "deploy.sh"), "foundation")
        push("1.0.0")
        must(str(DEPLOY / "deploy.sh"), "release", "1.0.0")
        resources(facts, missing={"Authorizer"})
        made.check(facts, "1.0.0")
        refused(str(DEPLOY / "deploy.sh"), "release", "broken")
        made.check_service(facts, "customers", "1.0.0")
        must(str(DEPLOY / "deploy.sh"), "customers", f"Image={made.output('foundation', 'Registry')}/customers:1.0.1")
        made.check_service(facts, "customers", "1.0.1")
        must(str(DEPLOY / "deploy.sh"), "function", "JwtIssuer=https://issuer.example", "JwtAudience=backoffice")
        figures = resources(facts, missing=set())
        made.check_authorizer(facts)
        must(str(DEPLOY / "delete.sh"))
        made.check_gone(facts, before)
    facts.judge()
    how = " and ".join(f"{number} {by}" for by, number in figures.items())
    print(f"all {figures.total()} resources were made ({how}) and deleted; {facts.held} facts hold")


def must(*command):
    """Runs a program that has to succeed."""
    if not succeeds(command):
        sys.exit(f"{command[0]} fails")


def refused(*command):
    """Runs a program that has to fail."""
    if succeeds(command):
        sys.exit(f"{' '.join(command)} has to fail")


def succeeds(command):
    print("$", *(part.replace(f"{DEPLOY.parent}/", "") for part in command), flush=True)
    return subprocess.run(command).returncode == 0


@contextmanager
def server():
    log = sys.stderr if os.environ.get("AWS_SERVER_LOG") else subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, HERE / "server.py"], stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        yield process.stdout.readline().strip() or sys.exit("moto's server does not start")
    finally:
        process.terminate()
        process.wait()


def push(version):
    """What the README pushes: here only something in the package's place."""
    with TemporaryDirectory() as folder:
        package = Path(folder) / "bootstrap.zip"
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("bootstrap", "stands in for the function")
        bucket = made.output("foundation", "Packages")
        must("aws", "s3", "cp", "--only-show-errors", str(package), f"s3://{bucket}/orchestrator/{version}.zip")


def resources(facts, missing):
    """Whether each resource of each stack was made, but for those whose condition does not hold. How many were made, and by whom."""
    from server import KINDS

    client, figures, left_out = boto3.client("cloudformation"), Counter(), set()
    for stack, template in STACKS.items():
        wanted = templates.load(template)["Resources"]
        rows = client.describe_stack_resources(StackName=f"backoffice-{stack}")["StackResources"]
        rows = [row for row in rows if "PhysicalResourceId" in row]
        left_out |= wanted.keys() - {row["LogicalResourceId"] for row in rows}
        figures.update("by calls" if row["ResourceType"] in KINDS else "by moto's CloudFormation" for row in rows)
    facts.equal("what was not made", left_out, missing)
    return figures


if __name__ == "__main__":
    main()
