-- The path and the query of a JSON request, which the transcoder reads too generously.
--
--   QUERIES[binding][parameter as spelt] = its one name, with [] behind it if it may be given several times

local function malformed_target(what)
  fail("MALFORMED_REQUEST", "The " .. what .. " is not UTF-8, or has a percent sign without two digits behind it.")
end

-- Text without its percent encoding.
local function decoded(text, what)
  if find(text, "%%%X") or find(text, "%%.?$") or find(text, "%%%x%X") then
    malformed_target(what)
  end
  local plain = gsub(text, "%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end)
  local at = find(plain, "[\128-\255]")
  while at do
    local length = utf8_length(plain, at)
    if not length then
      malformed_target(what)
    end
    at = find(plain, "[\128-\255]", at + length)
  end
  return plain
end

local function check_query(query, known)
  local given = {}
  for part in string.gmatch(query, "[^&]+") do
    local name = decoded(gsub(string.match(part, "^[^=]*"), "+", " "), "query")
    decoded(part, "query")
    local one = known[name]
    if not one then
      fail("MALFORMED_REQUEST", "The query has no parameter " .. name .. " here.", name)
    elseif not find(part, "=", 1, true) then
      fail("MALFORMED_REQUEST", "The parameter " .. name .. " has no value.", name)
    elseif given[one] and sub(one, -2) ~= "[]" then
      fail("MALFORMED_REQUEST", "The parameter " .. name .. " is given twice.", name)
    end
    given[one] = true
  end
end

local function check_target(target, context)
  local path, query = string.match(target, "^([^?]*)%??(.*)$")
  decoded(path, "path")
  check_query(query, QUERIES[context:get("query")])
end
