"""crops and the outside world."""
