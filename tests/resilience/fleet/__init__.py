"""A package, so that its fleet lives no longer than its tests: idle, it takes a fifth of a core."""
