-- Reading JSON strictly (RFC 8259) without building it: each function moves `state.at` past what it read.
-- `state` is {text, at, depth}. What is wrong is raised as {reason, message, field?}.

local MAXIMUM_DEPTH = 32

local byte, find, format, gsub, sub = string.byte, string.find, string.format, string.gsub, string.sub

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
    local at = find(text, '[%c"\\\128-\255]', state.at)
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
