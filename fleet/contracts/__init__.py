"""The contract pipeline: proto files in, stubs, descriptor set, OpenAPI document and docs/contracts out.

`python -m fleet.contracts.generate` writes everything, `--check` says whether it is up to date,
`python -m fleet.contracts.lint` runs buf on the protos.
"""
