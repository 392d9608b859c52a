// Tests the /docs pages in a browser, on a desktop and on a phone screen: logs in, authorizes, lists customers, creates
// an order and reads the response. The operations themselves are tested elsewhere.
//
// Requires a running system and the environment variables CUSTOMERS_BASE, ORDERS_BASE, ORCHESTRATOR_BASE, ADMIN_USER,
// ADMIN_PASSWORD and CHROMIUM (path of the browser). If SCREENSHOTS is set to a directory, saves the README image
// there. Exits 0 on success; otherwise prints a message and exits 1.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";

const TIMEOUT_MS = 30_000;
const MAX_SCREENSHOT_BYTES = 200_000;

const SCREENS = {
  "a desktop": { viewport: { width: 1280, height: 900 } },
  "a phone": { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
};

// Disable the browser's background traffic. Also disable the sandbox, which cannot be started by root, the usual user
// in CI. The pages are trusted.
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Number of requests sent by the pages. */
let sent = 0;

/** Documentation page of one service. Executes the user's actions, and collects errors that occur on the page. */
class Docs {
  #page;
  #name;
  #problems = [];

  static async open(context, name, base) {
    const docs = new Docs();
    docs.#name = name;
    docs.#page = await context.newPage();
    docs.#page.setDefaultTimeout(TIMEOUT_MS);
    await docs.#listen(new URL(base).origin);
    const response = await docs.#page.goto(`${base}/docs`);
    assert.equal(response.status(), 200, `${name}: GET /docs`);
    assert.match(response.headers()["content-security-policy"] ?? "", /script-src 'self';/, `${name}: a security policy`);
    await docs.#page.locator(".opblock").first().waitFor();
    await docs.#check("showing the document");
    return docs;
  }

  async #listen(origin) {
    const report = (problem) => this.#problems.push(problem);
    this.#page.on("console", (message) => message.type() === "error" && report(`console: ${message.text()}`));
    this.#page.on("pageerror", (error) => report(`script: ${error.message}`));
    this.#page.on("request", (request) => {
      sent += 1;
      const url = new URL(request.url());
      if (url.protocol !== "data:" && url.origin !== origin) report(`request to another host: ${url}`);
    });
    await this.#page.exposeFunction("policyViolated", (violation) => report(`security policy: ${violation}`));
    await this.#page.addInitScript(() =>
      addEventListener("securitypolicyviolation", (event) =>
        window.policyViolated(`${event.effectiveDirective} ${event.blockedURI}`),
      ),
    );
  }

  async #check(step) {
    const [content, screen] = await this.#page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      return [scrollWidth, clientWidth];
    });
    assert.ok(content <= screen, `${this.#name}, ${step}: ${content} px of content on ${screen} px of screen`);
    assert.deepEqual(this.#problems, [], `${this.#name}, ${step}`);
  }

  /** Returns a PNG image of the visible part of the page. */
  screenshot() {
    return this.#page.screenshot();
  }

  async authorize(token) {
    await this.#page.locator(".scheme-container").getByRole("button", { name: "Authorize" }).click();
    const dialog = this.#page.locator(".modal-ux");
    const scheme = dialog.locator(".auth-container").filter({ hasText: "operatorJwt" });
    await scheme.getByRole("textbox").fill(token);
    await this.#check("authorizing");
    await scheme.getByRole("button", { name: "Apply credentials" }).click();
    await scheme.getByRole("button", { name: "Remove authorization" }).waitFor();
    await scheme.getByRole("button", { name: "Close" }).click();
    await dialog.waitFor({ state: "detached" });
  }

  /** Executes an operation on the page, with a body if one is given, and returns the JSON that the page shows. */
  async tryOut(operationId, expectedStatus, body) {
    const operation = this.#page.locator(`.opblock[id$="-${operationId}"]`);
    await operation.locator(".opblock-summary-control").click();
    await operation.getByRole("button", { name: "Try it out" }).click();
    if (body !== undefined) await operation.locator(".body-param__text").fill(JSON.stringify(body));
    await operation.getByRole("button", { name: "Execute" }).click();
    const response = operation.locator(".live-responses-table tbody .response");
    await response.waitFor();
    const status = (await response.locator(".response-col_status").innerText()).trim();
    const text = await response.locator(".highlight-code pre").first().innerText();
    assert.equal(status, String(expectedStatus), `${this.#name}, ${operationId}: the page shows ${text}`);
    await this.#check(operationId);
    return JSON.parse(text);
  }
}

async function takeScreenshot(browser) {
  const context = await browser.newContext(SCREENS["a desktop"]);
  const image = await (await Docs.open(context, "orders", process.env.ORDERS_BASE)).screenshot();
  assert.ok(image.length <= MAX_SCREENSHOT_BYTES, `a screenshot of ${image.length} bytes`);
  if (process.env.SCREENSHOTS) await writeFile(join(process.env.SCREENSHOTS, "docs-page.png"), image);
}

async function walkThrough(context) {
  const { CUSTOMERS_BASE, ORDERS_BASE, ORCHESTRATOR_BASE, ADMIN_USER, ADMIN_PASSWORD } = process.env;

  const customers = await Docs.open(context, "customers", CUSTOMERS_BASE);
  const credentials = { username: ADMIN_USER, password: ADMIN_PASSWORD };
  const { access_token: token } = await customers.tryOut("token_create", 200, credentials);
  await customers.authorize(token);
  const [customer] = (await customers.tryOut("customer_list", 200)).data;
  assert.ok(customer, "customers: the page lists no customers");

  const orders = await Docs.open(context, "orders", ORDERS_BASE);
  await orders.authorize(token);
  const sku = `BROWSER-${randomUUID()}`.slice(0, 32).toUpperCase();
  const product = await orders.tryOut("product_create", 201, { sku, name: "Browser test product", price_cents: 1250, stock: 10 });
  const newOrder = { customer_id: customer.id, items: [{ product_id: product.id, qty: 3 }] };
  const order = await orders.tryOut("order_create", 201, newOrder);
  assert.deepEqual([order.customer_id, order.status, order.total_cents], [customer.id, "CREATED", 3750], "orders: the order");

  const orchestrator = await Docs.open(context, "orchestrator", ORCHESTRATOR_BASE);
  await orchestrator.authorize(token);
  const keyedOrder = { ...newOrder, idempotency_key: randomUUID() };
  const { data } = await orchestrator.tryOut("order_create_and_confirm", 201, keyedOrder);
  assert.equal(data.order.status, "CONFIRMED", "orchestrator: the order");
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS });
try {
  for (const [name, screen] of Object.entries(SCREENS)) {
    await walkThrough(await browser.newContext(screen));
    console.log(`all actions succeed on ${name}`);
  }
  await takeScreenshot(browser);
  console.log(`3 pages on ${Object.keys(SCREENS).length} screens, ${sent} requests, none of them to another host`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await browser.close();
}
