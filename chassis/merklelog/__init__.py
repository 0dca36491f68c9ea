"""A log that shows when history was changed: a Merkle tree over the events of a service.

Pure parts, which need neither server nor database: `tree` (hashes and proofs), `leaf` (an event as bytes),
`note` and `checkpoint` (signed tree heads), `documents` (receipts and bundles as files), `verify` (the tool).
Parts on PostgreSQL: `schema`, `store` (appends in the event's transaction, reads proofs), `ledger` (signs
checkpoints, makes receipts), `audit` (recomputes everything). Nothing is imported here, so that the pure
parts can be used alone.
"""
