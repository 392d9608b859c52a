// Walkthrough in TypeScript. openapi-fetch sends the requests, using types generated from the documents.
//
//   npx openapi-typescript specs/orders.json --output orders.d.ts      (same for the others)
//   npx tsx tour.ts

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { env } from "node:process";

import createClient from "openapi-fetch";

import type { paths as Customers } from "./customers";
import type { paths as Orchestrator } from "./orchestrator";
import type { paths as Orders } from "./orders";

/** Returns the data of a response, or throws the service's error. */
function ok<T>({ data, error }: { data?: T; error?: unknown }): T {
  assert(data !== undefined, JSON.stringify(error));
  return data;
}

// One token authenticates all requests.
const body = { username: env.ADMIN_USER!, password: env.ADMIN_PASSWORD! };
const { access_token } = ok(await createClient<Customers>({ baseUrl: env.CUSTOMERS_BASE }).POST("/auth/token", { body }));
const headers = { Authorization: `Bearer ${access_token}` };
const customers = createClient<Customers>({ baseUrl: env.CUSTOMERS_BASE, headers });
const orders = createClient<Orders>({ baseUrl: env.ORDERS_BASE, headers });
const orchestrator = createClient<Orchestrator>({ baseUrl: env.ORCHESTRATOR_BASE, headers });

// Find a customer, create a product with a stock of ten, and order three units.
const run = randomUUID();
const key = (what: string) => ({ "X-Idempotency-Key": `${what}-${run}` });
const [customer] = ok(await customers.GET("/customers", { params: { query: { search: "acme" } } })).data;
const product = ok(await orders.POST("/products", { body: { sku: run, name: "Walkthrough product", price_cents: 1250, stock: 10 } }));
const items = [{ product_id: product.id, qty: 3 }];
const order = ok(await orders.POST("/orders", { params: { header: key("create") }, body: { customer_id: customer.id, items } }));
assert.equal(order.total_cents, 3750);

// Confirm the order twice with one key: the second response is a replay of the first. Then cancel the order.
const path = { id: order.id };
const confirm = () => orders.POST("/orders/{id}/confirm", { params: { path, header: key("confirm") } });
const [first, second] = [await confirm(), await confirm()];
assert.deepEqual(ok(second), ok(first));
assert.equal(second.response.headers.get("Idempotent-Replayed"), "true");
assert.equal(ok(await orders.POST("/orders/{id}/cancel", { params: { path } })).status, "CANCELED");

// The stock ledger lists all movements, newest first.
const ledger = ok(await orders.GET("/products/{id}/stock-adjustments", { params: { path: { id: product.id } } }));
assert.deepEqual(ledger.data.map(({ delta }) => delta), [3, -3, 10]);

// Create and confirm an order in one call. A retry with the same key returns the same order.
const request = { customer_id: customer.id, items, idempotency_key: run };
const orchestrate = () => orchestrator.POST("/orchestrator/create-and-confirm-order", { body: request });
const { data } = ok(await orchestrate());
assert.equal(data.order.status, "CONFIRMED");
assert.equal(ok(await orchestrate()).data.order.id, data.order.id);

console.log(`${customer.name}: order ${order.id} canceled, order ${data.order.id} confirmed`);
