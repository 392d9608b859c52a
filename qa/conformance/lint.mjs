// Two linters with their recommended rules find nothing in the documents, no warning either. Exceptions are in
// .redocly.lint-ignore.yaml and .spectral.yaml.

import { run } from "./run.mjs";
import { documents, operations, path } from "./system.mjs";

const config = (name) => `qa/conformance/${name}`;
// Nothing here needs to be told about newer versions, or to tell anybody that it was used.
const env = { ...process.env, REDOCLY_SUPPRESS_UPDATE_NOTICE: "true", REDOCLY_TELEMETRY: "off" };

const all = await documents();
const paths = all.map(({ service }) => path(service));
const redocly = await run("redocly", ["lint", "--config", config("redocly.yaml"), "--format=stylish", "--max-problems=1000", ...paths], { env });
const spectral = await run("spectral", ["lint", "--ruleset", config(".spectral.yaml"), "--fail-severity=hint", ...paths]);
const count = all.flatMap(({ document }) => operations(document)).length;
const verdict = [redocly, spectral].map(({ code }) => (code === 0 ? "nothing" : "something"));
console.log(`${all.length} documents, ${count} operations: redocly finds ${verdict[0]}, spectral finds ${verdict[1]}`);
process.exitCode = verdict.includes("something") ? 1 : 0;
