-- The innermost filter: gRPC in a service that shuts down answers CANCELLED to calls that have come but have not
-- begun, as if their clients had wished it. To a client the service is away and may be asked again.

local CANCELLED, UNAVAILABLE = "1", "14"

function envoy_on_response(handle)
  local headers = handle:headers()
  if headers:get("grpc-status") == CANCELLED then
    headers:replace("grpc-status", UNAVAILABLE)
    headers:replace("grpc-message", MESSAGE)
    headers:replace("grpc-status-details-bin", DETAILS)
  end
end
