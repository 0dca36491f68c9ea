"""What a running process tells about itself: metrics and traces (logs are `chassis.logging`)."""
