-- Holding a JSON body against the message that the contract declares for its route.
--
-- The transcoder drops unknown fields, takes the last of two equal keys, turns numbers into strings and lets
-- the path overrule the body, all in silence. A typo must not be lost: the first field that is wrong is named.
--
--   MESSAGES[message][key] = {name, kind, container?, message?, enum?, oneof?}
--   ENUMS[enum][value name] = true

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
    local number = (kind == "number" or kind == "string") and tonumber(text)
    -- Digits alone are exact at any size; 1e2 and 3.0 are whole as well.
    return number and (find(text, "^-?%d+$") or number % 1 == 0), "a whole number"
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

local function check_value(state, field, path, fixed)
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
  elseif fixed and text ~= fixed then
    fail("MALFORMED_REQUEST", "The field " .. path .. " differs from the same field in the path.", path)
  end
end

local function check_field(state, field, path, fixed)
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
    check_value(state, field, path, fixed)
  end
  return true
end

-- `bound` holds, for the outermost message, what the path says of its fields.
function check_message(state, name, path, bound)
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
    local set = check_field(state, field, where, bound and bound[field.name])
    if set and field.oneof then
      if chosen[field.oneof] then
        fail("MALFORMED_REQUEST", "Only one of " .. chosen[field.oneof] .. " and " .. where .. " may be given.", where)
      end
      chosen[field.oneof] = where
    end
  end)
end

local function check_body(text, message, bound)
  local state = { text = text, at = 1, depth = 0 }
  if peek(state) == nil then
    malformed(state, "it is empty")
  elseif peek(state) ~= 123 then
    check_any(state, "")
    fail("MALFORMED_REQUEST", "The body must be a JSON object.")
  end
  check_message(state, message, "", bound)
  if peek(state) ~= nil then
    malformed(state, "something follows the object")
  end
end
