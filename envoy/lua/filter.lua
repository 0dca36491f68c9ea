-- What Envoy calls: the body check on the way in, the completion of bare errors on the way out.
-- A route says what its body is by `filter_context`: {message, query, limit, pattern?, bound?, lines?}.

local function is_json(content_type)
  local kind, rest = string.match(string.lower(content_type), "^%s*([^;%s]+)%s*(.*)$")
  local charset = rest and string.match(rest, 'charset%s*=%s*"?([^";%s]+)')
  return kind == "application/json" and (charset == nil or charset == "utf-8")
end

local function unsupported(headers)
  local content_type, encoding = headers:get("content-type"), headers:get("content-encoding")
  if content_type and not is_json(content_type) then
    return "The body must be application/json in UTF-8."
  elseif encoding and encoding ~= "identity" then
    return "The body must not be compressed."
  end
  return nil
end

-- The values that the path gives to fields of the body's message, by their JSON names.
local function bound_by_path(path, context)
  local bound = {}
  if not context:get("bound") then
    return bound
  end
  local captures = { string.match(string.match(path, "^[^?]*"), context:get("pattern")) }
  local index = 0
  for name in string.gmatch(context:get("bound"), "[^,]+") do
    index = index + 1
    if captures[index] and name ~= "-" then
      bound[name] = gsub(captures[index], "%%(%x%x)", function(digits)
        return string.char(tonumber(digits, 16))
      end)
    end
  end
  return bound
end

local TOO_LARGE = {
  status = "413",
  code = 8,
  reason = "REQUEST_TOO_LARGE",
  message = "The request is larger than the limit.",
}
local LINES = "greenledger.lines"

-- Whether a body is larger than its route allows; Envoy itself has a limit for all routes.
local function too_large(context, length)
  local limit = context:get("limit")
  return limit ~= nil and length > tonumber(limit)
end

-- What a check refuses, as {status, reason, message, field?}, nil if nothing; its faults go on.
local function failure_of(check, ...)
  local sound, failure = pcall(check, ...)
  if sound then
    return nil
  end
  if type(failure) ~= "table" then
    error(failure, 0)
  end
  failure.status = "400"
  return failure
end

-- What is wrong with a request, as {status, reason, message, field?}, nil if nothing is.
local function examine(handle, body, length)
  local context = handle:filterContext()
  local message = context:get("message")
  if too_large(context, length) then
    return TOO_LARGE
  end
  if message == "" then
    return length > 0 and { status = "400", reason = "MALFORMED_REQUEST", message = "This method takes no body." }
  end
  local headers = handle:headers()
  local objection = length > 0 and unsupported(headers)
  if objection then
    return { status = "415", reason = "MALFORMED_REQUEST", message = objection }
  end
  local text = length > 0 and body:getBytes(0, length) or ""
  return failure_of(check_body, text, message, bound_by_path(headers:get(":path"), context))
end

-- What is wrong with a request before its body has come.
local function begin(handle)
  local context = handle:filterContext()
  local said = handle:headers():get("content-length")
  if context:get("lines") then
    handle:streamInfo():dynamicMetadata():set(LINES, "of_json", true)
  end
  if said ~= nil and too_large(context, tonumber(said) or 0) then
    return TOO_LARGE
  end
  return failure_of(check_target, handle:headers():get(":path"), context)
end

-- Answers what is wrong; gives whether something is. A fault of this script is: Envoy would let the request
-- through, and nothing unchecked may pass.
local function refused(handle, done, failure)
  if not done then
    handle:logErr("body check: " .. tostring(failure))
    failure = { status = "500", code = 13, reason = "INTERNAL", message = "The edge could not check the body." }
  end
  if failure then
    answer(handle, failure)
  end
  return failure
end

function envoy_on_request(handle)
  if handle:filterContext():get("message") == nil or refused(handle, pcall(begin, handle)) then
    return
  end
  -- Waits for the whole body; handles taken before are dead afterwards.
  local body = handle:body()
  refused(handle, pcall(examine, handle, body, body and body:length() or 0))
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local status, kind = headers:get(":status"), headers:get("content-type")
  if kind ~= "application/json" then
    return
  elseif byte(status) < 52 then
    -- The transcoder calls a stream of objects, one a line, JSON, which as a whole it is not.
    if handle:streamInfo():dynamicMetadata():get(LINES) then
      headers:replace("content-type", "application/x-ndjson")
    end
    -- Who is told where the work goes on has an answer that is accepted, not done.
    if status == "200" and headers:get("location") then
      headers:replace(":status", "202")
    end
    return
  end
  local done, failure = pcall(complete, handle)
  if not done then
    handle:logErr("error without a reason: " .. tostring(failure))
  end
end
