// Runs a Postman collection with newman.

import newman from "newman";

/** Runs a collection, overriding its variables with the given ones. Prints every response and failure; returns totals. */
export async function send(name, options, variables) {
  const envVar = Object.entries(variables).map(([key, value]) => ({ key, value }));
  const { executions, failures, stats } = await new Promise((resolve, reject) =>
    newman.run({ ...options, envVar, reporters: [] }, (error, summary) => (error ? reject(error) : resolve(summary.run))),
  );
  for (const { item, response } of executions) console.log(`${name}: ${item.name}: ${response?.code ?? "no response"}`);
  for (const { error, source } of failures) console.log(`${name}: ${source?.name}: ${error.test ?? ""}: ${error.message}`);
  return {
    requests: stats.requests.total,
    succeeded: executions.filter(({ response }) => response?.code < 300).length,
    assertions: stats.assertions.total,
    failures: failures.length,
  };
}
