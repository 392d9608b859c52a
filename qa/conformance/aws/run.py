#!/usr/bin/env python3
"""Checks the templates in deploy/, and runs deploy.sh and delete.sh, including a release whose migrations fail.

cfn-lint checks the templates against AWS's resource specifications; template_checks.py checks security settings and that
the routes match the operations. The scripts run against a moto server, which simulates AWS; stand-in/aws omits resources
that moto cannot create.
"""

import logging
import os
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import boto3
import template_checks
from moto.moto_api import state_manager
from moto.server import ThreadedMotoServer
from stacks import DEPLOY, STACKS

HERE = Path(__file__).resolve().parent
# Fake credentials, so that the user's AWS settings are not read.
AWS = {
    "AWS_ACCESS_KEY_ID": "fake",
    "AWS_SECRET_ACCESS_KEY": "fake",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "NO_PROXY": "127.0.0.1",
    "PATH": f"{HERE / 'stand-in'}{os.pathsep}{os.environ['PATH']}",
}


def main():
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(AWS)
    run("cfn-lint", *sorted(map(str, DEPLOY.glob("*.yaml"))))
    checks = template_checks.run()
    with server():
        client = boto3.client("cloudformation")
        run(str(DEPLOY / "deploy.sh"), "foundation")
        upload("1.0.0")
        names = [f"backoffice-{name}" for name, _, _ in STACKS]
        run(str(DEPLOY / "deploy.sh"), "release", "1.0.0", exit_code="1", succeeds=False)
        checks.equal("stacks after failed migrations", stacks(client), set(names[:2]))
        run(str(DEPLOY / "deploy.sh"), "release", "1.0.0", exit_code="0")
        checks.equal("stacks of a release", stacks(client), set(names))
        created = sum(len(client.describe_stack_resources(StackName=name)["StackResources"]) for name in names)
        image = boto3.client("ecs").describe_task_definition(taskDefinition="backoffice-orders")["taskDefinition"]["containerDefinitions"][0]["image"]
        checks.equal("image of the release", image.split("/", 1)[1], "backoffice/orders:1.0.0")
        run(str(DEPLOY / "delete.sh"))
        checks.equal("remaining stacks", stacks(client), set())
        checks.equal("remaining buckets", boto3.client("s3").list_buckets()["Buckets"], [])
    if checks.failed:
        sys.exit("\n".join(checks.failed))
    print(f"{checks.passed} checks passed; {created} resources were created and deleted")


def run(*command, exit_code="", succeeds=True):
    print("$", *(part.replace(f"{DEPLOY.parent}/", "") for part in command), flush=True)
    status = subprocess.run(command, env=os.environ | {"MIGRATIONS_EXIT_CODE": exit_code}).returncode
    if (status == 0) != succeeds:
        sys.exit(f"{command[0]} exited with {status}")


def stacks(client):
    return {row["StackName"] for row in client.describe_stacks()["Stacks"]}


@contextmanager
def server():
    """Runs a moto server on a free local port. Its ECS tasks stop immediately."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    state_manager.set_transition("ecs::task", {"progression": "immediate"})
    moto = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    moto.start()
    os.environ["AWS_ENDPOINT_URL"] = "http://{}:{}".format(*moto.get_host_and_port())
    try:
        yield
    finally:
        moto.stop()


def upload(version):
    """Uploads a placeholder for the function package. docs/aws.md describes the upload of the real package."""
    bucket = boto3.client("s3").list_buckets()["Buckets"][0]["Name"]
    with TemporaryDirectory() as folder:
        package = Path(folder) / "bootstrap.zip"
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("bootstrap", "placeholder for the function")
        run("aws", "s3", "cp", "--only-show-errors", str(package), f"s3://{bucket}/orchestrator/{version}.zip")


if __name__ == "__main__":
    main()
