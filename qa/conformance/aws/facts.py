"""Facts about the resolved templates that keep the system safe: networks, secrets, rights, routes, alarms and backups."""

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
# ECR's token is for all registries of the account. Lambda asks for the others on every resource, and the role denies them to the code.
ANY_RESOURCE = {"ecr:GetAuthorizationToken", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"} | {
    f"ec2:{verb}" for verb in ("AssignPrivateIpAddresses", "CreateNetworkInterface", "DeleteNetworkInterface", "UnassignPrivateIpAddresses")
}


class Facts:
    def __init__(self):
        self.held, self.failed = 0, []

    def equal(self, what, found, wanted):
        if found == wanted:
            self.held += 1
        else:
            self.failed.append(f"{what}: expected {wanted!r}, found {found!r}")


def check():
    facts, system = Facts(), stacks()
    check_network(facts, system)
    check_rights(facts, system)
    check_database(facts, system["database"])
    for service in PORTS:
        check_service(facts, service, system[service])
    check_task(facts, "migrations", system["database"]["MigrationsTask"], system["database"]["MigrationsStart"])
    check_function(facts, system["function"])
    check_routes(facts, system["function"])
    check_authorizer(facts, system["function"])
    check_watch(facts, system)
    return facts


def check_network(facts, system):
    foundation = system["foundation"]
    kinds = {row["Type"].removeprefix("AWS::EC2::") for stack in system.values() for row in stack.resources.values()}
    facts.equal("ways out of the network", kinds & {"InternetGateway", "NatGateway", "Route", "EIP", "VPCPeeringConnection"}, set())
    facts.equal("the load balancer is internal", foundation["LoadBalancer"]["Scheme"], "internal")
    facts.equal("the zone is private", [row["VPCId"] for row in foundation["Zone"]["VPCs"]], ["foundation.Network"])
    record = foundation["LoadBalancerName"]
    facts.equal("the services' name", (record["Name"], record["AliasTarget"]["DNSName"]), ("api.backoffice.internal", "foundation.LoadBalancer.DNSName"))
    facts.equal("packages are private", set(foundation["Packages"]["PublicAccessBlockConfiguration"].values()), {True})
    facts.equal("packages are encrypted", len(foundation["Packages"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]), 1)
    for stack in system.values():
        for name, secret in stack.of_type("SecretsManager::Secret").items():
            facts.equal(f"{name} is generated", secret["GenerateSecretString"]["PasswordLength"] >= 32 and "SecretString" not in secret, True)
    for name, repository in foundation.of_type("ECR::Repository").items():
        facts.equal(f"images in {name} are never overwritten", repository["ImageTagMutability"], "IMMUTABLE")


def check_rights(facts, system):
    """No policy and no security group is wider than it has to be."""
    any_resource = set()
    for stack in system.values():
        for name, row in stack.resources.items():
            where, properties = f"{stack.name}.{name}", row.get("Properties", {})
            for statement in statements(properties):
                any_resource |= check_statement(facts, where, statement)
            if row["Type"] == "AWS::IAM::Role":
                facts.equal(f"managed policies of {where}", properties.get("ManagedPolicyArns"), None)
            if row["Type"].startswith("AWS::EC2::SecurityGroup"):
                rules = properties.get("SecurityGroupIngress", [properties] if "IpProtocol" in properties else [])
                sources = [key for rule in rules for key in rule if re.match("Cidr|Source", key)]
                facts.equal(f"sources of {where}", sources, ["SourceSecurityGroupId"] * len(rules))
    facts.equal("what is allowed on any resource", any_resource, ANY_RESOURCE)


def statements(value):
    """Every statement of every policy document in a value."""
    for item in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
        yield from statements(item)
    if isinstance(value, dict):
        yield from value.get("Statement", [])


def check_statement(facts, where, statement):
    """The actions that it allows on any resource."""
    if statement["Effect"] != "Allow" or statement["Action"] == "sts:AssumeRole":
        return set()
    actions = many(statement["Action"])
    facts.equal(f"wildcards in the actions of {where}", [action for action in actions if "*" in action], [])
    is_any = any(resource.endswith("*") and not resource.endswith("/*") for resource in many(statement["Resource"]))
    return set(actions) if is_any else set()


def many(value):
    return value if isinstance(value, list) else [value]


