-- Who calls, for routes and limits: written from the verified token and from nothing else. What a caller said under
-- these names was removed before any filter.

local JWT = "envoy.filters.http.jwt_authn"

-- The roles as one list; a claim of another kind gives none.
local function words(claim)
  local found = {}
  if type(claim) == "table" then
    for _, role in ipairs(claim) do
      if type(role) == "string" and string.find(role, "^[%w._-]+$") then
        found[#found + 1] = role
      end
    end
  end
  return table.concat(found, ",")
end

function envoy_on_request(handle)
  local verified = handle:streamInfo():dynamicMetadata():get(JWT)
  local token = verified and verified["token"]
  if not token or type(token["sub"]) ~= "string" then
    return
  end
  local headers = handle:headers()
  headers:replace("x-user-id", token["sub"])
  headers:replace("x-user-role", words(token["roles"]))
  -- A route may depend on a role. A JSON request is routed anew by the transcoder.
  if string.find(headers:get("content-type") or "", "application/grpc", 1, true) == 1 then
    handle:clearRouteCache()
  end
end
