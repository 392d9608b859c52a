"""What has to be true of what deploy.sh made, asked of the API of AWS."""

import json
import re
from functools import cache
from pathlib import Path

import boto3
from templates import many

ROOT = Path(__file__).resolve().parents[3]
PORTS = {"customers": 3001, "orders": 3002}
SECRETS = {
    "customers": {"DB_PASSWORD", "JWT_SECRET", "SERVICE_TOKEN", "ADMIN_PASSWORD"},
    "orders": {"DB_PASSWORD", "JWT_SECRET", "SERVICE_TOKEN"},
    "migrations": {"DB_PASSWORD"},
}
ALARMS = {
    *(f"backoffice-database-{what}" for what in ("cpu", "capacity", "connections")),
    *(f"backoffice-{service}-{what}" for service in PORTS for what in ("errors", "latency", "too-few")),
    *(f"backoffice-function-{what}" for what in ("errors", "throttles", "duration")),
    *(f"backoffice-api-{what}" for what in ("errors", "latency")),
}
LOGS = {*(f"/backoffice/{name}" for name in ("customers", "orders", "migrations", "orchestrator")), "/aws/vendedlogs/backoffice/api"}
# Service, call, where its answer has the rows, and what a row is called by.
EVERYTHING = [
    ("apigatewayv2", "get_apis", "Items", "ApiId"),
    ("apigatewayv2", "get_vpc_links", "Items", "VpcLinkId"),
    ("cloudformation", "describe_stacks", "Stacks", "StackName"),
    ("cloudformation", "list_exports", "Exports", "Name"),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
    ("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
    ("ec2", "describe_subnets", "Subnets", "SubnetId"),
    ("ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    ("ec2", "describe_vpcs", "Vpcs", "VpcId"),
    ("ecr", "describe_repositories", "repositories", "repositoryName"),
    ("ecs", "list_task_definitions", "taskDefinitionArns", None),
    ("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
    ("elbv2", "describe_target_groups", "TargetGroups", "TargetGroupArn"),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("lambda", "list_functions", "Functions", "FunctionName"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("rds", "describe_db_cluster_parameter_groups", "DBClusterParameterGroups", "DBClusterParameterGroupName"),
    ("rds", "describe_db_clusters", "DBClusters", "DBClusterIdentifier"),
    ("rds", "describe_db_instances", "DBInstances", "DBInstanceIdentifier"),
    ("rds", "describe_db_subnet_groups", "DBSubnetGroups", "DBSubnetGroupName"),
    ("route53", "list_hosted_zones", "HostedZones", "Name"),
    ("s3", "list_buckets", "Buckets", "Name"),
    ("secretsmanager", "list_secrets", "SecretList", "ARN"),
    ("sns", "list_topics", "Topics", "TopicArn"),
]


@cache
def aws(service):
    return boto3.client(service)


def everything():
    """All that there is, by kind."""
    rows = {(service, call): (getattr(aws(service), call)()[where], name) for service, call, where, name in EVERYTHING}
    rows["ecs", "describe_clusters"] = (aws("ecs").describe_clusters(clusters=["backoffice"])["clusters"], "clusterArn")
    targets = aws("application-autoscaling").describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    rows["application-autoscaling", "describe_scalable_targets"] = (targets, "ResourceId")
    return {kind: {row[name] if name else row for row in found if is_there(row)} for kind, (found, name) in rows.items()}


def is_there(row):
    """Some are shown for a while after they were deleted."""
    return isinstance(row, str) or (row.get("State") != "deleted" and row.get("status") != "INACTIVE")


def output(stack, name):
    outputs = aws("cloudformation").describe_stacks(StackName=f"backoffice-{stack}")["Stacks"][0]["Outputs"]
    return next(row["OutputValue"] for row in outputs if row["OutputKey"] == name)


def check(facts, version):
    check_database(facts)
    for service in PORTS:
        check_service(facts, service, version)
    check_task(facts, "migrations", f"{output('foundation', 'Registry')}/db:{version}")
    check_function(facts, version)
    check_routes(facts)
    check_watch(facts)


def check_database(facts):
    cluster = aws("rds").describe_db_clusters()["DBClusters"][0]
    facts.equal("engine", cluster["Engine"], "aurora-mysql")
    facts.equal("the data is encrypted", cluster["StorageEncrypted"], True)
    facts.equal("days of backups", cluster["BackupRetentionPeriod"], 14)
    facts.equal("capacity", cluster["ServerlessV2ScalingConfiguration"], {"MinCapacity": 0.5, "MaxCapacity": 8.0})
    groups = [row["VpcSecurityGroupId"] for row in cluster["VpcSecurityGroups"]]
    facts.equal("groups of the database", groups, [output("foundation", "DatabaseGroup")])
    facts.equal("where the database is", output("database", "Host"), cluster["Endpoint"])
    instances = aws("rds").describe_db_instances()["DBInstances"]
    facts.equal("instances", [row["DBClusterIdentifier"] for row in instances], [cluster["DBClusterIdentifier"]] * 2)


def check_service(facts, service, version):
    port = PORTS[service]
    made = aws("ecs").describe_services(cluster="backoffice", services=[service])["services"][0]
    where = made["networkConfiguration"]["awsvpcConfiguration"]
    newest = aws("ecs").describe_task_definition(taskDefinition=f"backoffice-{service}")["taskDefinition"]["taskDefinitionArn"]
    facts.equal(f"{service} runs the newest task", made["taskDefinition"], newest)
    facts.equal(f"{service} has no public address", where["assignPublicIp"], "DISABLED")
    facts.equal(f"groups of {service}", where["securityGroups"], [output("foundation", "ServicesGroup")])
    facts.equal(f"subnets of {service}", where["subnets"], [output("foundation", "SubnetA"), output("foundation", "SubnetB")])
    target = made["loadBalancers"][0]
    facts.equal(f"port of {service}", target["containerPort"], port)
    check_target(facts, service, target["targetGroupArn"])
    check_task(facts, service, f"{output('foundation', 'Registry')}/{service}:{version}")
    where = {"ServiceNamespace": "ecs", "ResourceIds": [f"service/backoffice/{service}"]}
    targets = aws("application-autoscaling").describe_scalable_targets(**where)["ScalableTargets"]
    facts.equal(f"scaling of {service}", [(row["MinCapacity"], row["MaxCapacity"]) for row in targets], [(2, 6)])


def check_target(facts, service, arn):
    group = aws("elbv2").describe_target_groups(TargetGroupArns=[arn])["TargetGroups"][0]
    names = ("HealthCheckPath", "HealthCheckIntervalSeconds", "HealthyThresholdCount", "UnhealthyThresholdCount", "TargetType")
    facts.equal(f"health check of {service}", [group[name] for name in names], ["/ready", 10, 2, 10, "ip"])
    listeners = aws("elbv2").describe_listeners(LoadBalancerArn=output("foundation", "LoadBalancer"))["Listeners"]
    ports = [row["Port"] for row in listeners if row["DefaultActions"][0]["TargetGroupArn"] == arn]
    facts.equal(f"listener of {service}", ports, [PORTS[service]])
    balancer = aws("elbv2").describe_load_balancers()["LoadBalancers"][0]
    facts.equal("the load balancer is internal", balancer["Scheme"], "internal")


def check_task(facts, name, image):
    task = aws("ecs").describe_task_definition(taskDefinition=f"backoffice-{name}")["taskDefinition"]
    container = task["containerDefinitions"][0]
    facts.equal(f"image of {name}", container["image"], image)
    facts.equal(f"architecture of {name}", task["runtimePlatform"]["cpuArchitecture"], "ARM64")
    facts.equal(f"{name} is confined", confinement(container), ("65532:65532", True, ["ALL"]))
    facts.equal(f"{name} may do nothing in the account", task.get("taskRoleArn"), None)
    facts.equal(f"log of {name}", container["logConfiguration"]["options"]["awslogs-group"], f"/backoffice/{name}")
    if name in PORTS:
        facts.equal(f"{name} asks itself", container["healthCheck"]["command"], ["CMD", f"/{name}", "--health"])
    plain = {row["name"]: row["value"] for row in container["environment"]}
    secret = {row["name"]: row["valueFrom"] for row in container["secrets"]}
    facts.equal(f"secrets of {name}", set(secret), SECRETS[name])
    facts.equal(f"plain settings of {name} are no secrets", set(plain) & SECRETS["customers"], set())
    facts.equal(f"TLS of {name}", plain["DB_SSL_MODE"], "REQUIRED")
    check_settings(facts, name, set(plain) | set(secret))
    facts.equal(f"secrets that starting {name} may read", readable(task["executionRoleArn"]), set(secret.values()))
    known = {row["ARN"] for row in aws("secretsmanager").list_secrets()["SecretList"]}
    facts.equal(f"secrets of {name} that nobody made", set(secret.values()) - known, set())


def confinement(container):
    return container["user"], container["readonlyRootFilesystem"], container["linuxParameters"]["capabilities"]["drop"]


def readable(role_arn):
    """The secrets that a role may read."""
    role = role_arn.split("/")[-1]
    names = aws("iam").list_role_policies(RoleName=role)["PolicyNames"]
    documents = [aws("iam").get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]
    rows = [row for document in documents for row in document["Statement"] if row["Action"] == "secretsmanager:GetSecretValue"]
    return {arn for row in rows for arn in many(row["Resource"])}


def check_settings(facts, name, settings):
    """Each is one that the README knows."""
    known = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "README.md").read_text()))
    facts.equal(f"settings of {name} that the README does not know", settings - known, set())


def check_function(facts, version):
    found = aws("lambda").get_function(FunctionName="backoffice-orchestrator")
    function = found["Configuration"]
    names = ("Runtime", "Handler", "Timeout", "MemorySize", "Architectures")
    facts.equal("the function", [function[name] for name in names], ["provided.al2023", "bootstrap", 30, 256, ["arm64"]])
    facts.equal("the function's group", function["VpcConfig"]["SecurityGroupIds"], [output("foundation", "CallersGroup")])
    settings = function["Environment"]["Variables"]
    check_function_settings(facts, settings)
    facts.equal("reserved concurrency", found.get("Concurrency"), None)
    check_callers(facts)
    bucket = output("foundation", "Packages")
    keys = [row["Key"] for row in aws("s3").list_objects_v2(Bucket=bucket)["Contents"]]
    facts.equal("packages", keys, [f"orchestrator/{version}.zip"])


def check_function_settings(facts, settings):
    check_settings(facts, "the function", set(settings))
    facts.equal("the function's profile", settings["PROFILE"], "production")
    secrets = task_secrets("orders")
    for name in ("JWT_SECRET", "SERVICE_TOKEN"):
        value = aws("secretsmanager").get_secret_value(SecretId=secrets[name])["SecretString"]
        facts.true(f"{name} of the function is that of the services", settings[name] == value and len(value) == 64)
    host = "api.backoffice.internal"
    bases = [settings[name] for name in ("CUSTOMERS_API_BASE", "ORDERS_API_BASE")]
    facts.equal("where the function finds the services", bases, [f"http://{host}:{port}" for port in PORTS.values()])
    check_name(facts, host)


def check_name(facts, host):
    """Within the network alone it is that of the load balancer."""
    [zone] = aws("route53").list_hosted_zones()["HostedZones"]
    facts.true("the zone of the services is private", zone["Config"]["PrivateZone"])
    records = aws("route53").list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
    aliases = [record["AliasTarget"]["DNSName"] for record in records if record["Name"].rstrip(".") == host]
    facts.equal("whom the name leads to", aliases, [aws("elbv2").describe_load_balancers()["LoadBalancers"][0]["DNSName"]])


def check_callers(facts):
    """Nobody but this API may call the function."""
    policy = json.loads(aws("lambda").get_policy(FunctionName="backoffice-orchestrator")["Policy"])
    callers = [(row["Principal"]["Service"], row["Condition"]["ArnLike"]["AWS:SourceArn"].split(":")[-1]) for row in policy["Statement"]]
    facts.equal("who may call the function", callers, [("apigateway.amazonaws.com", f"{api()}/*")])


def task_secrets(name):
    task = aws("ecs").describe_task_definition(taskDefinition=f"backoffice-{name}")["taskDefinition"]
    return {row["name"]: row["valueFrom"] for row in task["containerDefinitions"][0]["secrets"]}


def api():
    return aws("apigatewayv2").get_apis()["Items"][0]["ApiId"]


def check_routes(facts):
    """What the documents offer to operators and callers has a route to its service; what is internal has none."""
    routes, integrations = aws("apigatewayv2").get_routes(ApiId=api())["Items"], aws("apigatewayv2").get_integrations(ApiId=api())["Items"]
    uris = {f"integrations/{row['IntegrationId']}": row["IntegrationUri"] for row in integrations}
    told = [row.get("RequestParameters") for row in integrations if row["IntegrationType"] == "HTTP_PROXY"]
    address = {"overwrite:header.X-Client-Address": "$context.identity.sourceIp"}
    facts.equal("what both services are told of a client's address", told, [address] * 2)
    offered = [(row["RouteKey"].split(" "), uris[row["Target"]]) for row in routes]
    function = aws("lambda").get_function(FunctionName="backoffice-orchestrator")["Configuration"]["FunctionArn"]
    homes = {"orchestrator": function} | {service: output(service, "Listener") for service in PORTS}
    for service, home in homes.items():
        for method, path, operation in operations(service):
            found = {uri for (verb, pattern), uri in offered if verb in ("ANY", method) and matches(pattern, path)}
            own = service != "orchestrator" and path in ("/health", "/ready")
            wanted = {function} if own else set() if "internal" in operation["tags"] else {home}
            facts.equal(f"routes of {method} {path} ({service})", found, wanted)
    facts.equal("authorization", {row["AuthorizationType"] for row in routes}, {"NONE"})


def operations(service):
    document = json.loads((ROOT / "specs" / f"{service}.json").read_text())
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if not {"docs", "openapi.json"} & set(path.split("/")):
                yield method.upper(), path, operation


def matches(pattern, path):
    """A route's path ends with {proxy+} or is as it stands."""
    if pattern.endswith("{proxy+}"):
        return path.startswith(pattern.removesuffix("{proxy+}"))
    return path == pattern


def check_authorizer(facts):
    routes = [row for row in aws("apigatewayv2").get_routes(ApiId=api())["Items"] if row["AuthorizationType"] == "JWT"]
    facts.equal("where a token is asked for", [row["RouteKey"] for row in routes], ["POST /orchestrator/create-and-confirm-order"])
    found = [aws("apigatewayv2").get_authorizer(ApiId=api(), AuthorizerId=row["AuthorizerId"]) for row in routes]
    facts.equal("whose tokens", [row["JwtConfiguration"] for row in found], [{"Audience": ["backoffice"], "Issuer": "https://issuer.example"}])
    facts.equal("in which header", [row["IdentitySource"] for row in found], [["$request.header.X-Identity-Token"]])


def check_watch(facts):
    """Logs that end some day, alarms that somebody is told of, and a limit of requests."""
    alarms = [row for row in aws("cloudwatch").describe_alarms()["MetricAlarms"] if row["AlarmName"].startswith("backoffice-")]
    facts.equal("alarms", {row["AlarmName"] for row in alarms}, ALARMS)
    topic = output("foundation", "Alarms")
    silent = [row["AlarmName"] for row in alarms if row["AlarmActions"] != [topic] or row["OKActions"] != [topic]]
    facts.equal("alarms that tell nobody", silent, [])
    logs = {row["logGroupName"]: row.get("retentionInDays") for row in aws("logs").describe_log_groups()["logGroups"]}
    facts.equal("logs", logs, dict.fromkeys(LOGS, 30))
    stage = aws("apigatewayv2").get_stages(ApiId=api())["Items"][0]
    facts.equal("requests per second", stage["DefaultRouteSettings"]["ThrottlingRateLimit"], 100.0)
    facts.true("the access log is JSON", json.loads(stage["AccessLogSettings"]["Format"]))


def check_gone(facts, before):
    """The database leaves a snapshot, by its policy."""
    for kind, names in everything().items():
        facts.equal(f"{' '.join(kind)}: what is left", names - before[kind], set())
    snapshots = aws("rds").describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]
    facts.equal("snapshots that are left", len(snapshots), 1)
