"""The control plane's xDS side: what proxy and clients are told, and how."""
