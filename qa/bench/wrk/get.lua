-- The same request again and again, or one of those with an id from FIRST to LAST.

local path, first, last = text("PATH"), number("FIRST"), number("LAST")
local prepared = {}

function init()
  math.randomseed(os.time())
  if not first then
    prepared[1] = wrk.format("GET", path)
    return
  end
  for id = first, last do
    table.insert(prepared, wrk.format("GET", path .. id))
  end
end

function request()
  return prepared[math.random(#prepared)]
end
