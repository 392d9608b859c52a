-- The next step of each order from FIRST to LAST, each under a key of its own.

local path, action, first, last = text("PATH"), text("ACTION"), number("FIRST"), number("LAST")

used = 0

function request()
  local id = first + used
  used = used + 1
  -- Orders that are not there are answered 404, which fails the run.
  wrk.headers["X-Idempotency-Key"] = new_key()
  return wrk.format("POST", path .. (id <= last and id or 0) .. action)
end
