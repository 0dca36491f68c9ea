-- Checks the JSON body of a request before the transcoder reads it.
--
-- The transcoder drops unknown fields, takes the last of two equal keys and turns numbers into strings, all
-- in silence. A typo must not be lost: this reads the body once, strictly (RFC 8259), beside the message
-- that the contract declares for the route, and answers 400 with the path of the first field that is wrong.
--
-- fleet/edge/render.py puts two tables before this text:
--   MESSAGES[message][key] = {name, kind, container?, message?, enum?, oneof?}
--   ENUMS[enum][value name] = true

local MAXIMUM_DEPTH = 32
local MAXIMUM_QUOTED = 100

local byte, find, format, gsub, sub = string.byte, string.find, string.format, string.gsub, string.sub

-- Raising --------------------------------------------------------------------------------------------------

local function fail(reason, message, field)
  error({ reason = reason, message = message, field = field }, 0)
end

local function malformed(state, message)
  fail("MALFORMED_REQUEST", format("The body is not valid JSON: %s at byte %d.", message, state.at))
end

local function wrong_type(path, expected)
  fail("MALFORMED_REQUEST", "The field " .. path .. " must be " .. expected .. ".", path)
end

local function member_path(path, name)
  return path == "" and name or (path .. "." .. name)
end

-- Scanning -------------------------------------------------------------------------------------------------

