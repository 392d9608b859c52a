"""Checks the networks, secrets, permissions, routes, alarms and backups in the resolved templates."""

import json
import re
from pathlib import Path

from stacks import stacks

ROOT = Path(__file__).resolve().parents[3]
PORTS = {"customers": 3001, "orders": 3002}
DATABASE = {"DB_PASSWORD": "database.DatabasePassword"}
SHARED = {"JWT_SECRET": "foundation.JwtSecret", "SERVICE_TOKEN": "foundation.ServiceToken"}
ADMIN = {"ADMIN_PASSWORD": "foundation.AdminPassword"}
SECRETS = {"customers": DATABASE | SHARED | ADMIN, "orders": DATABASE | SHARED, "migrations": DATABASE}
SUBNETS = ["foundation.SubnetA", "foundation.SubnetB"]
ALARMS = """database-cpu database-capacity database-connections customers-errors customers-latency customers-too-few orders-errors
orders-latency orders-too-few function-errors function-throttles function-duration api-errors api-latency""".split()
LOGS = {"/aws/vendedlogs/backoffice/api"} | {f"/backoffice/{name}" for name in ("customers", "orders", "migrations", "orchestrator")}
# The ECR token is valid for all registries of the account. Lambda requires the other actions on all resources; the role
# denies them to the function's code.
ANY_RESOURCE = {"ecr:GetAuthorizationToken", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"} | {
    f"ec2:{verb}" for verb in ("AssignPrivateIpAddresses", "CreateNetworkInterface", "DeleteNetworkInterface", "UnassignPrivateIpAddresses")
}


class Checks:
    def __init__(self):
        self.passed, self.failed = 0, []

    def equal(self, what, found, expected):
        if found == expected:
            self.passed += 1
        else:
            self.failed.append(f"{what}: expected {expected!r}, found {found!r}")


def run():
    checks, system = Checks(), stacks()
    check_network(checks, system)
    check_permissions(checks, system)
    check_database(checks, system["database"])
    for service in PORTS:
        check_service(checks, service, system[service])
    check_task(checks, "migrations", system["database"]["MigrationsTask"], system["database"]["MigrationsStart"])
    check_function(checks, system["function"])
    check_routes(checks, system["function"])
    check_authorizer(checks, system["function"])
    check_monitoring(checks, system)
    return checks


def check_network(checks, system):
    foundation = system["foundation"]
    kinds = {row["Type"].removeprefix("AWS::EC2::") for stack in system.values() for row in stack.resources.values()}
    checks.equal("connections to the Internet", kinds & {"InternetGateway", "NatGateway", "Route", "EIP", "VPCPeeringConnection"}, set())
    checks.equal("the load balancer is internal", foundation["LoadBalancer"]["Scheme"], "internal")
    checks.equal("the zone is private", [row["VPCId"] for row in foundation["Zone"]["VPCs"]], ["foundation.Network"])
    record = foundation["LoadBalancerName"]
    checks.equal("the services' name", (record["Name"], record["AliasTarget"]["DNSName"]), ("api.backoffice.internal", "foundation.LoadBalancer.DNSName"))
    checks.equal("packages are private", set(foundation["Packages"]["PublicAccessBlockConfiguration"].values()), {True})
    checks.equal("packages are encrypted", len(foundation["Packages"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]), 1)
    for stack in system.values():
        for name, secret in stack.of_type("SecretsManager::Secret").items():
            checks.equal(f"{name} is generated", secret["GenerateSecretString"]["PasswordLength"] >= 32 and "SecretString" not in secret, True)
    for name, repository in foundation.of_type("ECR::Repository").items():
        checks.equal(f"images in {name} are never overwritten", repository["ImageTagMutability"], "IMMUTABLE")


def check_permissions(checks, system):
    """Checks that policies and security groups grant only what is needed."""
    any_resource = set()
    for stack in system.values():
        for name, row in stack.resources.items():
            where, properties = f"{stack.name}.{name}", row.get("Properties", {})
            for statement in statements(properties):
                any_resource |= check_statement(checks, where, statement)
            if row["Type"] == "AWS::IAM::Role":
                checks.equal(f"managed policies of {where}", properties.get("ManagedPolicyArns"), None)
            if row["Type"].startswith("AWS::EC2::SecurityGroup"):
                rules = properties.get("SecurityGroupIngress", [properties] if "IpProtocol" in properties else [])
                sources = [key for rule in rules for key in rule if re.match("Cidr|Source", key)]
                checks.equal(f"sources of {where}", sources, ["SourceSecurityGroupId"] * len(rules))
    checks.equal("actions allowed on any resource", any_resource, ANY_RESOURCE)


def statements(value):
    """Iterates over all statements of all policy documents in a value."""
    for item in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
        yield from statements(item)
    if isinstance(value, dict):
        yield from value.get("Statement", [])


