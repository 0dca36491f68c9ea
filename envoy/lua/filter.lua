-- What Envoy calls: the body check on the way in, the completion of bare errors on the way out.
-- A route says what its body is by `filter_context`: {message, pattern?, bound?}.

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

-- What is wrong with a request, as {status, reason, message, field?}, nil if nothing is.
local function examine(handle, body, length)
  local context = handle:filterContext()
  local message = context:get("message")
  if message == "" then
    return length > 0 and { status = "400", reason = "MALFORMED_REQUEST", message = "This method takes no body." }
  end
  local headers = handle:headers()
  local objection = length > 0 and unsupported(headers)
  if objection then
    return { status = "415", reason = "MALFORMED_REQUEST", message = objection }
  end
  local text = length > 0 and body:getBytes(0, length) or ""
  local sound, failure = pcall(check_body, text, message, bound_by_path(headers:get(":path"), context))
  if sound then
    return nil
  end
  if type(failure) ~= "table" then
    error(failure, 0)
  end
  failure.status = "400"
  return failure
end

function envoy_on_request(handle)
  if handle:filterContext():get("message") == nil then
    return
  end
  -- Waits for the whole body; handles taken before are dead afterwards.
  local body = handle:body()
  local done, failure = pcall(examine, handle, body, body and body:length() or 0)
  if not done then
    -- A fault of this script. Envoy would let the request through: nothing unchecked may pass.
    handle:logErr("body check: " .. tostring(failure))
    failure = { status = "500", code = 13, reason = "INTERNAL", message = "The edge could not check the body." }
  end
  if failure then
    answer(handle, failure)
  end
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local status, kind = headers:get(":status"), headers:get("content-type")
  if byte(status) < 52 or kind ~= "application/json" then
    return
  end
  local done, failure = pcall(complete, handle)
  if not done then
    handle:logErr("error without a reason: " .. tostring(failure))
  end
end