local function skip_space(state)
  state.at = find(state.text, "[^ \t\r\n]", state.at) or (#state.text + 1)
end

local function peek(state)
  skip_space(state)
  return byte(state.text, state.at)
end

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

local function utf8_char(code)
  if code < 0x80 then
    return string.char(code)
  elseif code < 0x800 then
    return string.char(0xC0 + math.floor(code / 64), 0x80 + code % 64)
  elseif code < 0x10000 then
    return string.char(0xE0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
  end
  return string.char(
    0xF0 + math.floor(code / 262144),
    0x80 + math.floor(code / 4096) % 64,
    0x80 + math.floor(code / 64) % 64,
    0x80 + code % 64
  )
end

local function code_unit(state)
  local digits = string.match(state.text, "^\\u(%x%x%x%x)", state.at)
  if not digits then
    malformed(state, "an escape of a character is not complete")
  end
  state.at = state.at + 6
  return tonumber(digits, 16)
end

local function escaped(state)
  local letter = sub(state.text, state.at + 1, state.at + 1)
  if letter ~= "u" then
    if not ESCAPES[letter] then
      malformed(state, "there is no such escape")
    end
    state.at = state.at + 2
    return ESCAPES[letter]
  end
  local unit = code_unit(state)
  if unit >= 0xDC00 and unit <= 0xDFFF then
    malformed(state, "half a surrogate pair stands alone")
  elseif unit >= 0xD800 and unit <= 0xDBFF then
    local low = code_unit(state)
    if low < 0xDC00 or low > 0xDFFF then
      malformed(state, "half a surrogate pair stands alone")
    end
    return utf8_char(0x10000 + (unit - 0xD800) * 1024 + (low - 0xDC00))
  end
  return utf8_char(unit)
end

-- The number of bytes of the UTF-8 character at a position (RFC 3629), nil if there is none.
local function utf8_length(text, at)
  local first, second, third, fourth = byte(text, at, at + 3)
  local function continues(value)
    return value and value >= 0x80 and value <= 0xBF
  end
  if first >= 0xC2 and first <= 0xDF then
    return continues(second) and 2
  elseif first >= 0xE0 and first <= 0xEF then
    if not (continues(second) and continues(third)) then
      return nil
    end
    -- Neither an overlong form nor half a surrogate pair.
    return not (first == 0xE0 and second < 0xA0) and not (first == 0xED and second > 0x9F) and 3 or nil
  elseif first >= 0xF0 and first <= 0xF4 then
    if not (continues(second) and continues(third) and continues(fourth)) then
      return nil
    end
    return not (first == 0xF0 and second < 0x90) and not (first == 0xF4 and second > 0x8F) and 4 or nil
  end
  return nil
end

local function scan_string(state)
  local text = state.text
  local parts
  state.at = state.at + 1
  local start = state.at
  while true do
    -- Printable ASCII but the quote and the backslash is the common case, and is skipped at once.
    local at = find(text, '[^ !#-%[%]-~]', state.at)
    if not at then
      state.at = #text + 1
      malformed(state, "a string does not end")
    end
    state.at = at
    local char = byte(text, at)
    if char == 34 then
      state.at = at + 1
      local last = sub(text, start, at - 1)
      return parts and table.concat(parts) .. last or last
    elseif char == 92 then
      parts = parts or {}
      parts[#parts + 1] = sub(text, start, at - 1)
      parts[#parts + 1] = escaped(state)
      start = state.at
    elseif char < 32 then
      malformed(state, "a control character stands in a string")
    elseif char == 127 then
      state.at = at + 1
    else
      local length = utf8_length(text, at)
      if not length then
        malformed(state, "the text is not UTF-8")
      end
      state.at = at + length
    end
  end
end

-- Number in the grammar of RFC 8259; gives its text.
local function scan_number(state)
  local text = state.text
  local _, last = find(text, "^-?%d+", state.at)
  if not last or find(text, "^-?0%d", state.at) then
    malformed(state, "a number is not written as JSON writes it")
  end
  if byte(text, last + 1) == 46 then
    _, last = find(text, "^%d+", last + 2)
    if not last then
      malformed(state, "a number is not written as JSON writes it")
    end
  end
  if find(text, "^[eE]", last + 1) then
    _, last = find(text, "^[eE][-+]?%d+", last + 1)
    if not last then
      malformed(state, "a number is not written as JSON writes it")
    end
  end
  local number = sub(text, state.at, last)
  state.at = last + 1
  return number
end

local LITERALS = { ["true"] = "bool", ["false"] = "bool", null = "null" }

local function scan_literal(state)
  local word = string.match(state.text, "^%a+", state.at)
  if not word or not LITERALS[word] then
    malformed(state, "a value is missing or not of JSON")
  end
  state.at = state.at + #word
  return LITERALS[word]
end

local function enter(state)
  state.depth = state.depth + 1
  if state.depth > MAXIMUM_DEPTH then
    fail("MALFORMED_REQUEST", format("The body is nested deeper than %d levels.", MAXIMUM_DEPTH))
  end
  state.at = state.at + 1
end

-- Calls `element()` for each element of the list that begins here.
local function scan_list(state, element)
  enter(state)
  local index = 0
  if peek(state) ~= 93 then
    while true do
      element(index)
      index = index + 1
      local char = peek(state)
      if char == 93 then
        break
      elseif char ~= 44 then
        malformed(state, "a list needs a comma or its end")
      end
      state.at = state.at + 1
      skip_space(state)
    end
  end
  state.at = state.at + 1
  state.depth = state.depth - 1
end

-- Calls `member(key)` for each member of the object that begins here.
local function scan_object(state, path, member)
  enter(state)
  local seen = {}
  if peek(state) ~= 125 then
    while true do
      if peek(state) ~= 34 then
        malformed(state, "an object needs a quoted key")
      end
      local key = scan_string(state)
      if seen[key] then
        local where = member_path(path, key)
        fail("MALFORMED_REQUEST", "The field " .. where .. " is given twice.", where)
      end
      seen[key] = true
      if peek(state) ~= 58 then
        malformed(state, "a key needs a colon and a value")
      end
      state.at = state.at + 1
      skip_space(state)
      member(key)
      local char = peek(state)
      if char == 125 then
        break
      elseif char ~= 44 then
        malformed(state, "an object needs a comma or its end")
      end
      state.at = state.at + 1
    end
  end
  state.at = state.at + 1
  state.depth = state.depth - 1
end

-- Checking against the contract ------------------------------------------------------------------------------

local check_message

-- A value of any shape: it only has to be JSON.
local function check_any(state, path)
  local char = peek(state)
  if char == 123 then
    scan_object(state, path, function(key)
      check_any(state, member_path(path, key))
    end)
  elseif char == 91 then
    scan_list(state, function(index)
      check_any(state, format("%s[%d]", path, index))
    end)
  elseif char == 34 then
    scan_string(state)
  elseif char == 45 or (char and char >= 48 and char <= 57) then
    scan_number(state)
  else
    scan_literal(state)
  end
end

-- A value that is neither object nor list; gives its JSON type and its text.
local function scan_scalar(state)
  local char = peek(state)
  if char == 34 then
    return "string", scan_string(state)
  elseif char == 123 or char == 91 then
    return "container"
  elseif char == 45 or (char and char >= 48 and char <= 57) then
    return "number", scan_number(state)
  end
  return scan_literal(state)
end

local NOT_FINITE = { NaN = true, Infinity = true, ["-Infinity"] = true }

-- What proto3 JSON takes for each kind of scalar.
local SCALARS = {
  string = function(kind)
    return kind == "string", "a string"
  end,
  bool = function(kind)
    return kind == "bool", "true or false"
  end,
  integer = function(kind, text)
    local whole = (kind == "number" or kind == "string") and find(text, "^-?%d+$") ~= nil
    return whole, "a whole number"
  end,
  float = function(kind, text)
    local number = kind == "number" or (kind == "string" and (NOT_FINITE[text] or tonumber(text) ~= nil))
    return number, "a number"
  end,
  enum = function(kind, text, field)
    local known = (kind == "string" and ENUMS[field.enum][text]) or (kind == "number" and find(text, "^%d+$"))
    return known, "one of the values that the contract lists"
  end,
}

local function check_value(state, field, path)
  if field.kind == "message" then
    if peek(state) ~= 123 then
      wrong_type(path, "an object")
    end
    return check_message(state, field.message, path)
  elseif field.kind == "any" then
    return check_any(state, path)
  end
  local kind, text = scan_scalar(state)
  local fits, expected = SCALARS[field.kind](kind, text, field)
  if not fits then
    wrong_type(path, expected)
  end
end

local function check_field(state, field, path)
  if peek(state) == 110 then
    -- null means "not set" (proto3 JSON), except in a list or map.
    scan_literal(state)
    return false
  end
  if field.container == "list" then
    if peek(state) ~= 91 then
      wrong_type(path, "a list")
    end
    scan_list(state, function(index)
      check_value(state, field, format("%s[%d]", path, index))
    end)
  elseif field.container == "map" then
    if peek(state) ~= 123 then
      wrong_type(path, "an object")
    end
    scan_object(state, path, function(key)
      check_value(state, field, member_path(path, key))
    end)
  else
    check_value(state, field, path)
  end
  return true
end

function check_message(state, name, path)
  local fields = MESSAGES[name]
  local given, chosen = {}, {}
  scan_object(state, path, function(key)
    local where = member_path(path, key)
    local field = fields[key]
    if not field then
      fail("UNKNOWN_FIELD", "The contract has no field " .. where .. ".", where)
    end
    if given[field.name] then
      fail("MALFORMED_REQUEST", "The field " .. where .. " is given twice.", where)
    end
    given[field.name] = true
    local set = check_field(state, field, where)
    if set and field.oneof then
      if chosen[field.oneof] then
        fail("MALFORMED_REQUEST", "Only one of " .. chosen[field.oneof] .. " and " .. where .. " may be given.", where)
      end
      chosen[field.oneof] = where
    end
  end)
end

local function check_body(text, message)
  local state = { text = text, at = 1, depth = 0 }
  if peek(state) == nil then
    malformed(state, "it is empty")
  elseif peek(state) ~= 123 then
    check_any(state, "")
    fail("MALFORMED_REQUEST", "The body must be a JSON object.")
  end
  check_message(state, message, "")
  if peek(state) ~= nil then
    malformed(state, "something follows the object")
  end
end

-- Answering --------------------------------------------------------------------------------------------------

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

local function answer(handle, status, failure, code)
  local message, reason = quoted(failure.message), failure.reason
  local details = '{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"'
    .. reason
    .. '","domain":"greenledger","metadata":{}}'
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
    [":status"] = status,
    ["content-type"] = "application/json",
    ["cache-control"] = "no-store",
    ["x-content-type-options"] = "nosniff",
  }
  handle:respond(headers, '{"code":' .. (code or 3) .. ',"message":' .. message .. ',"details":[' .. details .. "]}")
end

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

function envoy_on_request(handle)
  local message = handle:filterContext():get("message")
  if message == nil then
    return
  end
  local headers = handle:headers()
  local body = handle:body()
  local length = body and body:length() or 0
  if length == 0 and message == "" then
    return
  elseif message == "" then
    return answer(handle, "400", { reason = "MALFORMED_REQUEST", message = "This method takes no body." })
  end
  local objection = length > 0 and unsupported(headers)
  if objection then
    return answer(handle, "415", { reason = "MALFORMED_REQUEST", message = objection })
  end
  local text = length > 0 and body:getBytes(0, length) or ""
  local sound, failure = pcall(check_body, text, message)
  if not sound then
    if type(failure) ~= "table" then
      -- A fault of this script: say nothing of it outside, and let nothing unchecked through.
      handle:logErr("body check: " .. tostring(failure))
      failure = { reason = "INTERNAL", message = "The edge could not check the body." }
      return answer(handle, "500", failure, 13)
    end
    answer(handle, "400", failure)
  end
end
