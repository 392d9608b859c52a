"""What schemathesis has to know of the services that their documents cannot say: how to get in, and which refusals of
valid requests depend on what was stored or sent before. Which requests are made is not decided here.
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

# The operator by whom all is asked. Without a role and with another password nobody would be left to ask.
OURSELVES = "1"

# What can be done only once, or not to ourselves, and which operation makes something to do it to. The examples all speak of
# number 1.
USED_UP = {
    "customer_delete": "customer_create",
    "operator_update": "operator_create",
    "order_cancel": "order_create",
    "order_confirm": "order_create",
}

# No row has this number.
NOTHING = 2**63 - 1

# By error code, why a request may be refused although every part of it is as documented.
DEPENDS_ON_STATE = {
    # Only a list makes cursors, and each fits its own filters. An invented one is refused.
    "invalid_cursor",
    # If-Match names a version that is not the current one.
    "precondition_failed",
    # The key belongs to an earlier request with other content. Short keys are drawn again and again.
    "idempotency_key_reused",
    # Most names and passwords that are drawn are wrong, and that too often.
    "too_many_attempts",
    "wrong_password",
}

# Names that an earlier run gave are taken.
RUN = str(uuid.uuid4())

# A token lives for 15 minutes. It is renewed well before, so that a run may last longer.
RENEW_AFTER_SECONDS = 300


def chance(text):
    """Heads or tails that fall alike whenever the same seed is played again."""
    return zlib.crc32(text.encode(errors="replace")) % 2 == 0


def credential(case, context):
    """The security scheme that the case satisfies. Where two are accepted, what is sent decides between them."""
    accepted = {name for option in context.operation.definition.raw.get("security", []) for name in option}
    if len(accepted) < 2:
        return next(iter(accepted), "none")
    key = case.headers.get(KEY)
    # A service has to send a key, which the document asks of operators neither: it depends on the caller.
    by_service = chance(f"{case.path_parameters} {key}") and (context.operation.method == "get" or key is not None)
    return "serviceToken" if by_service else "operatorJwt"


@schemathesis.auth(refresh_interval=RENEW_AFTER_SECONDS, cache_by_key=credential)
class Bearer:
    """The token of the scheme that the case satisfies."""

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
    answer = requests.post(f"{os.environ['CUSTOMERS_BASE']}/auth/token", json=operator(), timeout=10)
    answer.raise_for_status()
    return answer.json()["access_token"]


def operator():
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
    """Says in the schemas what the document can only say in words."""
    components = raw_schema["components"]
    # A malformed one is replaced or ignored, not refused: so none is invalid.
    for name in ("X-Correlation-Id", "traceparent"):
        if name in components.get("parameters", {}):
            components["parameters"][name]["schema"] = {"type": "string"}
    # No change is no adjustment, and some reasons are the service's own. `not` would spoil the generated clients.
    if adjustment := components["schemas"].get("NewStockAdjustment"):
        adjustment["properties"]["delta"]["not"] = {"enum": [0]}
        adjustment["properties"]["reason"]["not"] = {"enum": ["initial", "set", "order", "cancel"]}
    # Without a format, schemathesis makes no header that needs more than letters and digits.
    operations = [operation for path in raw_schema["paths"].values() for operation in path.values()]
    for parameter in (parameter for operation in operations for parameter in operation.get("parameters", [])):
        if parameter.get("name") == "If-Match":
            parameter["schema"]["format"] = "entity-tags"
    # A short run may look for orders, cancel and confirm them before it makes any: some are there from the start.
    if "/internal/orders/lookup" in raw_schema["paths"]:
        for quantity in (1, 2, 3):
            make_order_as_service(quantity)


def make_order_as_service(quantity):
    order = {"customer_id": 1, "items": [{"product_id": 1, "qty": quantity}]}
    key = own_key(RUN, {}, order)
    headers = {"Authorization": f"Bearer {os.environ['SERVICE_TOKEN']}", KEY: key}
    answer = requests.post(f"{os.environ['ORDERS_BASE']}/orders", json=order, headers=headers, timeout=10)
    answer.raise_for_status()
    made["order_create"].append(answer.json()["id"])
    created_under.append(key)


@schemathesis.hook
def filter_case(context, case):
    """Keeps the customers that orders are made for, see schemathesis.toml, and the operator who asks."""
    operation, number = case.operation.definition.raw["operationId"], str(case.path_parameters.get("id"))
    deletes = operation == "customer_delete" and number in CUSTOMERS
    demotes = operation == "operator_update" and number == OURSELVES
    return not (deletes or demotes)


@schemathesis.hook
def map_case(context, case):
    """Lets some valid requests get further than what is drawn would."""
    # Left alone, schemathesis sends no header that is not a text.
    for name in [name for name, value in case.headers.items() if not isinstance(value, str)]:
        case.headers[name] = str(case.headers[name])
    if case.path == "/auth/password" and case.meta.generation.mode.is_positive:
        # Wrong ones would be throttled, and with them the logins of the operator who asks.
        case.body = same_password()
    if case.meta.generation.mode.is_positive and chance(f"{case.path_parameters} {case.query} {case.headers} {case.body}"):
        let_further(case)
        # The key of an order that was made, or never will be. An example would give up what the next one wants to make.
        if isinstance(case.body, dict) and "create_key" in case.body:
            case.body["create_key"] = own_key("/orders", {}, case.body["order"])
    return case


@schemathesis.hook
def before_call(context, case, kwargs):
    """Lets every example get further. A document has the same few each time, and no other hook is asked about them."""
    if case.meta and case.meta.phase.name.value == "examples":
        if maker := USED_UP.get(case.operation.definition.raw["operationId"]):
            case.path_parameters["id"] = made[maker].pop() if made[maker] else NOTHING
        let_further(case)


def let_further(case):
    with_what_no_draw_guesses(case)
    without_what_is_seldom_so(case)
    with_names_of_its_own(case)


def with_what_no_draw_guesses(case):
    """The right password, and the key under which an order was made where one is looked for."""
    if case.path == "/auth/password":
        case.body = same_password()
    elif case.path.startswith("/auth/"):
        case.body = operator()
    if "create_key" in case.query and created_under:
        case.query["create_key"] = created_under[-1]


def without_what_is_seldom_so(case):
    """Only a list makes cursors; a version, a stock or a total is seldom the current one."""
    case.query.pop("cursor", None)
    case.headers.pop("If-Match", None)
    if isinstance(case.body, dict):
        for body in (case.body, case.body.get("order", {})):
            body.pop("expected_stock", None)
            body.pop("expected_total_cents", None)


def with_names_of_its_own(case):
    """Keys that are drawn are mostly used by then, and so are the sku and the email address of an example."""
    if KEY in case.headers:
        case.headers[KEY] = own_key(case.path, case.path_parameters, case.body)
    if not isinstance(case.body, dict):
        return
    if "idempotency_key" in case.body:
        case.body["idempotency_key"] = own_key(case.path, case.body["customer_id"], case.body["items"])
    if "create_key" in case.body:
        case.body["create_key"] = own_key(RUN, {}, case.body["order"])
    if case.path == "/operators" and "username" in case.body:
        case.body["username"] = own_key(RUN, case.path_parameters, case.body)
    if "sku" in case.body:
        case.body["sku"] = own_key(RUN, case.path_parameters, case.body)
    if "email" in case.body:
        case.body["email"] = f"{own_key(RUN, case.path_parameters, case.body)}@example.com"


def own_key(path, path_parameters, body):
    """What a good client does: the same work has the same key, and other work another."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, ascii((path, path_parameters, body))))


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether this is a failure: a valid request may be refused for what was stored or sent before."""
    return not (isinstance(failure, RejectedPositiveData) and error_code(response) in DEPENDS_ON_STATE)


def error_code(response):
    body = response.json() if response.content else {}
    return body["error"]["code"] if "error" in body else body.get("error_code")


# The keys under which a service made orders, and by operation the numbers of all that was made.
created_under, made = [], defaultdict(list)

# How many requests each operation got in each phase, and how many of them succeeded.
sent, succeeded = Counter(), Counter()


@schemathesis.hook
def after_call(context, case, response):
    step = (case.operation.label, case.meta.phase.name.value if case.meta else "probe")
    sent[step] += 1
    succeeded[step] += 200 <= response.status_code < 300
    if response.status_code == 201:
        operation = case.operation.definition.raw["operationId"]
        made[operation].append(response.json().get("id"))
        if operation == "order_create" and case.headers["Authorization"] == f"Bearer {os.environ['SERVICE_TOKEN']}":
            created_under.append(case.headers[KEY])


@atexit.register
def write_figures():
    figures = [
        {"operation": operation, "phase": phase, "sent": count, "succeeded": succeeded[operation, phase]}
        for (operation, phase), count in sorted(sent.items())
    ]
    if "ATTACK_FIGURES" in os.environ:
        Path(os.environ["ATTACK_FIGURES"]).write_text(json.dumps(figures, indent=1))
