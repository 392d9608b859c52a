-- What all scripts share: values from the environment, keys that nobody else has, and the figures as the last line.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function text(name)
  local value = os.getenv("BENCH_" .. name)
  return value ~= "" and value or nil
end

function number(name)
  return tonumber(text(name))
end

local taken = 0
local mine = text("RUN") or "run"

function new_key()
  taken = taken + 1
  return mine .. "-" .. taken
end

local product_first, product_last = number("PRODUCT_FIRST"), number("PRODUCT_LAST")
local customer_first, customer_last = number("CUSTOMER_FIRST"), number("CUSTOMER_LAST")
local product = product_last

-- What an order of one piece has in its body: a random customer, and each product in turn.
function order()
  product = product < product_last and product + 1 or product_first
  local customer = math.random(customer_first, customer_last)
  return '"customer_id":' .. customer .. ',"items":[{"product_id":' .. product .. ',"qty":1}]'
end

function init()
  math.randomseed(os.time())
end

wrk.headers["Authorization"] = "Bearer " .. (text("TOKEN") or "")

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"errors":{"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d},"used":%d}\n',
    summary.requests, summary.duration, errors.connect, errors.read, errors.write, errors.timeout, errors.status,
    threads[1]:get("used") or 0))
end
