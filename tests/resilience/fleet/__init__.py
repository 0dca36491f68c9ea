"""A package, so that its fleet lives as long as its tests and no longer: idle, a fleet takes a fifth of a core."""
