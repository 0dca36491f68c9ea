"""trace: where goods went and where they came from, over all contexts."""
