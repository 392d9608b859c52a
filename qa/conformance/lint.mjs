// Lints the OpenAPI documents with the recommended rules of redocly and spectral, and treats warnings as errors.
// Exceptions are in .redocly.lint-ignore.yaml and .spectral.yaml.

import { run } from "./run.mjs";
import { documents, operations, path } from "./system.mjs";

const config = (name) => `qa/conformance/${name}`;
// Disable update notices and telemetry.
const env = { ...process.env, REDOCLY_SUPPRESS_UPDATE_NOTICE: "true", REDOCLY_TELEMETRY: "off" };

const all = await documents();
const paths = all.map(({ service }) => path(service));
const redocly = await run("redocly", ["lint", "--config", config("redocly.yaml"), "--format=stylish", "--max-problems=1000", ...paths], { env });
const spectral = await run("spectral", ["lint", "--ruleset", config(".spectral.yaml"), "--fail-severity=hint", ...paths]);
const count = all.flatMap(({ document }) => operations(document)).length;
const results = [redocly, spectral].map(({ code }) => (code === 0 ? "no problems" : "problems"));
console.log(`${all.length} documents, ${count} operations: redocly finds ${results[0]}, spectral finds ${results[1]}`);
process.exitCode = results.includes("problems") ? 1 : 0;
