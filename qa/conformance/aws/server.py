"""Moto's server on a free port of loopback, which it prints, until it is ended. Its CloudFormation does not know some types, and of others
it drops most properties. Those are here, made as CloudFormation makes them: by calls of the API of AWS, sent to the server itself. So
botocore refuses each property that AWS does not know, and what is made can be described as on AWS.
"""

import json
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from threading import Event
from typing import Any

import boto3
from moto.cloudformation.models import CloudFormationBackend
from moto.cloudformation.parsing import ResourceMap
from moto.core.common_models import CloudFormationModel
from moto.ecs.models import Container, EC2ContainerServiceBackend
from moto.moto_api import state_manager
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

SERVER = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
# Moto finds the subclasses of its model, which somebody has to keep.
KINDS: dict[str, type] = {}


@dataclass
class Made:
    """What `Ref` gives, what `Fn::GetAtt` gives, and how it is deleted."""

    physical_resource_id: str
    delete_it: Callable[[], Any]
    attributes: dict[str, str] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)

    def delete(self, account_id, region_name):
        self.delete_it()

    def get_cfn_attribute(self, name):
        return self.attributes[name]

    def is_created(self):
        return True


def kind(name):
    """Registers a function as the one that makes resources of a type, from their name and properties."""

    def register(make):
        def create(cls, resource_name, cloudformation_json, account_id, region_name, **_):
            properties = resolved(cloudformation_json["Properties"])
            made = make(resource_name, deepcopy(properties))
            made.properties = properties
            return made

        def update(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
            if original_resource is None or resolved(cloudformation_json["Properties"]) == original_resource.properties:
                return original_resource
            original_resource.delete_it()
            return create(cls, new_resource_name, cloudformation_json, account_id, region_name)

        methods = {
            "cloudformation_type": staticmethod(lambda: name),
            "cloudformation_name_type": staticmethod(lambda: ""),
            "has_cfn_attr": classmethod(lambda cls, attribute: True),
            "create_from_cloudformation_json": classmethod(create),
            "update_from_cloudformation_json": classmethod(update),
        }
        KINDS[name] = type(name, (CloudFormationModel,), methods)
        return make

    return register


def execute_change_set(backend, change_set_name, stack_name=None):
    """`aws cloudformation deploy` works with change sets. Moto's own way of carrying them out knows neither outputs nor exports, and takes
    a parameter that stays what it was for a change; its ways of making and updating stacks are right.
    """
    change_set = backend.change_sets[change_set_name]
    stack = change_set.stack
    if change_set.change_set_type == "CREATE":
        del backend.stacks[stack.stack_id]
        backend.create_stack(stack.name, change_set.template, change_set.parameters)
    else:
        before = stack.stack_parameters
        parameters = {key: value for key, value in change_set.parameters.items() if key in stack.parameters or value != before[key]}
        stack.update(change_set.template, parameters=parameters)


def differences(resources, template, parameters=None):
    """Moto looks for changes of the text. Here each type looks at its properties, with all that they refer to."""
    old, new = resources._resource_json_map, template["Resources"]
    return {
        "Add": [name for name in new if name not in old],
        "Modify": [name for name in new if name in old and new[name]["Type"] in KINDS],
        "Remove": [name for name in old if name not in new],
    }


def delete(resources):
    """What was made last goes first, as on AWS. Moto's own order is a different one each time."""
    for name, resource in reversed(list(resources._parsed_resources.items())):
        if name in resources.resources and resource is not None:
            resources._delete_resource(resource, resources._resource_json_map[name])


CloudFormationBackend.execute_change_set = execute_change_set
ResourceMap.build_resource_diff = differences
ResourceMap.delete = delete
# What a task needs is asked of its containers, also on Fargate, where the task says it.
EC2ContainerServiceBackend._calculate_task_resource_requirements = lambda *_: {}
make_container = Container.__init__


def container(self, task_definition):
    """All that a container does here is to end: badly, where its version says so."""
    make_container(self, task_definition)
    self.exitCode = int(self.image.endswith(":broken"))


Container.__init__ = container
# A task has done its work when it is looked at.
state_manager.set_transition("ecs::task", {"progression": "immediate"})


@cache
def aws(service):
    host, port = SERVER.get_host_and_port()
    return boto3.client(service, endpoint_url=f"http://{host}:{port}")


def resolved(value):
    """Without what is AWS::NoValue, and with the secrets that dynamic references name."""
    if isinstance(value, dict):
        return {key: resolved(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [resolved(item) for item in value if item is not None]
    if isinstance(value, str) and (reference := re.fullmatch(r"\{\{resolve:secretsmanager:(arn:[^}]+)\}\}", value)):
        return aws("secretsmanager").get_secret_value(SecretId=reference[1])["SecretString"]
    return value


def camel(value):
    """ECS spells its parameters with a small letter, CloudFormation with a capital one."""
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: camel(item) for key, item in value.items()}
    return [camel(item) for item in value] if isinstance(value, list) else value


@kind("AWS::EC2::VPC")
def network(_, properties):
    client = aws("ec2")
    flags = {key: {"Value": properties.pop(key)} for key in ("EnableDnsSupport", "EnableDnsHostnames")}
    tags = [{"ResourceType": "vpc", "Tags": properties.pop("Tags")}]
    network = client.create_vpc(TagSpecifications=tags, **properties)["Vpc"]["VpcId"]
    for key, value in flags.items():
        client.modify_vpc_attribute(VpcId=network, **{key: value})
    return Made(network, lambda: client.delete_vpc(VpcId=network))


@kind("AWS::EC2::RouteTable")
def route_table(_, properties):
    client = aws("ec2")
    table = client.create_route_table(**properties)["RouteTable"]["RouteTableId"]
    return Made(table, lambda: client.delete_route_table(RouteTableId=table))


@kind("AWS::EC2::SubnetRouteTableAssociation")
def route_table_association(_, properties):
    client = aws("ec2")
    association = client.associate_route_table(**properties)["AssociationId"]
    return Made(association, lambda: client.disassociate_route_table(AssociationId=association))


@kind("AWS::EC2::SecurityGroupIngress")
def ingress(_, properties):
    client, group = aws("ec2"), properties.pop("GroupId")
    source = {"GroupId": properties.pop("SourceSecurityGroupId"), "Description": properties.pop("Description")}
    rule = properties | {"UserIdGroupPairs": [source]}
    made = client.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    return Made(made, lambda: client.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[made]))


@kind("AWS::EC2::VPCEndpoint")
def endpoint(_, properties):
    client = aws("ec2")
    if policy := properties.get("PolicyDocument"):
        properties["PolicyDocument"] = json.dumps(policy)
    endpoint = client.create_vpc_endpoint(**properties)["VpcEndpoint"]["VpcEndpointId"]
    return Made(endpoint, lambda: client.delete_vpc_endpoints(VpcEndpointIds=[endpoint]))


@kind("AWS::S3::Bucket")
def bucket(name, properties):
    client, name = aws("s3"), name.lower()
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": client.meta.region_name})
    client.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=properties["PublicAccessBlockConfiguration"])
    rules = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    rules = [{"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]} for rule in rules]
    client.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    return Made(name, lambda: client.delete_bucket(Bucket=name))


@kind("AWS::IAM::Role")
def role(name, properties):
    client = aws("iam")
    trust, policies = json.dumps(properties.pop("AssumeRolePolicyDocument")), properties.pop("Policies")
    arn = client.create_role(RoleName=name, AssumeRolePolicyDocument=trust, **properties)["Role"]["Arn"]
    for policy in policies:
        client.put_role_policy(RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=json.dumps(policy["PolicyDocument"]))

    def delete():
        for policy in policies:
            client.delete_role_policy(RoleName=name, PolicyName=policy["PolicyName"])
        client.delete_role(RoleName=name)

    return Made(name, delete, {"Arn": arn})


@kind("AWS::SecretsManager::Secret")
def secret(name, properties):
    client = aws("secretsmanager")
    value = client.get_random_password(**properties.pop("GenerateSecretString"))["RandomPassword"]
    arn = client.create_secret(Name=name, SecretString=value, **properties)["ARN"]
    return Made(arn, lambda: client.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True))


@kind("AWS::RDS::DBSubnetGroup")
def subnet_group(name, properties):
    client, name = aws("rds"), name.lower()
    client.create_db_subnet_group(DBSubnetGroupName=name, **properties)
    return Made(name, lambda: client.delete_db_subnet_group(DBSubnetGroupName=name))


@kind("AWS::RDS::DBClusterParameterGroup")
def parameter_group(name, properties):
    client, name = aws("rds"), name.lower()
    family, parameters = properties.pop("Family"), properties.pop("Parameters")
    client.create_db_cluster_parameter_group(DBClusterParameterGroupName=name, DBParameterGroupFamily=family, **properties)
    changes = [{"ParameterName": key, "ParameterValue": value, "ApplyMethod": "immediate"} for key, value in parameters.items()]
    client.modify_db_cluster_parameter_group(DBClusterParameterGroupName=name, Parameters=changes)
    return Made(name, lambda: client.delete_db_cluster_parameter_group(DBClusterParameterGroupName=name))


@kind("AWS::RDS::DBCluster")
def cluster(name, properties):
    client, name = aws("rds"), name.lower()
    made = client.create_db_cluster(DBClusterIdentifier=name, **properties)["DBCluster"]
    last = {"DBClusterIdentifier": name, "FinalDBSnapshotIdentifier": f"{name}-last"}
    return Made(name, lambda: client.delete_db_cluster(**last), {"Endpoint": made["Endpoint"]})


@kind("AWS::RDS::DBInstance")
def instance(name, properties):
    client, name = aws("rds"), name.lower()
    client.create_db_instance(DBInstanceIdentifier=name, **properties)
    return Made(name, lambda: client.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True))


