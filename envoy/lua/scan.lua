-- Reading JSON strictly (RFC 8259) without building it: each function moves `state.at` past what it read.
-- `state` is {text, at, depth, trail}; the trail holds the key or index at each depth, and is made into a path
-- only when something is wrong. What is wrong is raised as {reason, message, field?}.
--
-- A body of 1 MiB holds up a worker for as long as this takes: what runs for each value looks at bytes, which
-- LuaJIT compiles, and not at patterns, which it does not.

local MAXIMUM_DEPTH = 32

local byte, find, format, gsub, sub = string.byte, string.find, string.format, string.gsub, string.sub

local function fail(reason, message, field)
  error({ reason = reason, message = message, field = field }, 0)
end

local function malformed(state, message)
  fail("MALFORMED_REQUEST", format("The body is not valid JSON: %s at byte %d.", message, state.at))
end

-- The path of the value that is being read, e.g. items[2].quantity.
local function path_of(state)
  local parts = {}
  for depth = 1, state.depth do
    local step = state.trail[depth]
    if type(step) == "number" then
      parts[#parts + 1] = "[" .. step .. "]"
    else
      parts[#parts + 1] = (#parts > 0 and "." or "") .. step
    end
  end
  return table.concat(parts)
end

local function refuse(state, reason, before, after)
  local path = path_of(state)
  fail(reason, before .. path .. after, path)
end

-- Moves to the next byte that is not white space, and gives it; nil at the end.
local function peek(state)
  local text, at = state.text, state.at
  local char = byte(text, at)
  while char == 32 or char == 10 or char == 13 or char == 9 do
    at = at + 1
    char = byte(text, at)
  end
  state.at = at
  return char
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

-- A string; gives its text if that is wanted.
local function scan_string(state, wanted)
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
      if not wanted then
        return nil
      end
      local last = sub(text, start, at - 1)
      return parts and table.concat(parts) .. last or last
    elseif char == 92 then
      local before = at - 1
      local char_escaped = escaped(state)
      if wanted then
        parts = parts or {}
        parts[#parts + 1] = sub(text, start, before) .. char_escaped
        start = state.at
      end
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

local function is_digit(char)
  return char ~= nil and char >= 48 and char <= 57
end

-- Moves past digits, of which there must be one.
local function scan_digits(state)
  local text, at = state.text, state.at
  if not is_digit(byte(text, at)) then
    malformed(state, "a number is not written as JSON writes it")
  end
  repeat
    at = at + 1
  until not is_digit(byte(text, at))
  state.at = at
end

local function scan_number(state)
  local text = state.text
  if byte(text, state.at) == 45 then
    state.at = state.at + 1
  end
  local first, start = byte(text, state.at), state.at
  scan_digits(state)
  if first == 48 and state.at > start + 1 then
    malformed(state, "a number has a leading zero")
  end
  if byte(text, state.at) == 46 then
    state.at = state.at + 1
    scan_digits(state)
  end
  local exponent = byte(text, state.at)
  if exponent == 101 or exponent == 69 then
    local sign = byte(text, state.at + 1)
    state.at = state.at + ((sign == 43 or sign == 45) and 2 or 1)
    scan_digits(state)
  end
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

local function leave(state)
  state.at = state.at + 1
  state.depth = state.depth - 1
end

-- Reads the list that begins here; `element(state, context)` reads each of its elements.
local function scan_list(state, element, context)
  enter(state)
  if peek(state) == 93 then
    return leave(state)
  end
  local depth, index = state.depth, 0
  while true do
    state.trail[depth] = index
    element(state, context)
    index = index + 1
    local char = peek(state)
    if char == 93 then
      return leave(state)
    elseif char ~= 44 then
      malformed(state, "a list needs a comma or its end")
    end
    state.at = state.at + 1
  end
end

-- Reads the object that begins here; `member(state, context, key)` reads the value of each of its members.
local function scan_object(state, member, context)
  enter(state)
  if peek(state) == 125 then
    return leave(state)
  end
  local depth, seen = state.depth, {}
  while true do
    if peek(state) ~= 34 then
      malformed(state, "an object needs a quoted key")
    end
    local key = scan_string(state, true)
    state.trail[depth] = key
    if seen[key] then
      refuse(state, "MALFORMED_REQUEST", "The field ", " is given twice.")
    end
    seen[key] = true
    if peek(state) ~= 58 then
      malformed(state, "a key needs a colon and a value")
    end
    state.at = state.at + 1
    member(state, context, key)
    local char = peek(state)
    if char == 125 then
      return leave(state)
    elseif char ~= 44 then
      malformed(state, "an object needs a comma or its end")
    end
    state.at = state.at + 1
  end
end
