// The pages under /docs, used as a person would use them in a browser: log in, authorize, list customers, create an order
// and read what came of it, on a wide screen and on a phone. What the operations mean is tested elsewhere.
//
// Runs against a system that is up: CUSTOMERS_BASE, ORDERS_BASE, ORCHESTRATOR_BASE, ADMIN_USER, ADMIN_PASSWORD and CHROMIUM,
// the browser's program. Ends with 0 if all is well, else with 1 and what went wrong.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { chromium } from "playwright-core";

const PATIENCE_MS = 30_000;

const SCREENS = {
  "a wide screen": { viewport: { width: 1280, height: 900 } },
  "a phone": { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
};

// A browser that talks to nobody but the pages' hosts. Its sandbox does not start for root, as whom a gate often runs; what it
// shows is ours.
const QUIET = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** How many requests the pages have sent. */
let sent = 0;

/** One service's page. Keeps whatever goes wrong on it beside what its user does. */
class Docs {
  #page;
  #name;
  #complaints = [];

  static async open(context, name, base) {
    const docs = new Docs();
    docs.#name = name;
    docs.#page = await context.newPage();
    docs.#page.setDefaultTimeout(PATIENCE_MS);
    await docs.#listen(new URL(base).origin);
    const answer = await docs.#page.goto(`${base}/docs`);
    assert.equal(answer.status(), 200, `${name}: GET /docs`);
    assert.match(answer.headers()["content-security-policy"] ?? "", /script-src 'self';/, `${name}: a security policy`);
    await docs.#page.locator(".opblock").first().waitFor();
    await docs.#check("showing the document");
    return docs;
  }

  async #listen(origin) {
    const complain = (complaint) => this.#complaints.push(complaint);
    this.#page.on("console", (message) => message.type() === "error" && complain(`console: ${message.text()}`));
    this.#page.on("pageerror", (error) => complain(`script: ${error.message}`));
    this.#page.on("request", (request) => {
      sent += 1;
      const url = new URL(request.url());
      if (url.protocol !== "data:" && url.origin !== origin) complain(`asked another host: ${url}`);
    });
    await this.#page.exposeFunction("policyViolated", (what) => complain(`security policy: ${what}`));
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
    assert.deepEqual(this.#complaints, [], `${this.#name}, ${step}`);
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

  /** Tries an operation out, with this body if it takes one, and gives the JSON that the page then shows. */
  async tryOut(operationId, expectedStatus, body) {
    const operation = this.#page.locator(`.opblock[id$="-${operationId}"]`);
    await operation.locator(".opblock-summary-control").click();
    await operation.getByRole("button", { name: "Try it out" }).click();
    if (body !== undefined) await operation.locator(".body-param__text").fill(JSON.stringify(body));
    await operation.getByRole("button", { name: "Execute" }).click();
    const answer = operation.locator(".live-responses-table tbody .response");
    await answer.waitFor();
    const status = (await answer.locator(".response-col_status").innerText()).trim();
    const text = await answer.locator(".highlight-code pre").first().innerText();
    assert.equal(status, String(expectedStatus), `${this.#name}, ${operationId}: the page shows ${text}`);
    await this.#check(operationId);
    return JSON.parse(text);
  }
}

async function tour(context) {
  const { CUSTOMERS_BASE, ORDERS_BASE, ORCHESTRATOR_BASE, ADMIN_USER, ADMIN_PASSWORD } = process.env;

  const customers = await Docs.open(context, "customers", CUSTOMERS_BASE);
  const credentials = { username: ADMIN_USER, password: ADMIN_PASSWORD };
  const { access_token: token } = await customers.tryOut("token_create", 200, credentials);
  await customers.authorize(token);
  const [customer] = (await customers.tryOut("customer_list", 200)).data;
  assert.ok(customer, "customers: the page lists nobody");

  const orders = await Docs.open(context, "orders", ORDERS_BASE);
  await orders.authorize(token);
  const sku = `BROWSER-${randomUUID()}`.slice(0, 32).toUpperCase();
  const product = await orders.tryOut("product_create", 201, { sku, name: "Made in a browser", price_cents: 1250, stock: 10 });
  const wish = { customer_id: customer.id, items: [{ product_id: product.id, qty: 3 }] };
  const order = await orders.tryOut("order_create", 201, wish);
  assert.deepEqual([order.customer_id, order.status, order.total_cents], [customer.id, "CREATED", 3750], "orders: the order");

  const orchestrator = await Docs.open(context, "orchestrator", ORCHESTRATOR_BASE);
  await orchestrator.authorize(token);
  const whole = { ...wish, idempotency_key: randomUUID() };
  const { data } = await orchestrator.tryOut("order_create_and_confirm", 201, whole);
  assert.equal(data.order.status, "CONFIRMED", "orchestrator: the order");
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: QUIET });
try {
  for (const [name, screen] of Object.entries(SCREENS)) {
    await tour(await browser.newContext(screen));
    console.log(`the pages work on ${name}`);
  }
  console.log(`3 pages on ${Object.keys(SCREENS).length} screens, ${sent} requests, none to another host`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await browser.close();
}
