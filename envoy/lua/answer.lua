-- Errors in the shape that every reply has (google.rpc.Status as JSON, AIP-193).

-- A caller's own words are quoted up to here.
local MAXIMUM_QUOTED = 200

local INVALID_ARGUMENT = 3

local function quoted(text)
  if #text > MAXIMUM_QUOTED then
    -- Cut between characters: a byte 10xxxxxx continues one.
    local cut = MAXIMUM_QUOTED
    while cut > 0 and byte(text, cut + 1) >= 0x80 and byte(text, cut + 1) < 0xC0 do
      cut = cut - 1
    end
    text = sub(text, 1, cut) .. "..."
  end
  local safe = gsub(text, '[%c"\\<>&]', function(char)
    return format("\\u%04x", byte(char))
  end)
  return '"' .. safe .. '"'
end

local function error_info(reason)
  return '{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"'
    .. reason
    .. '","domain":"greenledger","metadata":{}}'
end

local function status_json(code, message, details)
  return '{"code":' .. code .. ',"message":' .. message .. ',"details":[' .. details .. "]}"
end

local function answer(handle, failure)
  local message, reason = quoted(failure.message), failure.reason
  local details = error_info(reason)
  if failure.field then
    details = details
      .. ',{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":'
      .. quoted(failure.field)
      .. ',"description":'
      .. message
      .. ',"reason":"'
      .. reason
      .. '"}]}'
  end
  local headers = {
    [":status"] = failure.status,
    ["content-type"] = "application/json",
    ["cache-control"] = "no-store",
    ["x-content-type-options"] = "nosniff",
  }
  handle:respond(headers, status_json(failure.code or INVALID_ARGUMENT, message, details))
end

-- Reasons for what the gRPC runtime of a service answers by itself, without ErrorInfo, by canonical code.
local BARE = {
  ["4"] = { "DEADLINE_EXPIRED", "The time for this call ran out before it was answered." },
  ["7"] = { "PERMISSION_DENIED", "This is not permitted." },
  ["8"] = { "OVERLOADED", "The service has too much to do; try again." },
  ["12"] = { "METHOD_UNKNOWN", "The service does not know this method." },
  ["14"] = { "UNAVAILABLE", "The service does not answer at the moment; try again." },
  ["16"] = { "TOKEN_INVALID", "The token is not valid." },
}
local INTERNAL = { "INTERNAL", "The service failed." }

-- Gives an error's body its reason, and takes from it what the runtime said of the inside.
local function complete(handle)
  local body = handle:body()
  if not body then
    return -- to a HEAD
  end
  local text = body:length() > 0 and body:getBytes(0, body:length()) or ""
  if find(text, '"type.googleapis.com/google.rpc.ErrorInfo"', 1, true) then
    return
  end
  local code = string.match(text, '^{"code":(%d+),') or "13"
  local bare = BARE[code] or INTERNAL
  local shaped = status_json(code, quoted(bare[2]), error_info(bare[1]))
  handle:headers():replace("content-length", tostring(handle:body():setBytes(shaped)))
end
