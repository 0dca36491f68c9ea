"""trace and the outside world."""