def check_statement(checks, where, statement):
    """Checks a statement for wildcard actions, and returns the actions that it allows on any resource."""
    if statement["Effect"] != "Allow" or statement["Action"] == "sts:AssumeRole":
        return set()
    actions = many(statement["Action"])
    checks.equal(f"wildcards in the actions of {where}", [action for action in actions if "*" in action], [])
    is_any = any(resource.endswith("*") and not resource.endswith("/*") for resource in many(statement["Resource"]))
    return set(actions) if is_any else set()


def many(value):
    return value if isinstance(value, list) else [value]


def check_database(checks, stack):
    cluster, row = stack["Database"], stack.resources["Database"]
    checks.equal("the data is encrypted", cluster["StorageEncrypted"], True)
    checks.equal("days of backups", cluster["BackupRetentionPeriod"], 14)
    checks.equal("the data of a deleted or replaced database", (row["DeletionPolicy"], row["UpdateReplacePolicy"]), ("Snapshot", "Snapshot"))
    settings = stack[cluster["DBClusterParameterGroupName"].removeprefix("database.")]
    checks.equal("connections without TLS", settings["Parameters"], {"require_secure_transport": "ON"})
    checks.equal("groups of the database", cluster["VpcSecurityGroupIds"], ["foundation.DatabaseGroup.GroupId"])
    checks.equal("subnets of the database", stack["Subnets"]["SubnetIds"], SUBNETS)
    checks.equal("password", cluster["MasterUserPassword"], "{{resolve:secretsmanager:database.DatabasePassword}}")
    instances = [(row["DBClusterIdentifier"], row["PubliclyAccessible"]) for row in stack.of_type("RDS::DBInstance").values()]
    checks.equal("instances", instances, [("database.Database", False)] * 2)


def check_service(checks, service, stack):
    definition, listener = stack["Service"], stack["Listener"]
    deployment = definition["DeploymentConfiguration"]
    network = {"AssignPublicIp": "DISABLED", "Subnets": SUBNETS, "SecurityGroups": ["foundation.ServicesGroup.GroupId"]}
    checks.equal(f"network of {service}", definition["NetworkConfiguration"]["AwsvpcConfiguration"], network)
    checks.equal(f"tasks of {service} during a release", (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"]), (100, 200))
    checks.equal(f"a release of {service} that fails", deployment["DeploymentCircuitBreaker"], {"Enable": True, "Rollback": True})
    target = {"ContainerName": service, "ContainerPort": PORTS[service], "TargetGroupArn": f"{service}.Targets"}
    checks.equal(f"target of {service}", (definition["TaskDefinition"], definition["LoadBalancers"]), (f"{service}.Task", [target]))
    # A failed check replaces a task, which does not end a database outage.
    checks.equal(f"health check of {service}", stack["Targets"]["HealthCheckPath"], "/health")
    start = stack["Task"]["ContainerDefinitions"][0]["HealthCheck"]["StartPeriod"]
    checks.equal(f"seconds to reach the database for a new task of {service}", (start, definition["HealthCheckGracePeriodSeconds"]), (120, 120))
    checks.equal(f"listener of {service}", (listener["LoadBalancerArn"], listener["Port"]), ("foundation.LoadBalancer", PORTS[service]))
    checks.equal(f"scaling of {service}", (stack["Scaling"]["MinCapacity"], stack["Scaling"]["MaxCapacity"]), (2, 6))
    check_task(checks, service, stack["Task"], stack["Start"])


def check_task(checks, name, task, start):
    [container] = task["ContainerDefinitions"]
    confinement = container["User"], container["ReadonlyRootFilesystem"], container["LinuxParameters"]["Capabilities"]["Drop"]
    checks.equal(f"confinement of {name}", confinement, ("65532:65532", True, ["ALL"]))
    checks.equal(f"role of {name} in the account", task.get("TaskRoleArn"), None)
    if name in PORTS:
        checks.equal(f"health check in {name}", container["HealthCheck"]["Command"], ["CMD", f"/{name}", "--health"])
    plain = {row["Name"]: row["Value"] for row in container["Environment"]}
    secret = {row["Name"]: row["ValueFrom"] for row in container["Secrets"]}
    checks.equal(f"secrets of {name}", secret, SECRETS[name])
    checks.equal(f"secrets in plaintext settings of {name}", set(plain) & set(SECRETS["customers"]), set())
    checks.equal(f"TLS of {name}", (plain["DB_SSL_MODE"], plain["DB_HOST"]), ("REQUIRED", "database.Database.Endpoint.Address"))
    readable = [arn for row in statements(start) if row["Action"] == "secretsmanager:GetSecretValue" for arn in many(row["Resource"])]
    checks.equal(f"secrets that starting {name} may read", set(readable), set(secret.values()))
    check_settings(checks, name, set(plain) | set(secret))


def check_settings(checks, name, settings):
    known = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "docs/configuration.md").read_text()))
    checks.equal(f"settings of {name} missing in docs/configuration.md", settings - known, set())