def check_database(facts, stack):
    cluster, row = stack["Database"], stack.resources["Database"]
    facts.equal("the data is encrypted", cluster["StorageEncrypted"], True)
    facts.equal("days of backups", cluster["BackupRetentionPeriod"], 14)
    facts.equal("the data of a deleted or replaced database", (row["DeletionPolicy"], row["UpdateReplacePolicy"]), ("Snapshot", "Snapshot"))
    settings = stack[cluster["DBClusterParameterGroupName"].removeprefix("database.")]
    facts.equal("connections without TLS", settings["Parameters"], {"require_secure_transport": "ON"})
    facts.equal("groups of the database", cluster["VpcSecurityGroupIds"], ["foundation.DatabaseGroup.GroupId"])
    facts.equal("subnets of the database", stack["Subnets"]["SubnetIds"], SUBNETS)
    facts.equal("password", cluster["MasterUserPassword"], "{{resolve:secretsmanager:database.DatabasePassword}}")
    instances = [(row["DBClusterIdentifier"], row["PubliclyAccessible"]) for row in stack.of_type("RDS::DBInstance").values()]
    facts.equal("instances", instances, [("database.Database", False)] * 2)


def check_service(facts, service, stack):
    made, listener = stack["Service"], stack["Listener"]
    deployment = made["DeploymentConfiguration"]
    network = {"AssignPublicIp": "DISABLED", "Subnets": SUBNETS, "SecurityGroups": ["foundation.ServicesGroup.GroupId"]}
    facts.equal(f"network of {service}", made["NetworkConfiguration"]["AwsvpcConfiguration"], network)
    facts.equal(f"tasks of {service} during a release", (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"]), (100, 200))
    facts.equal(f"a release of {service} that fails", deployment["DeploymentCircuitBreaker"], {"Enable": True, "Rollback": True})
    target = {"ContainerName": service, "ContainerPort": PORTS[service], "TargetGroupArn": f"{service}.Targets"}
    facts.equal(f"target of {service}", (made["TaskDefinition"], made["LoadBalancers"]), (f"{service}.Task", [target]))
    facts.equal(f"readiness of {service}", stack["Targets"]["HealthCheckPath"], "/ready")
    facts.equal(f"listener of {service}", (listener["LoadBalancerArn"], listener["Port"]), ("foundation.LoadBalancer", PORTS[service]))
    facts.equal(f"scaling of {service}", (stack["Scaling"]["MinCapacity"], stack["Scaling"]["MaxCapacity"]), (2, 6))
    check_task(facts, service, stack["Task"], stack["Start"])


def check_task(facts, name, task, start):
    [container] = task["ContainerDefinitions"]
    confinement = container["User"], container["ReadonlyRootFilesystem"], container["LinuxParameters"]["Capabilities"]["Drop"]
    facts.equal(f"confinement of {name}", confinement, ("65532:65532", True, ["ALL"]))
    facts.equal(f"role of {name} in the account", task.get("TaskRoleArn"), None)
    if name in PORTS:
        facts.equal(f"health check in {name}", container["HealthCheck"]["Command"], ["CMD", f"/{name}", "--health"])
    plain = {row["Name"]: row["Value"] for row in container["Environment"]}
    secret = {row["Name"]: row["ValueFrom"] for row in container["Secrets"]}
    facts.equal(f"secrets of {name}", secret, SECRETS[name])
    facts.equal(f"secrets in plain settings of {name}", set(plain) & set(SECRETS["customers"]), set())
    facts.equal(f"TLS of {name}", (plain["DB_SSL_MODE"], plain["DB_HOST"]), ("REQUIRED", "database.Database.Endpoint.Address"))
    readable = [arn for row in statements(start) if row["Action"] == "secretsmanager:GetSecretValue" for arn in many(row["Resource"])]
    facts.equal(f"secrets that starting {name} may read", set(readable), set(secret.values()))
    check_settings(facts, name, set(plain) | set(secret))


def check_settings(facts, name, settings):
    known = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "docs/configuration.md").read_text()))
    facts.equal(f"settings of {name} that docs/configuration.md does not name", settings - known, set())