@kind("AWS::Route53::HostedZone")
def hosted_zone(name, properties):
    client, [network] = aws("route53"), properties.pop("VPCs")
    # A zone of a network is private, which moto wants to be told.
    made = client.create_hosted_zone(CallerReference=name, VPC=network, HostedZoneConfig={"PrivateZone": True}, **properties)
    zone = made["HostedZone"]["Id"].rsplit("/")[-1]
    return Made(zone, lambda: client.delete_hosted_zone(Id=zone))


@kind("AWS::Route53::RecordSet")
def record_set(_, properties):
    zone, alias = properties.pop("HostedZoneId"), {"EvaluateTargetHealth": False, **properties.pop("AliasTarget")}

    def change(action):
        changes = [{"Action": action, "ResourceRecordSet": {"AliasTarget": alias, **properties}}]
        aws("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})

    change("CREATE")
    return Made(properties["Name"], lambda: change("DELETE"))


@kind("AWS::ElasticLoadBalancingV2::LoadBalancer")
def load_balancer(name, properties):
    client = aws("elbv2")
    attributes = properties.pop("LoadBalancerAttributes")
    made = client.create_load_balancer(Name=name, **properties)["LoadBalancers"][0]
    arn = made["LoadBalancerArn"]
    client.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=attributes)
    names = {"DNSName": made["DNSName"], "CanonicalHostedZoneID": made["CanonicalHostedZoneId"]}
    names["LoadBalancerFullName"] = arn.split("loadbalancer/")[1]
    return Made(arn, lambda: client.delete_load_balancer(LoadBalancerArn=arn), names)