def check_function(checks, stack):
    function, caller = stack["Function"], stack["MayBeCalled"]
    network = {"SubnetIds": SUBNETS, "SecurityGroupIds": ["foundation.CallersGroup.GroupId"]}
    checks.equal("network of the function", function["VpcConfig"], network)
    checks.equal("log of the function", function["LoggingConfig"], {"LogGroup": "function.FunctionLog"})
    checks.equal("reserved concurrency", function.get("ReservedConcurrentExecutions"), None)
    settings = function["Environment"]["Variables"]
    check_settings(checks, "the function", set(settings))
    expected = {f"{service.upper()}_API_BASE": f"http://api.backoffice.internal:{port}" for service, port in PORTS.items()}
    expected |= {name: f"{{{{resolve:secretsmanager:{secret}}}}}" for name, secret in SHARED.items()}
    checks.equal("settings of the function", settings, expected | {"PROFILE": "production", "LOG_FORMAT": "json"})
    principal = caller["Principal"], caller["SourceArn"].split(":")[-1]
    checks.equal("permitted caller of the function", principal, ("apigateway.amazonaws.com", "function.Api/*"))


def check_routes(checks, stack):
    """Checks that each public operation has a route to its service, internal operations have none, and no route is unused."""
    routes = [(row["RouteKey"].split(" "), row["Target"]) for row in stack.of_type("ApiGatewayV2::Route").values()]
    integrations = stack.of_type("ApiGatewayV2::Integration")
    uris = {f"integrations/function.{name}": row["IntegrationUri"] for name, row in integrations.items()}
    used = set()
    for service, method, path, operation in operations():
        found = [(" ".join(key), uris[target]) for key, target in routes if matches(key, method, path)]
        used |= {key for key, _ in found}
        uri = "function.Function.Arn" if path in ("/health", "/ready") or service == "orchestrator" else f"{service}.Listener"
        expected = set() if "internal" in operation["tags"] else {uri}
        checks.equal(f"routes of {method} {path} ({service})", {uri for _, uri in found}, expected)
    checks.equal("routes without an operation", {" ".join(key) for key, _ in routes} - used, set())
    address = {"overwrite:header.X-Client-Address": "$context.identity.sourceIp"}
    proxied = [(row["ConnectionId"], row["RequestParameters"]) for row in integrations.values() if row["IntegrationType"] == "HTTP_PROXY"]
    checks.equal("integrations of both services", proxied, [("function.Link", address)] * 2)


def operations():
    for service in ("customers", "orders", "orchestrator"):
        for path, methods in json.loads((ROOT / "specs" / f"{service}.json").read_text())["paths"].items():
            for method, operation in methods.items():
                yield service, method.upper(), path, operation


def matches(key, method, path):
    verb, pattern = key
    prefix = pattern.removesuffix("{proxy+}")
    return verb in ("ANY", method) and (path == pattern or prefix != pattern and path.startswith(prefix))


def check_authorizer(checks, without_issuer):
    """Checks that, if an issuer is set, only the orchestrator's operation requires the issuer's token."""
    stack = stacks(JwtIssuer="https://issuer.example", JwtAudience="backoffice")["function"]
    found = [row["RouteKey"] for row in stack.of_type("ApiGatewayV2::Route").values() if row.get("AuthorizerId") == "function.Authorizer"]
    checks.equal("routes that require a token", found, ["POST /orchestrator/create-and-confirm-order"])
    authorizer = stack["Authorizer"]
    checks.equal("issuer and audience of tokens", authorizer["JwtConfiguration"], {"Audience": ["backoffice"], "Issuer": "https://issuer.example"})
    checks.equal("header of the token", authorizer["IdentitySource"], ["$request.header.X-Identity-Token"])
    checks.equal("authorizers without an issuer", without_issuer.of_type("ApiGatewayV2::Authorizer"), {})


def check_monitoring(checks, system):
    """Checks log retention, alarm notifications and the rate limit."""
    alarms = {row["AlarmName"]: row for stack in system.values() for row in stack.of_type("CloudWatch::Alarm").values()}
    checks.equal("alarms", set(alarms), {f"backoffice-{name}" for name in ALARMS})
    silent = [name for name, row in alarms.items() if not row["AlarmActions"] == row["OKActions"] == ["foundation.Alarms"]]
    checks.equal("alarms without notification", silent, [])
    logs = [row for stack in system.values() for row in stack.of_type("Logs::LogGroup").values()]
    checks.equal("logs", {row["LogGroupName"]: row["RetentionInDays"] for row in logs}, dict.fromkeys(LOGS, 30))
    stage = system["function"]["Stage"]
    checks.equal("limit of requests per second", stage["DefaultRouteSettings"]["ThrottlingRateLimit"], 100)
    checks.equal("the access log is JSON", "status" in json.loads(stage["AccessLogSettings"]["Format"]), True)
