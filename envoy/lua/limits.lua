-- What a client is told of its limit: the headers of the IETF's draft (draft-ietf-httpapi-ratelimit-headers-03) and, when
-- it is refused, after how many seconds to come back.
--
--   LIMITED_STATUS = google.rpc.Status of the refusal without RetryInfo, as bytes

local LIMITED = "x-greenledger-limited"
local RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"

local function renamed(headers, name)
  -- The first is of the filter that counts for all edge processes, where there are two.
  local value = headers:getAtIndex("x-" .. name, 0)
  if value then
    headers:remove("x-" .. name)
    headers:replace(name, value)
  end
  return value
end

local function varint(number)
  local bytes = ""
  while number > 127 do
    bytes = bytes .. string.char(number % 128 + 128)
    number = math.floor(number / 128)
  end
  return bytes .. string.char(number)
end

local function field(tag, bytes)
  return string.char(tag) .. varint(#bytes) .. bytes
end

-- The refusal with google.rpc.RetryInfo, as in grpc-status-details-bin.
local function details(handle, seconds)
  local delay = field(0x0A, "\8" .. varint(seconds))
  local retry = field(0x0A, RETRY_INFO) .. field(0x12, delay)
  return (string.gsub(handle:base64Escape(LIMITED_STATUS .. field(0x1A, retry)), "=+$", ""))
end

local function tell_limits(handle)
  local headers = handle:headers()
  renamed(headers, "ratelimit-limit")
  renamed(headers, "ratelimit-remaining")
  local reset = renamed(headers, "ratelimit-reset")
  if not headers:get(LIMITED) then
    return
  end
  headers:remove(LIMITED)
  local seconds = math.max(1, tonumber(reset) or 1)
  headers:replace("retry-after", tostring(seconds))
  if headers:get("grpc-status-details-bin") then
    headers:replace("grpc-status-details-bin", details(handle, seconds))
    return
  end
  local body = handle:body()
  if body and body:length() > 0 then
    local text = string.gsub(body:getBytes(0, body:length()), '"retryDelay":"1s"', '"retryDelay":"' .. seconds .. 's"')
    -- The headers from before the body was waited for are not to be used any more.
    handle:headers():replace("content-length", tostring(body:setBytes(text)))
  end
end
