"""The tour in Python, with clients that openapi-python-client makes from the documents.

    openapi-python-client generate --path specs/orders.json --meta none --output-path orders     (and so for the others)
    python tour.py
"""

import os
import uuid

from customers import AuthenticatedClient as Customers
from customers import Client as Anybody
from customers.api.auth import token_create
from customers.api.customers import customer_list
from customers.models import Credentials
from orchestrator import AuthenticatedClient as Orchestrator
from orchestrator.api.orchestrator import order_create_and_confirm
from orchestrator.models import CreateAndConfirm, Item
from orders import AuthenticatedClient as Orders
from orders.api.orders import order_cancel, order_confirm, order_create
from orders.api.products import product_create, stock_adjustment_list
from orders.models import NewOrder, NewOrderItem, NewProduct

# One variable authenticates everything: the token of an operator.
credentials = Credentials(username=os.environ["ADMIN_USER"], password=os.environ["ADMIN_PASSWORD"])
token = token_create.sync(client=Anybody(os.environ["CUSTOMERS_BASE"]), body=credentials).access_token
customers = Customers(os.environ["CUSTOMERS_BASE"], token)
orders = Orders(os.environ["ORDERS_BASE"], token)
orchestrator = Orchestrator(os.environ["ORCHESTRATOR_BASE"], token)

# Find a customer, make a product with ten pieces, order three of them.
run = str(uuid.uuid4())
customer = customer_list.sync(client=customers, search="acme").data[0]
product = product_create.sync(client=orders, body=NewProduct(sku=run, name="Tour product", price_cents=1250, stock=10))
items = [NewOrderItem(product_id=product.id, qty=3)]
order = order_create.sync(client=orders, body=NewOrder(customer.id, items), x_idempotency_key=f"create-{run}")
assert order.total_cents == 3750, order

# Confirm it twice under one key: the second answer is the first one, and says so. Then cancel it.
first, second = (order_confirm.sync_detailed(order.id, client=orders, x_idempotency_key=run) for _ in range(2))
assert second.content == first.content, second
assert second.headers["Idempotent-Replayed"] == "true", second
assert order_cancel.sync(order.id, client=orders).status == "CANCELED"

# The ledger says where the pieces went, newest first.
ledger = stock_adjustment_list.sync(product.id, client=orders)
assert [movement.delta for movement in ledger.data] == [3, -3, 10], ledger

# Create and confirm in one call. Under the same key it is the same order.
request = CreateAndConfirm(customer_id=customer.id, items=[Item(product_id=product.id, qty=3)], idempotency_key=run)
done, again = (order_create_and_confirm.sync(client=orchestrator, body=request).data.order for _ in range(2))
assert done.status == "CONFIRMED", done
assert again.id == done.id, again

print(f"{customer.name}: order {order.id} canceled, order {done.id} confirmed")