def check_function(facts, stack):
    function, caller = stack["Function"], stack["MayBeCalled"]
    network = {"SubnetIds": SUBNETS, "SecurityGroupIds": ["foundation.CallersGroup.GroupId"]}
    facts.equal("network of the function", function["VpcConfig"], network)
    facts.equal("log of the function", function["LoggingConfig"], {"LogGroup": "function.FunctionLog"})
    facts.equal("reserved concurrency", function.get("ReservedConcurrentExecutions"), None)
    settings = function["Environment"]["Variables"]
    check_settings(facts, "the function", set(settings))
    wanted = {f"{service.upper()}_API_BASE": f"http://api.backoffice.internal:{port}" for service, port in PORTS.items()}
    wanted |= {name: f"{{{{resolve:secretsmanager:{secret}}}}}" for name, secret in SHARED.items()}
    facts.equal("settings of the function", settings, wanted | {"PROFILE": "production", "LOG_FORMAT": "json"})
    who = caller["Principal"], caller["SourceArn"].split(":")[-1]
    facts.equal("who may call the function", who, ("apigateway.amazonaws.com", "function.Api/*"))


def check_routes(facts, stack):
    """Each public operation has a route to its service and each route an operation; internal operations have none."""
    routes = [(row["RouteKey"].split(" "), row["Target"]) for row in stack.of_type("ApiGatewayV2::Route").values()]
    integrations = stack.of_type("ApiGatewayV2::Integration")
    homes = {f"integrations/function.{name}": row["IntegrationUri"] for name, row in integrations.items()}
    used = set()
    for service, method, path, operation in operations():
        found = [(" ".join(key), homes[target]) for key, target in routes if matches(key, method, path)]
        used |= {key for key, _ in found}
        home = "function.Function.Arn" if path in ("/health", "/ready") or service == "orchestrator" else f"{service}.Listener"
        wanted = set() if "internal" in operation["tags"] else {home}
        facts.equal(f"routes of {method} {path} ({service})", {home for _, home in found}, wanted)
    facts.equal("routes without an operation", {" ".join(key) for key, _ in routes} - used, set())
    address = {"overwrite:header.X-Client-Address": "$context.identity.sourceIp"}
    proxied = [(row["ConnectionId"], row["RequestParameters"]) for row in integrations.values() if row["IntegrationType"] == "HTTP_PROXY"]
    facts.equal("the way to both services", proxied, [("function.Link", address)] * 2)


def operations():
    for service in ("customers", "orders", "orchestrator"):
        for path, methods in json.loads((ROOT / "specs" / f"{service}.json").read_text())["paths"].items():
            for method, operation in methods.items():
                yield service, method.upper(), path, operation


def matches(key, method, path):
    verb, pattern = key
    prefix = pattern.removesuffix("{proxy+}")
    return verb in ("ANY", method) and (path == pattern or prefix != pattern and path.startswith(prefix))


def check_authorizer(facts, without_issuer):
    """With an issuer, only the orchestrator asks for a token of it."""
    stack = stacks(JwtIssuer="https://issuer.example", JwtAudience="backoffice")["function"]
    found = [row["RouteKey"] for row in stack.of_type("ApiGatewayV2::Route").values() if row.get("AuthorizerId") == "function.Authorizer"]
    facts.equal("where a token is asked for", found, ["POST /orchestrator/create-and-confirm-order"])
    authorizer = stack["Authorizer"]
    facts.equal("whose tokens", authorizer["JwtConfiguration"], {"Audience": ["backoffice"], "Issuer": "https://issuer.example"})
    facts.equal("in which header", authorizer["IdentitySource"], ["$request.header.X-Identity-Token"])
    facts.equal("without an issuer", without_issuer.of_type("ApiGatewayV2::Authorizer"), {})


def check_watch(facts, system):
    """Logs that expire, alarms that notify the topic, and a limit of requests."""
    alarms = {row["AlarmName"]: row for stack in system.values() for row in stack.of_type("CloudWatch::Alarm").values()}
    facts.equal("alarms", set(alarms), {f"backoffice-{name}" for name in ALARMS})
    silent = [name for name, row in alarms.items() if not row["AlarmActions"] == row["OKActions"] == ["foundation.Alarms"]]
    facts.equal("alarms that notify nothing", silent, [])
    logs = [row for stack in system.values() for row in stack.of_type("Logs::LogGroup").values()]
    facts.equal("logs", {row["LogGroupName"]: row["RetentionInDays"] for row in logs}, dict.fromkeys(LOGS, 30))
    stage = system["function"]["Stage"]
    facts.equal("requests per second", stage["DefaultRouteSettings"]["ThrottlingRateLimit"], 100)
    facts.equal("the access log is JSON", "status" in json.loads(stage["AccessLogSettings"]["Format"]), True)
