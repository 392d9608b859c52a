-- A new order for one piece, created and confirmed, each under a key of its own.

wrk.headers["Content-Type"] = "application/json"

function request()
  local body = "{" .. order() .. ',"idempotency_key":"' .. new_key() .. '"}'
  return wrk.format("POST", "/orchestrator/create-and-confirm-order", nil, body)
end
