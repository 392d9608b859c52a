// Runs programs in node_modules/.bin.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const programs = new URL("node_modules/.bin/", import.meta.url);

/** Runs a program, forwards its output, and returns its exit code and output. */
export async function run(name, args, options = {}) {
  const child = spawn(fileURLToPath(new URL(name, programs)), args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
      process.stdout.write(text);
    });
  }
  const [code] = await once(child, "close");
  return { code, output };
}
