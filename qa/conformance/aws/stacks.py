"""The five CloudFormation stacks with resolved parameters, conditions and imports. A reference to a resource is replaced with
the text `stack.Resource` or `stack.Resource.Attribute`, so that checks can compare references.
"""

import re
from pathlib import Path

from cfnlint.decode import cfn_yaml

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
# Name, template, and the parameters that deploy.sh sets, in deployment order.
STACKS = [
    ("foundation", "foundation", {}),
    ("database", "database", {"MigrationsImage": "registry/db:1.0.0"}),
    ("customers", "service", {"Name": "customers", "Image": "registry/customers:1.0.0"}),
    ("orders", "service", {"Name": "orders", "Image": "registry/orders:1.0.0"}),
    ("function", "function", {"Package": "orchestrator/1.0.0.zip"}),
]
PSEUDO = {"AWS::Region": "region", "AWS::AccountId": "account", "AWS::Partition": "aws", "AWS::URLSuffix": "suffix", "AWS::NoValue": None}


class Stack:
    """A stack. `resources` contains the resolved resources whose condition is true, by logical ID."""

    def __init__(self, name, template, parameters, exports):
        self.name, self.template, self.exports = name, cfn_yaml.load(str(DEPLOY / f"{template}.yaml")), exports
        defaults = {key: row["Default"] for key, row in self.template["Parameters"].items() if "Default" in row}
        self.values = PSEUDO | defaults | parameters
        self.conditions = {key: self.resolve(value) for key, value in self.template.get("Conditions", {}).items()}
        rows = self.template["Resources"].items()
        self.resources = {key: self.resolve(row) for key, row in rows if self.conditions.get(row.get("Condition"), True)}
        outputs = [row for row in self.template["Outputs"].values() if "Export" in row]
        exports.update((self.resolve(row["Export"]["Name"]), self.resolve(row["Value"])) for row in outputs)

    def resolve(self, value):
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not None]
        if not isinstance(value, dict):
            return value
        [(key, argument), *more] = value.items()
        if not more and (key == "Ref" or key.startswith("Fn::")):
            return self.function(key, argument)
        return {key: item for key, item in zip(value, map(self.resolve, value.values())) if item is not None}

    def function(self, key, argument):
        match key:
            case "Ref" | "Fn::GetAtt":
                return self.reference(argument if isinstance(argument, str) else ".".join(argument))
            case "Fn::Sub":
                text, values = (argument, {}) if isinstance(argument, str) else (argument[0], self.resolve(argument[1]))
                return re.sub(r"\$\{([^}]+)\}", lambda found: str(values.get(found[1]) or self.reference(found[1])), text)
            case "Fn::ImportValue":
                return self.exports[self.resolve(argument)]
            case "Fn::If":
                return self.resolve(argument[1 if self.conditions[argument[0]] else 2])
            case "Fn::Equals":
                return self.resolve(argument[0]) == self.resolve(argument[1])
            case "Fn::Not":
                return not self.resolve(argument[0])
            case "Fn::Select":
                return f"zone {argument[0]}"
        raise ValueError(f"{self.name}: {key} is not supported here")

    def reference(self, name):
        if name not in self.values and name.split(".")[0] not in self.template["Resources"]:
            raise ValueError(f"{self.name}: unknown name {name}")
        return self.values[name] if name in self.values else f"{self.name}.{name}"

    def of_type(self, kind):
        """Returns the properties of all resources of a type, by logical ID."""
        return {key: row["Properties"] for key, row in self.resources.items() if row["Type"] == f"AWS::{kind}"}

    def __getitem__(self, key):
        return self.resources[key]["Properties"]


def stacks(**function_parameters):
    """Returns all stacks, by name."""
    exports, stacks_by_name = {}, {}
    for name, template, parameters in STACKS:
        own = parameters | (function_parameters if name == "function" else {})
        stacks_by_name[name] = Stack(name, template, own, exports)
    return stacks_by_name