@kind("AWS::ElasticLoadBalancingV2::TargetGroup")
def target_group(name, properties):
    client = aws("elbv2")
    attributes = properties.pop("TargetGroupAttributes")
    arn = client.create_target_group(Name=name, **properties)["TargetGroups"][0]["TargetGroupArn"]
    client.modify_target_group_attributes(TargetGroupArn=arn, Attributes=attributes)
    return Made(arn, lambda: client.delete_target_group(TargetGroupArn=arn), {"TargetGroupFullName": arn.split(":")[-1]})


@kind("AWS::ElasticLoadBalancingV2::Listener")
def listener(_, properties):
    client = aws("elbv2")
    arn = client.create_listener(**properties)["Listeners"][0]["ListenerArn"]
    return Made(arn, lambda: client.delete_listener(ListenerArn=arn))


@kind("AWS::ECS::Cluster")
def ecs_cluster(_, properties):
    client = aws("ecs")
    made = client.create_cluster(**camel(properties))["cluster"]
    return Made(made["clusterName"], lambda: client.delete_cluster(cluster=made["clusterArn"]))


@kind("AWS::ECS::TaskDefinition")
def task_definition(_, properties):
    client = aws("ecs")
    arn = client.register_task_definition(**camel(properties))["taskDefinition"]["taskDefinitionArn"]
    return Made(arn, lambda: client.deregister_task_definition(taskDefinition=arn))


