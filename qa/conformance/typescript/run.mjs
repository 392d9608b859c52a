// Generates types from the documents with openapi-typescript, which must not print warnings, then compiles and runs the
// walkthrough in tour.ts.

import { fileURLToPath } from "node:url";

import { run } from "../run.mjs";
import { documents, path } from "../system.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
// tsconfig.json includes this directory.
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
  // openapi-typescript prints its name and the path of the generated file. Any other output is a warning.
  const warnings = output.split("\n").filter((line) => line.trim() && !/^(✨|🚀)/u.test(line));
  if (warnings.length > 0) throw new Error(`openapi-typescript printed warnings for ${path(service)}`);
}
await must("tsc", ["--project", HERE]);
await must("tsx", [`${HERE}tour.ts`]);
console.log(`${all.length} documents without warnings; the walkthrough compiled and passed`);
