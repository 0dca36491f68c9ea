"""Use cases of crops."""
