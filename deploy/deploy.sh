#!/usr/bin/env bash
# Deploys into the account and the region that the AWS CLI is set to.
#
#   deploy.sh foundation              what everything else stands on
#   deploy.sh release VERSION         the images and the package of that version, which were pushed before
#   deploy.sh STACK Parameter=Value…  other parameters for one stack: foundation, database, customers, orders or function
#
# PROJECT begins the names of all that is made: backoffice unless set. ARCHITECTURE says what images and package were built for, arm64 or
# x86_64: where it is not set, what it was stays, and arm64 is first.
set -euo pipefail
cd "$(dirname "$0")"
export AWS_PAGER=""
project=${PROJECT:-backoffice}

# stack NAME TEMPLATE [Parameter=Value…]: parameters that are not named stay what they were.
stack() {
    aws cloudformation deploy --stack-name "$project-$1" --template-file "$2.yaml" --capabilities CAPABILITY_IAM \
        --no-fail-on-empty-changeset --parameter-overrides "Project=$project" "${@:3}"
}

# output STACK NAME
output() {
    aws cloudformation describe-stacks --stack-name "$project-$1" --output text \
        --query "Stacks[0].Outputs[?OutputKey=='$2'].OutputValue"
}

template() {
    case $1 in
        foundation | database | function) echo "$1" ;;
        customers | orders) echo service ;;
        *) echo "deploy.sh: there is no stack $1" >&2 && exit 2 ;;
    esac
}

release() {
    local version=$1 registry
    # One parameter, or none.
    local built=${ARCHITECTURE:+Architecture=$ARCHITECTURE}
    registry=$(output foundation Registry)
    stack database database "MigrationsImage=$registry/db:$version" $built
    migrate
    for name in customers orders; do
        stack $name service "Name=$name" "Image=$registry/$name:$version" $built
    done
    stack function function "Package=orchestrator/$version.zip" $built
    echo "$version is at $(output function Url)"
}

# The release that is running works with what this makes of the tables.
migrate() {
    local subnet group definition task code
    subnet=$(output foundation SubnetA)
    group=$(output foundation ServicesGroup)
    definition=$(output database MigrationsTask)
    task=$(aws ecs run-task --cluster "$project" --launch-type FARGATE --task-definition "$definition" \
        --network-configuration "awsvpcConfiguration={subnets=[$subnet],securityGroups=[$group],assignPublicIp=DISABLED}" \
        --output text --query 'tasks[0].taskArn')
    aws ecs wait tasks-stopped --cluster "$project" --tasks "$task"
    code=$(aws ecs describe-tasks --cluster "$project" --tasks "$task" --output text --query 'tasks[0].containers[0].exitCode')
    if [ "$code" != 0 ]; then
        echo "deploy.sh: the migrations failed, and nothing else was changed: aws logs tail /$project/migrations" >&2
        exit 1
    fi
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
