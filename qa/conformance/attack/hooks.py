"""Schemathesis hooks that add information which OpenAPI documents cannot express: how to authenticate, and which valid
requests may be rejected because of stored data or earlier requests. The hooks do not select the requests.
"""

import atexit
import json
import os
import uuid
import zlib
from collections import Counter, defaultdict
from pathlib import Path

import requests
import schemathesis
from hypothesis import strategies
from schemathesis.openapi.checks import RejectedPositiveData

KEY = "X-Idempotency-Key"

CUSTOMERS = {"1", "2", "3"}

# ID of the account that sends all requests. If its role or password changed, all further requests would fail.
OWN_ACCOUNT = "1"

# Operations that succeed only once per resource or must not change the account that sends the requests, each with the
# operation that creates a suitable resource. The examples in the documents all use ID 1.
CREATED_BY = {
    "customer_delete": "customer_create",
    "operator_update": "operator_create",
    "order_cancel": "order_create",
    "order_confirm": "order_create",
}

# ID that does not exist in any table.
UNKNOWN_ID = 2**63 - 1

# Error codes with which a valid request may be rejected because of stored data, each with the reason.
DEPENDS_ON_STATE = {
    # Cursors are issued only by lists, and each is valid only with the same filters. Generated cursors are rejected.
    "invalid_cursor",
    # If-Match specifies a version that is not the current one.
    "precondition_failed",
    # An earlier request used the same key with different content. Short keys are generated repeatedly.
    "idempotency_key_reused",
    # Most generated names and passwords are wrong, so logins become rate limited.
    "too_many_attempts",
    "wrong_password",
}

# Makes names unique per run, because names from earlier runs already exist.
RUN = str(uuid.uuid4())

# A token expires after 15 minutes. It is renewed well before that, so that a run may last longer.
RENEW_AFTER_SECONDS = 300


def chance(text):
    """Returns a pseudorandom boolean that is the same for the same seed."""
    return zlib.crc32(text.encode(errors="replace")) % 2 == 0


def credential(case, context):
    """Returns the security scheme for a case. If two schemes are accepted, the request content determines the choice."""
    accepted = {name for option in context.operation.definition.raw.get("security", []) for name in option}
    if len(accepted) < 2:
        return next(iter(accepted), "none")
    key = case.headers.get(KEY)
    # Only services are required to send a key. The document cannot express this requirement, because it depends on the
    # caller.
    by_service = chance(f"{case.path_parameters} {key}") and (context.operation.method == "get" or key is not None)
    return "serviceToken" if by_service else "operatorJwt"


@schemathesis.auth(refresh_interval=RENEW_AFTER_SECONDS, cache_by_key=credential)
class Bearer:
    """Adds the token for the case's security scheme."""

    def get(self, case, context):
        match credential(case, context):
            case "operatorJwt":
                return log_in()
            case "serviceToken":
                return os.environ["SERVICE_TOKEN"]
        return None

    def set(self, case, token, context):
        case.headers["Authorization"] = f"Bearer {token}"


def log_in():
    response = requests.post(f"{os.environ['CUSTOMERS_BASE']}/auth/token", json=admin_credentials(), timeout=10)
    response.raise_for_status()
    return response.json()["access_token"]


def admin_credentials():
    return {"username": os.environ["ADMIN_USER"], "password": os.environ["ADMIN_PASSWORD"]}


def same_password():
    password = os.environ["ADMIN_PASSWORD"]
    return {"current_password": password, "new_password": password}


