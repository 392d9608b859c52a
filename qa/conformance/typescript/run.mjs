// openapi-typescript makes types from the documents without a warning, the tour in tour.ts compiles with them, and runs.

import { fileURLToPath } from "node:url";

import { run } from "../run.mjs";
import { documents, path } from "../system.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
// Where tsconfig.json looks for them.
const GENERATED = ".local/conformance/typescript";

/** Runs a program that has to succeed. */
async function must(name, args) {
  const { code, output } = await run(name, args);
  if (code !== 0) throw new Error(`${name} fails`);
  return output;
}

const all = await documents();
for (const { service } of all) {
  const said = await must("openapi-typescript", [path(service), "--output", `${GENERATED}/${service}.d.ts`]);
  // It says its name and that it wrote a file. Whatever else it says is a complaint.
  const complaints = said.split("\n").filter((line) => line.trim() && !/^(✨|🚀)/u.test(line));
  if (complaints.length > 0) throw new Error(`openapi-typescript complains about ${path(service)}`);
}
await must("tsc", ["--project", HERE]);
await must("tsx", [`${HERE}tour.ts`]);
console.log(`${all.length} documents without a warning; the tour compiles and runs`);
