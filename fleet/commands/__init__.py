"""The subcommands of `greenledger`, one file each; `fleet/cli.py` lists them."""
