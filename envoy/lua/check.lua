-- Holding a JSON body against the message that the contract declares for its route.
--
-- The transcoder drops unknown fields, takes the last of two equal keys, turns numbers into strings and lets
-- the path overrule the body, all in silence. A typo must not be lost: the first field that is wrong is named.
--
--   MESSAGES[message][key] = {name, kind, container?, message?, enum?, oneof?}
--   ENUMS[enum][value name] = true

local check_message

-- A value of any shape: it only has to be JSON.
local function check_any(state)
  local char = peek(state)
  if char == 123 then
    scan_object(state, check_any)
  elseif char == 91 then
    scan_list(state, check_any)
  elseif char == 34 then
    scan_string(state)
  elseif char == 45 or is_digit(char) then
    scan_number(state)
  else
    scan_literal(state)
  end
end

-- A value that is neither object nor list; gives its JSON type, and its text if that is wanted.
local function scan_scalar(state, wanted)
  local char = peek(state)
  if char == 34 then
    return "string", scan_string(state, wanted)
  elseif char == 123 or char == 91 then
    return "container"
  elseif char == 45 or is_digit(char) then
    local start = state.at
    scan_number(state)
    return "number", sub(state.text, start, state.at - 1)
  end
  return scan_literal(state)
end

local NOT_FINITE = { NaN = true, Infinity = true, ["-Infinity"] = true }

-- Whether a decimal number is whole: 12, 3.0 and 1e2 are. By its text, since a double would round 1e-400 to 0.
local function is_whole(text)
  if find(text, "^-?%d+$") then
    return true
  end
  local digits, fraction, exponent = string.match(text, "^-?(%d+)%.?(%d*)[eE]?([+-]?%d*)$")
  if not digits then
    return false
  end
  local significant = gsub(digits .. fraction, "0+$", "")
  local zeros = #digits + #fraction - #significant
  return significant == "" or (tonumber(exponent) or 0) + zeros >= #fraction
end

-- What proto3 JSON takes for each kind of scalar.
local SCALARS = {
  string = function(kind)
    return kind == "string", "a string"
  end,
  bool = function(kind)
    return kind == "bool", "true or false"
  end,
  integer = function(kind, text)
    return (kind == "number" or kind == "string") and is_whole(text), "a whole number"
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

local function wrong_type(state, expected)
  refuse(state, "MALFORMED_REQUEST", "The field ", " must be " .. expected .. ".")
end

-- One value of a field; `fixed` is what the path says it is, if it does.
local function check_value(state, field, fixed)
  if field.kind == "message" then
    if peek(state) ~= 123 then
      wrong_type(state, "an object")
    end
    return check_message(state, field.message)
  elseif field.kind == "any" then
    return check_any(state)
  end
  local kind, text = scan_scalar(state, fixed ~= nil or field.kind ~= "string")
  local fits, expected = SCALARS[field.kind](kind, text, field)
  if not fits then
    wrong_type(state, expected)
  elseif fixed and text ~= fixed then
    refuse(state, "MALFORMED_REQUEST", "The field ", " differs from the same field in the path.")
  end
end

local function check_entry(state, field)
  check_value(state, field)
end

-- A field with its list or map, if it has one; gives whether it is set.
local function check_field(state, field, fixed)
  local char = peek(state)
  if char == 110 then
    -- null means "not set" (proto3 JSON), except in a list or map.
    scan_literal(state)
    return false
  end
  if field.container == "list" then
    if char ~= 91 then
      wrong_type(state, "a list")
    end
    scan_list(state, check_entry, field)
  elseif field.container == "map" then
    if char ~= 123 then
      wrong_type(state, "an object")
    end
    scan_object(state, check_entry, field)
  else
    check_value(state, field, fixed)
  end
  return true
end

local function check_member(state, message, key)
  local field = message.fields[key]
  if not field then
    refuse(state, "UNKNOWN_FIELD", "The contract has no field ", ".")
  elseif message.given[field.name] then
    refuse(state, "MALFORMED_REQUEST", "The field ", " is given twice.")
  end
  message.given[field.name] = true
  local set = check_field(state, field, message.bound and message.bound[field.name])
  if set and field.oneof then
    local other = message.chosen[field.oneof]
    if other then
      refuse(state, "MALFORMED_REQUEST", "Only one of " .. other .. " and ", " may be given.")
    end
    message.chosen[field.oneof] = key
  end
end

-- `bound` holds, for the outermost message, what the path says of its fields.
function check_message(state, name, bound)
  local message = { fields = MESSAGES[name], given = {}, chosen = {}, bound = bound }
  scan_object(state, check_member, message)
end

local function check_body(text, name, bound)
  local state = { text = text, at = 1, depth = 0, trail = {} }
  local first = peek(state)
  if first == nil then
    malformed(state, "it is empty")
  elseif first ~= 123 then
    check_any(state)
    fail("MALFORMED_REQUEST", "The body must be a JSON object.")
  end
  check_message(state, name, bound)
  if peek(state) ~= nil then
    malformed(state, "something follows the object")
  end
end
