#!/usr/bin/env bash
# Deletes everything that deploy.sh created in the account and region that the AWS CLI uses. Keeps a final snapshot of
# the database. PROJECT is the prefix of all resource names (default: backoffice).
set -euo pipefail
export AWS_PAGER=""
project=${PROJECT:-backoffice}

stack() {
    aws cloudformation delete-stack --stack-name "$project-$1"
    aws cloudformation wait stack-delete-complete --stack-name "$project-$1"
    echo "deleted $project-$1"
}

packages=$(aws cloudformation describe-stacks --stack-name "$project-foundation" --output text \
    --query "Stacks[0].Outputs[?OutputKey=='Packages'].OutputValue")
for name in function orders customers database; do
    stack $name
done
aws s3 rm --recursive --only-show-errors "s3://$packages"
stack foundation
