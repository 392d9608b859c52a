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

wrk.headers["Authorization"] = "Bearer " .. (text("TOKEN") or "")

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"errors":{"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d},"used":%d}\n',
    summary.requests, summary.duration, errors.connect, errors.read, errors.write, errors.timeout, errors.status,
    threads[1]:get("used") or 0))
end
