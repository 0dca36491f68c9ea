"""The fleet on one machine: embedded servers, the supervisor and the `greenledger` command."""
