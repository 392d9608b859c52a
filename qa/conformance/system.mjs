// Code shared by all programs: access to the documents and to the system that `cargo xtask conformance` runs.

import { readFile } from "node:fs/promises";

const SERVICES = ["customers", "orders", "orchestrator"];

/** Returns the value of a required environment variable. */
export function setting(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run this with cargo xtask conformance`);
  return value;
}

/** Returns the base URL of a service. */
export const baseUrl = (service) => setting(`${service.toUpperCase()}_BASE`);

export const path = (service) => `specs/${service}.json`;

/** Returns the three OpenAPI documents and the names of their services. */
export async function documents() {
  return Promise.all(SERVICES.map(async (service) => ({ service, document: JSON.parse(await readFile(path(service))) })));
}

/** Returns all operations of a document with their paths and methods. */
export function operations(document) {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ ...operation, path, method: method.toUpperCase() })),
  );
}

/** Logs in as the admin and returns the token. */
export async function logIn() {
  const response = await fetch(`${baseUrl("customers")}/auth/token`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ username: setting("ADMIN_USER"), password: setting("ADMIN_PASSWORD") }),
  });
  if (!response.ok) throw new Error(`POST /auth/token returned ${response.status}: ${await response.text()}`);
  return (await response.json()).access_token;
}
