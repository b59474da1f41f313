-- wrk sends the requests of a file in turn; they are apart by a line of "%".
local requests = {}
local at = 0

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  local text = file:read("*a")
  file:close()
  local from = 1
  while true do
    local stop, behind = text:find("%\n", from, true)
    requests[#requests + 1] = text:sub(from, (stop or 0) - 1)
    if not stop then break end
    from = behind + 1
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end