@kind("AWS::ECS::Service")
def service(_, properties):
    client, where = aws("ecs"), properties["Cluster"]
    # AWS begins with one where no number is given.
    made = client.create_service(desiredCount=1, **camel(properties))["service"]
    arn, name = made["serviceArn"], made["serviceName"]
    return Made(arn, lambda: client.delete_service(cluster=where, service=arn, force=True), {"Name": name})


@kind("AWS::ApplicationAutoScaling::ScalableTarget")
def scalable_target(_, properties):
    client = aws("application-autoscaling")
    client.register_scalable_target(**properties)
    what = {key: properties[key] for key in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
    name = "|".join((what["ResourceId"], what["ScalableDimension"], what["ServiceNamespace"]))
    return Made(name, lambda: client.deregister_scalable_target(**what))


@kind("AWS::ApplicationAutoScaling::ScalingPolicy")
def scaling_policy(_, properties):
    client = aws("application-autoscaling")
    parts = properties.pop("ScalingTargetId").split("|")
    what = dict(zip(("ResourceId", "ScalableDimension", "ServiceNamespace"), parts, strict=True), PolicyName=properties["PolicyName"])
    arn = client.put_scaling_policy(**(properties | what))["PolicyARN"]
    return Made(arn, lambda: client.delete_scaling_policy(**what))


@kind("AWS::CloudWatch::Alarm")
def alarm(_, properties):
    client, name = aws("cloudwatch"), properties["AlarmName"]
    client.put_metric_alarm(**properties)
    return Made(name, lambda: client.delete_alarms(AlarmNames=[name]))


@kind("AWS::Lambda::Function")
def function(_, properties):
    client, name = aws("lambda"), properties["FunctionName"]
    reserved = properties.pop("ReservedConcurrentExecutions", None)
    arn = client.create_function(**properties)["FunctionArn"]
    if reserved is not None:
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=reserved)
    return Made(name, lambda: client.delete_function(FunctionName=name), {"Arn": arn})


@kind("AWS::Lambda::Permission")
def permission(name, properties):
    client, function = aws("lambda"), properties["FunctionName"]
    client.add_permission(StatementId=name, **properties)
    return Made(name, lambda: client.remove_permission(FunctionName=function, StatementId=name))


@kind("AWS::ApiGatewayV2::Api")
def api(_, properties):
    client = aws("apigatewayv2")
    made = client.create_api(**properties)
    return Made(made["ApiId"], lambda: client.delete_api(ApiId=made["ApiId"]), {"ApiEndpoint": made["ApiEndpoint"]})


@kind("AWS::ApiGatewayV2::VpcLink")
def vpc_link(_, properties):
    client = aws("apigatewayv2")
    link = client.create_vpc_link(**properties)["VpcLinkId"]
    return Made(link, lambda: client.delete_vpc_link(VpcLinkId=link))


def part_of_api(what, identifier):
    """Stages, routes and so on: made in an API, and gone with it."""

    @kind(f"AWS::ApiGatewayV2::{what}")
    def part(_, properties):
        client = aws("apigatewayv2")
        made = getattr(client, f"create_{what.lower()}")(**properties)[identifier]
        where = {"ApiId": properties["ApiId"], identifier: made}
        return Made(made, lambda: getattr(client, f"delete_{what.lower()}")(**where))


part_of_api("Stage", "StageName")
part_of_api("Authorizer", "AuthorizerId")
part_of_api("Integration", "IntegrationId")
part_of_api("Route", "RouteId")


if __name__ == "__main__":
    SERVER.start()
    print("http://{}:{}".format(*SERVER.get_host_and_port()), flush=True)
    Event().wait()
