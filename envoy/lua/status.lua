-- Last of all: what the filter for gRPC-Web has made of a reply of the edge's gets its status back.

local STATUS = "x-greenledger-grpc-status"

function envoy_on_response(handle)
  local headers = handle:headers()
  local status = headers:get(STATUS)
  if status then
    headers:remove(STATUS)
    headers:replace("grpc-status", status)
  end
  tell_limits(handle)
end
