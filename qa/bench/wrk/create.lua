-- A new order for one piece, each under a key of its own.

wrk.headers["Content-Type"] = "application/json"

function request()
  wrk.headers["X-Idempotency-Key"] = new_key()
  return wrk.format("POST", "/orders", nil, "{" .. order() .. "}")
end
