// Each document becomes a collection by Postman's own converter, and newman sends every request of it to the running
// system. Authentication is one variable, `bearerToken`, as a person sets it in Postman: an operator's token for most
// requests, the service token for those that take no other.

import { readFile } from "node:fs/promises";

import converter from "openapi-to-postmanv2";

import { send } from "./newman.mjs";
import { baseUrl, documents, logIn, operations, path, setting } from "./system.mjs";

const OPTIONS = { parametersResolution: "Example", folderStrategy: "Tags" };

/** The refusals of good examples, and why they are refused. Any other example is carried out. */
const REFUSALS = {
  internal_order_lookup: { statuses: [404], reason: "no service makes an order under a key that stays unconfirmed" },
  password_update: { statuses: [403], reason: "the example's password is nobody's" },
  order_confirm: { statuses: [412], reason: "the cancel, which stands before it in the collection, is final" },
};

/** The tests of a request, for newman. `documented` has the media type of the body of each status. */
const tests = (operationId, documented) => `
const documented = ${JSON.stringify(documented)};
const refusals = ${JSON.stringify(REFUSALS[operationId]?.statuses ?? [])};
const { code } = pm.response;
const type = documented[code];
pm.test("the status is documented", () => pm.expect(type, String(code)).not.to.equal(undefined));
pm.test("the caller is let in", () => pm.expect(code).not.to.be.oneOf([401, 403].filter((status) => !refusals.includes(status))));
pm.test("the example is carried out", () => {
  if (code >= 300) pm.expect(code).to.be.oneOf(refusals);
});
pm.test("the body is of the documented type", () => {
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

/** A collection without the ids that the converter draws by lot. */
const withoutIds = (item) =>
  JSON.stringify(item, (key, value) => (/^_?(postman_)?id$/.test(key) && /^[0-9a-f-]{36}$/.test(value) ? undefined : value));

/** Where an example is missing the converter invents a value, another one every time. */
async function inventions(data) {
  const [some, others] = [await convert(data), await convert(data)].map(({ item }) => requests(item));
  return some.filter((item, i) => withoutIds(item) !== withoutIds(others[i])).map(({ name }) => name);
}

/** The requests of a collection, whatever folders they are in. */
const requests = (items) => items.flatMap((item) => (item.item ? requests(item.item) : [item]));

/** The statuses that an operation documents, each with the media type of its body, "" where it has none. */
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
  if (!found) throw new Error(`the converter made ${request.method} ${path}, which is no operation`);
  return found;
}

const isForServices = ({ security }) =>
  security.length > 0 && security.every((requirement) => "serviceToken" in requirement);

const addTest = (item, exec) => item.event.push({ listen: "test", script: { type: "text/javascript", exec } });

/** What is replaced and deleted is what was created here: every other example goes on to name something that is there. */
function replaceOnlyWhatWasCreated(item, { operationId, method }) {
  const [resource] = operationId.split("_");
  if (["POST", "PUT"].includes(method)) {
    addTest(item, `
const tag = pm.response.headers.get("ETag");
if (pm.response.code < 300 && tag) {
  pm.collectionVariables.set("${resource}", pm.response.json().id);
  pm.collectionVariables.set("${resource}Tag", tag);
}`);
  }
  // The operator of the example is the only admin.
  if (["PUT", "DELETE"].includes(method) || operationId === "operator_update") {
    item.request.url.variable.find(({ key }) => key === "id").value = `{{${resource}}}`;
    item.request.header.find(({ key }) => key === "If-Match").value = `{{${resource}Tag}}`;
  }
}

/** Whoever logs in has to know a password of this very system. */
function logInWithWhatIsTrue({ request }, { operationId }) {
  if (operationId.startsWith("token_create")) {
    request.body.raw = JSON.stringify({ username: setting("ADMIN_USER"), password: setting("ADMIN_PASSWORD") });
  }
}

/** The requests of a document by the token that they take. There is one for each operation. */
function prepare(collection, document) {
  const groups = { operator: [], service: [] };
  const missing = new Set(operations(document).map(({ operationId }) => operationId));
  for (const item of requests(collection.item)) {
    const operation = operationOf(item, document);
    missing.delete(operation.operationId);
    addTest(item, tests(operation.operationId, documented(operation, document)));
    replaceOnlyWhatWasCreated(item, operation);
    logInWithWhatIsTrue(item, operation);
    groups[isForServices(operation) ? "service" : "operator"].push(item);
  }
  if (missing.size > 0) throw new Error(`the converter made no request of ${[...missing].join(", ")}`);
  return groups;
}

const tokens = { operator: await logIn(), service: setting("SERVICE_TOKEN") };
const totals = { requests: 0, succeeded: 0, assertions: 0, failures: 0 };
for (const { service, document } of await documents()) {
  const data = await readFile(path(service), "utf8");
  const invented = await inventions(data);
  for (const name of invented) console.log(`${service}: ${name}: an example is missing, the converter invents a value`);
  totals.failures += invented.length;
  const collection = await convert(data);
  for (const [caller, item] of Object.entries(prepare(collection, document))) {
    if (item.length === 0) continue;
    const variables = { baseUrl: baseUrl(service), bearerToken: tokens[caller] };
    const figures = await send(service, { collection: { ...collection, item } }, variables);
    for (const key of Object.keys(totals)) totals[key] += figures[key];
  }
}
const { requests: sent, succeeded, assertions, failures } = totals;
console.log(`${sent} requests, ${succeeded} of them carried out; ${assertions} assertions, ${failures} failures`);
process.exitCode = failures === 0 ? 0 : 1;
