"""What is judged by the text of the templates: that no right and no door is wider than it has to be, and what moto takes and forgets."""

from functools import cache
from pathlib import Path

from cfnlint.decode import cfn_yaml

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
INTERFACES = "Lambda asks for this on every resource, and the role denies it to the code"
# What may be done to any resource, and why it cannot be less.
ANY_RESOURCE = {
    "ecr:GetAuthorizationToken": "the token is for all registries of the account",
    "ec2:AssignPrivateIpAddresses": INTERFACES,
    "ec2:CreateNetworkInterface": INTERFACES,
    "ec2:DeleteNetworkInterface": INTERFACES,
    "ec2:DescribeNetworkInterfaces": INTERFACES,
    "ec2:DescribeSubnets": INTERFACES,
    "ec2:UnassignPrivateIpAddresses": INTERFACES,
}


@cache
def load(name):
    return cfn_yaml.load(str(DEPLOY / f"{name}.yaml"))


def check(facts):
    any_resource = set()
    for path in sorted(DEPLOY.glob("*.yaml")):
        template = load(path.stem)
        facts.true(f"{path.name} says what it is for", template.get("Description"))
        for name, resource in template["Resources"].items():
            where, properties = f"{path.name}, {name}", resource.get("Properties", {})
            for statement in statements(properties):
                any_resource |= check_statement(facts, where, statement)
            if resource["Type"] == "AWS::IAM::Role":
                facts.equal(f"{where} has only policies of its own", properties.get("ManagedPolicyArns"), None)
            if resource["Type"].startswith("AWS::EC2::SecurityGroup"):
                check_group(facts, where, properties)
    facts.equal("what is allowed on any resource", sorted(any_resource), sorted(ANY_RESOURCE))
    check_promises(facts)


def check_promises(facts):
    """What moto's server cannot be asked for."""
    deployment = load("service")["Resources"]["Service"]["Properties"]["DeploymentConfiguration"]
    facts.equal("tasks while a release is deployed", (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"]), (100, 200))
    facts.equal("a release that fails", deployment["DeploymentCircuitBreaker"], {"Enable": True, "Rollback": True})
    database = load("database")["Resources"]
    facts.equal("connections without TLS", database["ServerSettings"]["Properties"]["Parameters"], {"require_secure_transport": "ON"})
    facts.equal("the data of a deleted database", database["Database"]["DeletionPolicy"], "Snapshot")
    function = load("function")["Resources"]["Function"]["Properties"]
    facts.equal("the function's log", function["LoggingConfig"], {"LogGroup": {"Ref": "FunctionLog"}})


def statements(value):
    """Every statement of every policy document in a value."""
    if isinstance(value, list):
        for item in value:
            yield from statements(item)
    if isinstance(value, dict):
        if "Statement" in value:
            yield from value["Statement"]
        for item in value.values():
            yield from statements(item)


def check_statement(facts, where, statement):
    """The actions that it allows on any resource."""
    if statement["Effect"] != "Allow" or statement["Action"] == "sts:AssumeRole":
        return set()
    actions, resources = many(statement["Action"]), many(statement["Resource"])
    facts.true(f"{where} names its actions one by one", all("*" not in action for action in actions))
    return set(actions) if any(map(is_any, resources)) else set()


def is_any(resource):
    """Whether it names every resource of a kind."""
    text = resource.get("Fn::Sub", "") if isinstance(resource, dict) else resource
    return str(text).endswith("*") and not str(text).endswith("/*")


def check_group(facts, where, properties):
    """Who may connect is named by group, never by address: nothing is open to the internet."""
    rules = properties.get("SecurityGroupIngress", [properties] if "SourceSecurityGroupId" in properties else [])
    addresses = [key for rule in rules for key in rule if key.startswith("Cidr") or key == "SourcePrefixListId"]
    facts.equal(f"{where} is open to addresses", addresses, [])
    facts.true(f"{where} is open to groups only", all("SourceSecurityGroupId" in rule for rule in rules))


def many(value):
    return value if isinstance(value, list) else [value]