VERSIONS = strategies.integers(1, 4).map(lambda version: f'"v{version}"')
schemathesis.openapi.format(
    "entity-tags", strategies.one_of(VERSIONS, strategies.just("*"), strategies.lists(VERSIONS, min_size=2).map(", ".join))
)


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Adds constraints that the document states only in prose, and creates the first orders."""
    components = raw_schema["components"]
    # The services replace or ignore malformed values instead of rejecting them, so every value is valid.
    for name in ("X-Correlation-Id", "traceparent"):
        if name in components.get("parameters", {}):
            components["parameters"][name]["schema"] = {"type": "string"}
    # A delta of 0 is rejected, and some reasons are reserved. Generated clients would not support `not` in the
    # document.
    if adjustment := components["schemas"].get("StockAdjustmentInput"):
        adjustment["properties"]["delta"]["not"] = {"enum": [0]}
        adjustment["properties"]["reason"]["not"] = {"enum": ["initial", "set", "order", "cancel"]}
    # If no format is given, schemathesis generates only letters and digits for headers.
    operations = [operation for path in raw_schema["paths"].values() for operation in path.values()]
    for parameter in (parameter for operation in operations for parameter in operation.get("parameters", [])):
        if parameter.get("name") == "If-Match":
            parameter["schema"]["format"] = "entity-tags"
    # A short run may look up, cancel and confirm orders before it creates any, so create some orders first.
    if "/internal/orders/lookup" in raw_schema["paths"]:
        for quantity in (1, 2, 3):
            create_order_as_service(quantity)


def create_order_as_service(quantity):
    order = {"customer_id": 1, "items": [{"product_id": 1, "qty": quantity}]}
    key = key_for(RUN, {}, order)
    headers = {"Authorization": f"Bearer {os.environ['SERVICE_TOKEN']}", KEY: key}
    response = requests.post(f"{os.environ['ORDERS_BASE']}/orders", json=order, headers=headers, timeout=10)
    response.raise_for_status()
    created["order_create"].append(response.json()["id"])
    created_under.append(key)


@schemathesis.hook
def filter_case(context, case):
    """Skips cases that delete the customers of orders (see schemathesis.toml) or change the account that sends the requests."""
    operation, number = case.operation.definition.raw["operationId"], str(case.path_parameters.get("id"))
    deletes = operation == "customer_delete" and number in CUSTOMERS
    changes_own_account = operation == "operator_update" and number == OWN_ACCOUNT
    return not (deletes or changes_own_account)


@schemathesis.hook
def map_case(context, case):
    """Adjusts some valid requests so that they succeed more often than with generated values."""
    # By default, schemathesis does not send headers whose value is not a string.
    for name in [name for name, value in case.headers.items() if not isinstance(value, str)]:
        case.headers[name] = str(case.headers[name])
    if case.path == "/auth/password" and case.meta.generation.mode.is_positive:
        # Wrong passwords would cause rate limiting, also for logins of the account that sends the requests.
        case.body = same_password()
    if case.meta.generation.mode.is_positive and chance(f"{case.path_parameters} {case.query} {case.headers} {case.body}"):
        make_likely_to_succeed(case)
        # Use a key with which no later example creates an order: after this request, such a create request would fail.
        if isinstance(case.body, dict) and "create_key" in case.body:
            case.body["create_key"] = key_for("/orders", {}, case.body["order"])
    return case


@schemathesis.hook
def before_call(context, case, kwargs):
    """Adjusts every example so that it succeeds. This is the only hook that is called for examples."""
    if case.meta and case.meta.phase.name.value == "examples":
        if creator := CREATED_BY.get(case.operation.definition.raw["operationId"]):
            case.path_parameters["id"] = created[creator].pop() if created[creator] else UNKNOWN_ID
        make_likely_to_succeed(case)


def make_likely_to_succeed(case):
    set_secret_values(case)
    remove_volatile_preconditions(case)
    set_unique_names(case)


def set_secret_values(case):
    """Sets the correct password or, for an order lookup, the key of an existing order."""
    if case.path == "/auth/password":
        case.body = same_password()
    elif case.path.startswith("/auth/"):
        case.body = admin_credentials()
    if "create_key" in case.query and created_under:
        case.query["create_key"] = created_under[-1]


def remove_volatile_preconditions(case):
    """Removes cursors, versions, stocks and totals, because generated values rarely match the current state."""
    case.query.pop("cursor", None)
    case.headers.pop("If-Match", None)
    if isinstance(case.body, dict):
        for body in (case.body, case.body.get("order", {})):
            body.pop("expected_stock", None)
            body.pop("expected_total_cents", None)


def set_unique_names(case):
    """Replaces keys, SKUs, usernames and email addresses, because generated values and examples are often already in use."""
    if KEY in case.headers:
        case.headers[KEY] = key_for(case.path, case.path_parameters, case.body)
    if not isinstance(case.body, dict):
        return
    if "idempotency_key" in case.body:
        case.body["idempotency_key"] = key_for(case.path, case.body["customer_id"], case.body["items"])
    if "create_key" in case.body:
        case.body["create_key"] = key_for(RUN, {}, case.body["order"])
    if case.path == "/operators" and "username" in case.body:
        case.body["username"] = key_for(RUN, case.path_parameters, case.body)
    if "sku" in case.body:
        case.body["sku"] = key_for(RUN, case.path_parameters, case.body)
    if "email" in case.body:
        case.body["email"] = f"{key_for(RUN, case.path_parameters, case.body)}@example.com"


def key_for(path, path_parameters, body):
    """Returns the key for a request. Identical requests have the same key; different requests have different keys."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, ascii((path, path_parameters, body))))


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether to report a failure: a valid request may be rejected because of stored data or earlier requests, or of a
    text whose characters the pattern cannot name.
    """
    if not isinstance(failure, RejectedPositiveData):
        return True
    return not (error_code(response) in DEPENDS_ON_STATE or is_invisible_or_control(response))


def is_invisible_or_control(response):
    """Whether the server rejects a text for invisible or control characters. Patterns name only some of them."""
    return "no control characters" in response.text


def error_code(response):
    body = response.json() if response.content else {}
    return body["error"]["code"] if "error" in body else body.get("error_code")


# Keys with which a service created orders, and the IDs of all created resources by operation.
created_under, created = [], defaultdict(list)

# Number of requests, and number of successful requests, per operation and phase.
sent, succeeded = Counter(), Counter()


@schemathesis.hook
def after_call(context, case, response):
    step = (case.operation.label, case.meta.phase.name.value if case.meta else "probe")
    sent[step] += 1
    succeeded[step] += 200 <= response.status_code < 300
    if response.status_code == 201:
        operation = case.operation.definition.raw["operationId"]
        created[operation].append(response.json().get("id"))
        if operation == "order_create" and case.headers["Authorization"] == f"Bearer {os.environ['SERVICE_TOKEN']}":
            created_under.append(case.headers[KEY])


@atexit.register
def write_statistics():
    statistics = [
        {"operation": operation, "phase": phase, "sent": count, "succeeded": succeeded[operation, phase]}
        for (operation, phase), count in sorted(sent.items())
    ]
    if "ATTACK_STATISTICS" in os.environ:
        Path(os.environ["ATTACK_STATISTICS"]).write_text(json.dumps(statistics, indent=1))
