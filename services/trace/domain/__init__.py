"""What trace knows: facts as they arrive, and the answers made of them; pure."""
