# Logs in, finds a customer, and creates and confirms an order, with generated clients.

require "customers"
require "orders"
require "orchestrator"

run = ARGV.fetch(0)

# Returns the client of a service.
client = lambda do |service, base, token = nil|
  scheme, host = ENV.fetch(base).split("://")
  config = service::Configuration.new
  config.scheme = scheme
  config.host = host
  config.ignore_operation_servers = true
  config.server_index = nil
  config.access_token = token
  service::ApiClient.new(config)
end

credentials = Customers::Credentials.new(username: ENV.fetch("ADMIN_USER"), password: ENV.fetch("ADMIN_PASSWORD"))
token = Customers::AuthApi.new(client.(Customers, "CUSTOMERS_BASE")).token_create(credentials).access_token
customers = Customers::CustomersApi.new(client.(Customers, "CUSTOMERS_BASE", token))
customer = customers.customer_list(search: "acme").data.first

orders = Orders::OrdersApi.new(client.(Orders, "ORDERS_BASE", token))
items = [Orders::OrderItemInput.new(product_id: 2, qty: 3)]
input = Orders::OrderInput.new(customer_id: customer.id, items: items)
order, again = Array.new(2) { orders.order_create(input, x_idempotency_key: run) }
raise "a second order was created" if again.id != order.id
raise "the order is not confirmed" if orders.order_confirm(order.id, run).status != Orders::OrderStatus::CONFIRMED

items = [Orchestrator::Item.new(product_id: 2, qty: 3)]
request = Orchestrator::CreateAndConfirm.new(customer_id: customer.id, items: items, idempotency_key: run)
api = Orchestrator::OrchestratorApi.new(client.(Orchestrator, "ORCHESTRATOR_BASE", token))
done = api.order_create_and_confirm(request).data.order
raise "the second order is not confirmed" if done.status != Orchestrator::OrderStatus::CONFIRMED

puts "order #{order.id} confirmed"
