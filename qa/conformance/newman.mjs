// Runs a collection with newman, and says what came of it.

import newman from "newman";

/** A collection with variables that win over its own. Every answer and every failure is a line of the output. */
export async function send(name, options, variables) {
  const envVar = Object.entries(variables).map(([key, value]) => ({ key, value }));
  const { executions, failures, stats } = await new Promise((resolve, reject) =>
    newman.run({ ...options, envVar, reporters: [] }, (error, summary) => (error ? reject(error) : resolve(summary.run))),
  );
  for (const { item, response } of executions) console.log(`${name}: ${item.name}: ${response?.code ?? "no answer"}`);
  for (const { error, source } of failures) console.log(`${name}: ${source?.name}: ${error.test ?? ""}: ${error.message}`);
  return {
    requests: stats.requests.total,
    succeeded: executions.filter(({ response }) => response?.code < 300).length,
    assertions: stats.assertions.total,
    failures: failures.length,
  };
}
