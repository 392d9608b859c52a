// Converts each document to a collection with Postman's converter, and uses newman to send every request to the running
// system. As in Postman, the variable `bearerToken` contains the token: a user account's token for most requests, the
// service token for operations that accept no other token.

import { readFile } from "node:fs/promises";

import converter from "openapi-to-postmanv2";

import { send } from "./newman.mjs";
import { baseUrl, documents, logIn, operations, path, setting } from "./system.mjs";

const OPTIONS = { parametersResolution: "Example", folderStrategy: "Tags" };

/** Error statuses that valid examples are expected to return, and the reasons. All other examples must succeed. */
const EXPECTED_ERRORS = {
  internal_order_lookup: { statuses: [404], reason: "no service creates an order with a key and leaves it unconfirmed" },
  password_update: { statuses: [403], reason: "no account has the example's password" },
  order_confirm: { statuses: [412], reason: "the collection has already canceled the order, which is final" },
};

/** Newman tests for a request. `documented` maps each status to the media type of its body. */
const tests = (operationId, documented) => `
const documented = ${JSON.stringify(documented)};
const expectedErrors = ${JSON.stringify(EXPECTED_ERRORS[operationId]?.statuses ?? [])};
const { code } = pm.response;
const type = documented[code];
pm.test("the status is documented", () => pm.expect(type, String(code)).not.to.equal(undefined));
pm.test("the caller is authorized", () => pm.expect(code).not.to.be.oneOf([401, 403].filter((status) => !expectedErrors.includes(status))));
pm.test("the example succeeds", () => {
  if (code >= 300) pm.expect(code).to.be.oneOf(expectedErrors);
});
pm.test("the body has the documented type", () => {
  if (type === "application/json") {
    pm.expect(pm.response.headers.get("Content-Type")).to.match(/^application\\/json/);
    pm.response.json();
  } else {
    pm.expect(pm.response.text()).to.equal("");
  }
});`;

const convert = (data) =>
  new Promise((resolve, reject) =>
    converter.convertV2({ type: "string", data }, OPTIONS, (error, { result, reason, output } = {}) =>
      error || !result ? reject(error ?? new Error(reason)) : resolve(output[0].data),
    ),
  );

/** JSON of an item without the random IDs that the converter adds. */
const withoutIds = (item) =>
  JSON.stringify(item, (key, value) => (/^_?(postman_)?id$/.test(key) && /^[0-9a-f-]{36}$/.test(value) ? undefined : value));

/** Names of requests whose examples are incomplete: the converter generates different missing values each time. */
async function requestsWithoutExamples(data) {
  const [first, second] = [await convert(data), await convert(data)].map(({ item }) => requests(item));
  return first.filter((item, i) => withoutIds(item) !== withoutIds(second[i])).map(({ name }) => name);
}

/** All requests in a collection, including those in folders. */
const requests = (items) => items.flatMap((item) => (item.item ? requests(item.item) : [item]));

/** Documented statuses of an operation, each with the media type of its body, or "" if it has no body. */
function documented({ responses }, { components }) {
  const entries = Object.entries(responses).map(([status, response]) => {
    const name = response.$ref?.split("/").at(-1);
    const { content = { "": {} } } = name ? components.responses[name] : response;
    return [status, Object.keys(content)[0]];
  });
  return Object.fromEntries(entries);
}

function operationOf({ request }, document) {
  const path = `/${request.url.path.map((part) => part.replace(/^:(.*)$/, "{$1}")).join("/")}`;
  const found = operations(document).find((operation) => operation.path === path && operation.method === request.method);
  if (!found) throw new Error(`the converter created ${request.method} ${path}, which is not an operation`);
  return found;
}

const isForServices = ({ security }) =>
  security.length > 0 && security.every((requirement) => "serviceToken" in requirement);

const addTest = (item, exec) => item.event.push({ listen: "test", script: { type: "text/javascript", exec } });

/** Changes requests to replace and delete only resources created here, so that other examples refer to existing ones. */
function changeOnlyCreatedResources(item, { operationId, method }) {
  const [resource] = operationId.split("_");
  if (["POST", "PUT"].includes(method)) {
    addTest(item, `
const tag = pm.response.headers.get("ETag");
if (pm.response.code < 300 && tag) {
  pm.collectionVariables.set("${resource}", pm.response.json().id);
  pm.collectionVariables.set("${resource}Tag", tag);
}`);
  }
  // The account in the example is the only admin.
  if (["PUT", "DELETE"].includes(method) || operationId === "operator_update") {
    item.request.url.variable.find(({ key }) => key === "id").value = `{{${resource}}}`;
    item.request.header.find(({ key }) => key === "If-Match").value = `{{${resource}Tag}}`;
  }
}

/** Sets this system's credentials in login requests. */
function setCredentials({ request }, { operationId }) {
  if (operationId.startsWith("token_create")) {
    request.body.raw = JSON.stringify({ username: setting("ADMIN_USER"), password: setting("ADMIN_PASSWORD") });
  }
}

/** Requests of a document, grouped by the token that they accept. Every operation must have a request. */
function prepare(collection, document) {
  const groups = { user: [], service: [] };
  const missing = new Set(operations(document).map(({ operationId }) => operationId));
  for (const item of requests(collection.item)) {
    const operation = operationOf(item, document);
    missing.delete(operation.operationId);
    addTest(item, tests(operation.operationId, documented(operation, document)));
    changeOnlyCreatedResources(item, operation);
    setCredentials(item, operation);
    groups[isForServices(operation) ? "service" : "user"].push(item);
  }
  if (missing.size > 0) throw new Error(`the converter created no request for ${[...missing].join(", ")}`);
  return groups;
}

const tokens = { user: await logIn(), service: setting("SERVICE_TOKEN") };
const totals = { requests: 0, succeeded: 0, assertions: 0, failures: 0 };
for (const { service, document } of await documents()) {
  const data = await readFile(path(service), "utf8");
  const incomplete = await requestsWithoutExamples(data);
  for (const name of incomplete) console.log(`${service}: ${name}: an example is missing`);
  totals.failures += incomplete.length;
  const collection = await convert(data);
  for (const [caller, item] of Object.entries(prepare(collection, document))) {
    if (item.length === 0) continue;
    const variables = { baseUrl: baseUrl(service), bearerToken: tokens[caller] };
    const figures = await send(service, { collection: { ...collection, item } }, variables);
    for (const key of Object.keys(totals)) totals[key] += figures[key];
  }
}
const { requests: sent, succeeded, assertions, failures } = totals;
console.log(`${sent} requests, of which ${succeeded} succeeded; ${assertions} assertions, ${failures} failures`);
process.exitCode = failures === 0 ? 0 : 1;
