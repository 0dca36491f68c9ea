"""The embedded servers, one file each. A setting with an external URL replaces any of them."""
