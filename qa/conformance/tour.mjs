// Runs the walkthrough collection in specs/postman twice, because it must also succeed with the data of an earlier run.

import { readFile } from "node:fs/promises";

import { send } from "./newman.mjs";
import { baseUrl, setting } from "./system.mjs";

const RUNS = 2;

const options = {
  collection: "specs/postman/tour.postman_collection.json",
  environment: "specs/postman/local.postman_environment.json",
  iterationCount: RUNS,
};
const { requests, assertions, failures } = await send("walkthrough", options, {
  customersUrl: baseUrl("customers"),
  ordersUrl: baseUrl("orders"),
  orchestratorUrl: baseUrl("orchestrator"),
  username: setting("ADMIN_USER"),
  password: setting("ADMIN_PASSWORD"),
});
const { item: steps } = JSON.parse(await readFile(options.collection, "utf8"));
if (requests !== steps.length * RUNS) throw new Error(`${requests} requests were sent in ${RUNS} runs of ${steps.length} steps`);
console.log(`${RUNS} runs, ${requests} requests, ${assertions} assertions, ${failures} failures`);
process.exitCode = failures === 0 ? 0 : 1;
