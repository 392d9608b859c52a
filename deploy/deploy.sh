#!/usr/bin/env bash
# Deploys to AWS, in the account and region that the AWS CLI uses.
#
#   deploy.sh foundation              create the network, registries and secrets that the other stacks require
#   deploy.sh release VERSION         deploy VERSION; push its images and upload its function package first
#   deploy.sh STACK Parameter=Value…  update one stack: foundation, database, customers, orders or function
#
# PROJECT is the prefix of all resource names (default: backoffice). ARCHITECTURE is the CPU architecture of the images
# and the function package: arm64 or x86_64 (default: the value of the last deployment; for the first one, arm64).
set -euo pipefail
cd "$(dirname "$0")"
export AWS_PAGER=""
project=${PROJECT:-backoffice}

# stack NAME TEMPLATE [Parameter=Value…]: creates or updates a stack. Omitted parameters keep their values.
stack() {
    aws cloudformation deploy --stack-name "$project-$1" --template-file "$2.yaml" --capabilities CAPABILITY_IAM \
        --no-fail-on-empty-changeset --parameter-overrides "Project=$project" "${@:3}"
}

# output STACK NAME: prints an output of a stack.
output() {
    aws cloudformation describe-stacks --stack-name "$project-$1" --output text \
        --query "Stacks[0].Outputs[?OutputKey=='$2'].OutputValue"
}

template() {
    case $1 in
        foundation | database | function) echo "$1" ;;
        customers | orders) echo service ;;
        *) echo "deploy.sh: unknown stack $1" >&2 && exit 2 ;;
    esac
}

release() {
    local version=$1 registry
    # Empty unless ARCHITECTURE is set. Used without quotes below, so that an empty value adds no argument.
    local built=${ARCHITECTURE:+Architecture=$ARCHITECTURE}
    registry=$(output foundation Registry)
    stack database database "MigrationsImage=$registry/db:$version" $built
    migrate
    for name in customers orders; do
        stack $name service "Name=$name" "Image=$registry/$name:$version" $built
    done
    stack function function "Package=orchestrator/$version.zip" $built
    echo "deployed $version to $(output function Url)"
}

# Runs the migrations. Called before the services are updated, because the running release supports the migrated tables.
migrate() {
    local subnet group definition task failure status code reason
    subnet=$(output foundation SubnetA)
    group=$(output foundation ServicesGroup)
    definition=$(output database MigrationsTask)
    read -r task failure < <(aws ecs run-task --cluster "$project" --launch-type FARGATE --task-definition "$definition" \
        --network-configuration "awsvpcConfiguration={subnets=[$subnet],securityGroups=[$group],assignPublicIp=DISABLED}" \
        --output text --query '[tasks[0].taskArn, failures[0].reason]')
    [ "$task" != None ] || fail "cannot start the migrations: $failure"
    while status=$(task_field "$task" lastStatus) && [ "$status" != STOPPED ]; do sleep 5; done
    code=$(task_field "$task" 'containers[0].exitCode')
    reason=$(task_field "$task" stoppedReason)
    [ "$code" = 0 ] || fail "the migrations failed (exit code $code; $reason); see: aws logs tail /$project/migrations"
}

# task_field TASK FIELD: prints a field of an ECS task.
task_field() {
    aws ecs describe-tasks --cluster "$project" --tasks "$1" --output text --query "tasks[0].$2"
}

fail() {
    echo "deploy.sh: $1. The services and the function were not updated" >&2
    exit 1
}

usage() {
    sed -n '2,9s/^# \{0,1\}//p' deploy.sh >&2
    exit 2
}

case ${1:-} in
    release)
        [ $# = 2 ] || usage
        release "$2"
        ;;
    "" | -*) usage ;;
    *)
        file=$(template "$1")
        stack "$1" "$file" "${@:2}"
        ;;
esac
