// Generates types from the documents with openapi-typescript, without warnings, then compiles and runs the walkthrough
// in tour.ts.

import { fileURLToPath } from "node:url";

import { run } from "../run.mjs";
import { documents, path } from "../system.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
// Included by tsconfig.json.
const GENERATED = ".local/conformance/typescript";

/** Runs a program and returns its output. Throws if it fails. */
async function must(name, args) {
  const { code, output } = await run(name, args);
  if (code !== 0) throw new Error(`${name} failed`);
  return output;
}

const all = await documents();
for (const { service } of all) {
  const output = await must("openapi-typescript", [path(service), "--output", `${GENERATED}/${service}.d.ts`]);
  // It prints its name and the written file. Any other output is a warning.
  const warnings = output.split("\n").filter((line) => line.trim() && !/^(✨|🚀)/u.test(line));
  if (warnings.length > 0) throw new Error(`openapi-typescript warns about ${path(service)}`);
}
await must("tsc", ["--project", HERE]);
await must("tsx", [`${HERE}tour.ts`]);
console.log(`${all.length} documents without warnings; the walkthrough compiles and passes`);
