"""Rules of crop lots; pure."""
