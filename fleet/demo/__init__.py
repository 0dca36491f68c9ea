"""The whole story, played against a running fleet through its public edge."""
