"""The edge's configuration, rendered from the contract: `envoy/` holds what is written by hand."""
