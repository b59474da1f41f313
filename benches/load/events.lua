-- wrk posts batches of 100 events: 64 shoppers look at the shop's products, no event twice.
local batch = 0
local kinds = {"click", "view_details", "add_to_cart"}

function init()
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  local events = {}
  for n = 0, 99 do
    local all = batch * 100 + n
    events[n + 1] = string.format(
      '{"type":"%s","user_id":"reader-%d","product_id":"SKU-%05d","event_id":"e-%d"}',
      kinds[all % 3 + 1], all % 64, all % 100 + 1, all)
  end
  batch = batch + 1
  return wrk.format(nil, "/api/interactions/track", nil, "[" .. table.concat(events, ",") .. "]")
end
