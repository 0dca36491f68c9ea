"""What happens to every call before and after the code that it is for: one policy per file.

`chain` states the order and why, and builds the server and the client chain.
"""
