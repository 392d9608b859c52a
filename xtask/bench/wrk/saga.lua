-- A new order for one piece, created and confirmed, each under a key of its own.

local product_first, product_last = number("PRODUCT_FIRST"), number("PRODUCT_LAST")
local customer_first, customer_last = number("CUSTOMER_FIRST"), number("CUSTOMER_LAST")
local product = product_last

function init()
  math.randomseed(os.time())
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  product = product < product_last and product + 1 or product_first
  local customer = math.random(customer_first, customer_last)
  local body = '{"customer_id":' .. customer .. ',"items":[{"product_id":' .. product .. ',"qty":1}],"idempotency_key":"'
    .. new_key() .. '"}'
  return wrk.format("POST", "/orchestrator/create-and-confirm-order", nil, body)
end
